"""An app whose LLM code has no line of ours, under `opentelemetry-instrument`, with environment variables alone."""

from __future__ import annotations

import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from psycopg.rows import dict_row

from services import service, vendors
from simulated_provider import SimulatedProvider
from spanmeter.collector_receiver.server import Collector
from spanmeter.collector_receiver.settings import CollectorSettings

IN_TIME = 2.0
"""Seconds from the answer of a call to its row."""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


@pytest.fixture
def gateway(dsn: str, tmp_path: Path) -> Generator[str]:
    """The public service's address; behind it are the second service, a provider and a collector."""
    collector = Collector(CollectorSettings(dsn=dsn, grpc="127.0.0.1:0"))
    with collector, SimulatedProvider() as provider:
        exporting = {
            "OTEL_TRACES_EXPORTER": "otlp",
            "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{collector.grpc_address}",
        }
        inner, outer = exporting | vendors(provider), exporting.copy()
        with (
            service("assistant", inner, tmp_path / "assistant") as outer["ASSISTANT_URL"],
            service("gateway", outer, tmp_path / "gateway") as address,
        ):
            yield address


def rows_within(seconds: float, dsn: str) -> list[dict[str, Any]]:
    """The rows of the ledger as soon as there are any."""
    deadline = time.monotonic() + seconds
    with (
        psycopg.connect(dsn, autocommit=True) as connection,
        connection.cursor(row_factory=dict_row) as cursor,
    ):
        while True:
            rows = cursor.execute("SELECT * FROM usage_events ORDER BY time").fetchall()
            if rows or time.monotonic() > deadline:
                return rows
            time.sleep(0.02)


@pytest.mark.parametrize(
    ("key", "tenant", "account_type"),
    [("key-acme", "acme", "paid"), ("key-initech", "initech", "trial")],
)
def test_a_call_in_one_service_is_a_row_of_the_tenant_that_another_named(
    dsn: str, gateway: str, key: str, tenant: str, account_type: str
) -> None:
    answer = httpx.post(
        f"{gateway}/summaries",
        headers={"x-api-key": key},
        json={"text": "A long quarter, in short."},
        timeout=60,
    )
    rows = rows_within(IN_TIME, dsn)
    assert answer.status_code == 200, answer.text
    [row] = rows
    assert row["service_name"] == "assistant"
    assert row["tenant_id"] == tenant
    assert row["account_type"] == account_type
    assert row["feature"] == "summaries"
    assert row["cost_quality"] == "exact"
    assert row["scope_name"] == "spanmeter.openai"
