"""A collector, a pipeline to it, and an application whose tracer provider is looked at."""

from __future__ import annotations

from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest

from spanmeter.instrumentation import guard, recorder, uninstrument
from spanmeter.instrumentation.harvest import attaching
from spanmeter.instrumentation.pipeline import Pipeline
from unit.instrumentation.harvest.application import Application
from unit.instrumentation.pipeline.making import pipeline as made
from unit.instrumentation.pipeline.receivers import Receiver, grpc_receiver

MakeApplication = Callable[..., Application]


@pytest.fixture
def collector() -> Generator[Receiver]:
    with grpc_receiver() as receiver:
        yield receiver


@pytest.fixture
def pipeline(
    tmp_path: Path, collector: Receiver, monkeypatch: pytest.MonkeyPatch
) -> Generator[Pipeline]:
    """What all of the process's records go through."""
    pipeline = made(tmp_path / "spool", collector.address)
    monkeypatch.setattr(attaching, "shared", lambda: pipeline)
    monkeypatch.setattr(recorder, "shared", lambda: pipeline)
    yield pipeline
    pipeline.shutdown()


@pytest.fixture
def application(
    pipeline: Pipeline, collector: Receiver, monkeypatch: pytest.MonkeyPatch
) -> Generator[MakeApplication]:
    """Makes an application; `harvested=False` if its spans are not yet looked at."""
    monkeypatch.setattr(guard, "_seen", set[tuple[str, type[BaseException]]]())

    def make(*, harvested: bool = True, **provider: Any) -> Application:
        application = Application(pipeline, collector, **provider)
        if harvested:
            attaching.harvest(application.tracer_provider)
        return application

    yield make
    attaching.stop_harvest()
    uninstrument()
