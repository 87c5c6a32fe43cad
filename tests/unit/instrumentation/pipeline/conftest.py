"""Collectors to send to, and a place for the spool."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import pytest

from unit.instrumentation.pipeline.receivers import Receiver, grpc_receiver, http_receiver


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    return tmp_path / "spool"


@pytest.fixture
def collector() -> Generator[Receiver]:
    """Over gRPC."""
    with grpc_receiver() as receiver:
        yield receiver


@pytest.fixture
def http_collector() -> Generator[Receiver]:
    with http_receiver() as receiver:
        yield receiver


@pytest.fixture(params=["grpc", "http/protobuf"])
def either(request: pytest.FixtureRequest) -> Generator[tuple[Receiver, str]]:
    """A collector of each protocol, and the protocol."""
    with (grpc_receiver if request.param == "grpc" else http_receiver)() as receiver:
        yield receiver, request.param
