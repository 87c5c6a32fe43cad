"""Collectors on a free port: in this process, or as a process that a test may kill."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Generator
from contextlib import ExitStack
from pathlib import Path

import pytest

from collecting import CollectorProcess, Ledger, StartCollector
from otlp import Client
from spanmeter.collector_receiver import Collector, CollectorSettings

PROGRAM = Path(__file__).with_name("collector_program.py")


@pytest.fixture
def ledger(dsn: str) -> Ledger:
    return Ledger(dsn)


@pytest.fixture
def collector(dsn: str) -> Generator[Collector]:
    """A collector on each edition."""
    with Collector(CollectorSettings(dsn=dsn, grpc="127.0.0.1:0")) as running:
        yield running


@pytest.fixture
def client(collector: Collector) -> Generator[Client]:
    with Client(collector.grpc_address) as connected:
        yield connected


@pytest.fixture
def start_collector() -> Generator[StartCollector]:
    with ExitStack() as stack:

        def start(
            dsn: str, address: str = "127.0.0.1:0", journal: Path | None = None
        ) -> CollectorProcess:
            argv = [
                sys.executable,
                str(PROGRAM),
                dsn,
                address,
                *([str(journal)] if journal else []),
            ]
            process = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
            stack.callback(process.wait)
            stack.callback(process.kill)
            assert process.stdout is not None
            stack.callback(process.stdout.close)
            return CollectorProcess(process, process.stdout.readline().strip())

        yield start
