"""The environment of an application that is metered."""

from __future__ import annotations

import os
from collections.abc import Generator
from pathlib import Path

import pytest

from services import vendors
from simulated_provider import SimulatedProvider
from spanmeter.collector_receiver import Collector, CollectorSettings

TESTS = Path(__file__).parents[1]


@pytest.fixture
def environ(timescale_dsn: str, tmp_path: Path) -> Generator[dict[str, str]]:
    """Its spans and records go to a real collector, its questions to the simulated provider."""
    with (
        SimulatedProvider() as provider,
        Collector(CollectorSettings(dsn=timescale_dsn, grpc="127.0.0.1:0")) as collector,
    ):
        yield {
            **os.environ,
            **vendors(provider),
            "PYTHONPATH": str(TESTS),
            "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{collector.grpc_address}",
            "OTEL_TRACES_EXPORTER": "otlp",
            "OTEL_METRICS_EXPORTER": "none",
            "OTEL_LOGS_EXPORTER": "none",
            "SPANMETER_EXPORTER": "otlp",
            "SPANMETER_SPOOL": str(tmp_path / "spool"),
        }
