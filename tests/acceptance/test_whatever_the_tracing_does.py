"""The ledger is complete whatever the application's tracing makes of its spans, and however its process ends."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from deployed.script import CUSTOMERS, ENDS

PROGRAMS = Path(sys.executable).parent

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


def run(how: str, environ: dict[str, str]) -> dict[str, str]:
    """Whose each response was, by its id, as the program printed them."""
    command = [
        str(PROGRAMS / "opentelemetry-instrument"),
        *(sys.executable, "-m", "deployed.script", how),
    ]
    done = subprocess.run(
        command, env=environ, capture_output=True, text=True, check=False, timeout=120
    )
    lines = [line.split() for line in done.stdout.splitlines()]
    assert len(lines) == len(CUSTOMERS), done.stderr
    return {response: customer for customer, response in lines}


def flush(environ: dict[str, str]) -> None:
    """Deliver what a process that is no more has left."""
    command = [str(PROGRAMS / "spanmeter"), "spool", "flush", "--timeout", "60"]
    subprocess.run(command, env=environ, check=True, timeout=120, capture_output=True)


def rows(dsn: str, count: int) -> list[dict[str, Any]]:
    """The rows of the ledger, once there are so many."""
    deadline = time.monotonic() + 30
    with (
        psycopg.connect(dsn, autocommit=True) as connection,
        connection.cursor(row_factory=dict_row) as cursor,
    ):
        while True:
            found = cursor.execute("SELECT * FROM usage_events ORDER BY time").fetchall()
            if len(found) >= count or time.monotonic() > deadline:
                return found
            time.sleep(0.05)


TRACING = {
    "sampled": {},
    "never sampled": {"OTEL_TRACES_SAMPLER": "always_off"},
    "sampled by its parent, which is not": {"OTEL_TRACES_SAMPLER": "parentbased_always_off"},
    "disabled": {"OTEL_SDK_DISABLED": "true"},
    "of five attributes a span": {"OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT": "5"},
    "of short values": {"OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT": "3"},
    "exported nowhere": {"OTEL_TRACES_EXPORTER": "none"},
}


@pytest.mark.parametrize("tracing", TRACING.values(), ids=TRACING)
def test_each_call_is_one_whole_row(
    environ: dict[str, str], timescale_dsn: str, tracing: dict[str, str]
) -> None:
    customers = run("returns", environ | tracing)

    found = rows(timescale_dsn, len(customers))
    assert {row["response_id"]: row["tenant_id"] for row in found} == customers
    assert len(found) == len(customers)
    for row in found:
        assert row["scope_name"] == "spanmeter.openai"
        assert row["cost_quality"] == "exact"
        assert row["usage_source"] == "provider"
        assert row["input_tokens"] > 0


@pytest.mark.parametrize("how", [how for how in ENDS if how != "returns"])
def test_no_end_of_a_process_loses_a_call_that_has_returned(
    environ: dict[str, str], timescale_dsn: str, how: str
) -> None:
    customers = run(how, environ)
    flush(environ)

    found = rows(timescale_dsn, len(customers))
    assert {row["response_id"]: row["tenant_id"] for row in found} == customers
    assert len(found) == len(customers)


def test_the_record_is_a_span_of_the_trace_that_the_call_was_made_in(
    environ: dict[str, str], timescale_dsn: str
) -> None:
    run("returns", environ | {"OTEL_TRACES_SAMPLER": "always_off"})

    found = rows(timescale_dsn, len(CUSTOMERS))
    assert all(row["parent_span_id"] for row in found)
    assert len({row["trace_id"] for row in found}) == len(CUSTOMERS)
