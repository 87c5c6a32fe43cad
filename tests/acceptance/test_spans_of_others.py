"""What a client library's own tracing tells is in the ledger: once, whole, and whatever the sampler says."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from collecting import Ledger
from deployed.traced_script import CUSTOMERS

PROGRAMS = Path(sys.executable).parent
UNDER_INSTRUMENT = str(PROGRAMS / "opentelemetry-instrument")

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


def run(environ: dict[str, str], when: str = "by_environment") -> tuple[dict[str, str], str]:
    """Whose each response was, by its id, and what the program wrote to stderr."""
    command = [sys.executable, "-m", "deployed.traced_script", when]
    if when == "by_environment":
        command.insert(0, UNDER_INSTRUMENT)
    done = subprocess.run(
        command, env=environ, capture_output=True, text=True, check=False, timeout=120
    )
    lines = [line.split() for line in done.stdout.splitlines()]
    assert len(lines) == len(CUSTOMERS), done.stderr
    return {response: customer for customer, response in lines}, done.stderr


def booked(dsn: str, count: int) -> list[tuple[str, str | None, str]]:
    """The response, tenant and scope of every row, once there are so many."""
    ledger = Ledger(dsn)
    deadline = time.monotonic() + 30
    while len(ledger.spans()) < count and time.monotonic() < deadline:
        time.sleep(0.05)
    columns = (ledger.column(name) for name in ("response_id", "tenant_id", "scope_name"))
    return sorted(zip(*columns, strict=True))


@pytest.fixture
def self_traced(environ: dict[str, str]) -> dict[str, str]:
    """Our own instrumentation of the library is switched off."""
    return environ | {"OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "spanmeter-anthropic"}


TRACING = {
    # The application's exporter sends the same spans to the same collector.
    "sampled": {},
    "never sampled": {"OTEL_TRACES_SAMPLER": "always_off"},
    "of five attributes a span": {"OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT": "5"},
    "of short values, unsampled": {
        "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT": "3",
        "OTEL_TRACES_SAMPLER": "always_off",
    },
    "exported nowhere": {"OTEL_TRACES_EXPORTER": "none"},
}


@pytest.mark.parametrize("tracing", TRACING.values(), ids=TRACING)
def test_each_call_is_one_row(
    self_traced: dict[str, str], timescale_dsn: str, tracing: dict[str, str]
) -> None:
    customers, _ = run(self_traced | tracing)

    expected = [(*whose, "com.anthropic.sdk.python") for whose in customers.items()]
    assert booked(timescale_dsn, len(customers)) == sorted(expected)
    assert Ledger(timescale_dsn).rejected() == []


@pytest.mark.parametrize("when", ["before", "after"])
def test_the_application_may_set_its_tracer_provider_whenever_it_likes(
    environ: dict[str, str], timescale_dsn: str, when: str
) -> None:
    customers, _ = run(environ, when)

    expected = [(*whose, "com.anthropic.sdk.python") for whose in customers.items()]
    assert booked(timescale_dsn, len(customers)) == sorted(expected)


def test_where_our_own_instrumentation_meters_the_library_nothing_is_counted_twice(
    environ: dict[str, str], timescale_dsn: str
) -> None:
    customers, _ = run(environ)

    expected = [(*whose, "spanmeter.anthropic") for whose in customers.items()]
    assert booked(timescale_dsn, len(customers)) == sorted(expected)


def test_where_nothing_is_traced_there_is_nothing_to_harvest_and_no_fault(
    self_traced: dict[str, str], timescale_dsn: str
) -> None:
    _, said = run(self_traced | {"OTEL_SDK_DISABLED": "true"})

    assert said == ""
    assert Ledger(timescale_dsn).spans() == []


def test_where_nothing_is_traced_our_own_instrumentation_meters_the_library(
    environ: dict[str, str], timescale_dsn: str
) -> None:
    customers, _ = run(environ | {"OTEL_SDK_DISABLED": "true"})

    expected = [(*whose, "spanmeter.anthropic") for whose in customers.items()]
    assert booked(timescale_dsn, len(customers)) == sorted(expected)
