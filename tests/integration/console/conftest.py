"""The command `spanmeter` in an empty directory, and a ledger to run it on."""

import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from commands import Completed, run_here, run_installed
from spanmeter.metering.usage_event import UsageEvent
from spanmeter.storage.ledger import LedgerWriter
from spanmeter.storage.metered import Metered
from spanmeter.storage.rejected import RejectedSpan

TENANTS = ("acme", "globex", "initech", None)

Run = Callable[..., Completed]


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """This process's variables without any setting of ours, but for a place where the test may write."""
    others = {
        name: value for name, value in os.environ.items() if not name.startswith("SPANMETER_")
    }
    free = {"SPANMETER_CONSOLE": "127.0.0.1:0"}
    return {**others, **free, "SPANMETER_JOURNAL": str(tmp_path / "journal")}


@pytest.fixture
def spanmeter(tmp_path: Path, environ: dict[str, str]) -> Run:
    """Run `spanmeter ARGUMENTS` to its end in this process, with these variables set."""

    def run(*arguments: str, **variables: str) -> Completed:
        return run_here(tmp_path, environ | variables, *arguments)

    return run


@pytest.fixture
def installed(tmp_path: Path, environ: dict[str, str]) -> Run:
    """The same as a process of its own, which takes a second: for one test of each command."""

    def run(*arguments: str, **variables: str) -> Completed:
        return run_installed(tmp_path, environ | variables, *arguments)

    return run


@pytest.fixture
def ledger(dsn: str) -> str:
    """A ledger with a month of three tenants, a place without a tenant, and some trouble."""
    with LedgerWriter(dsn) as writer:
        written = writer.write(
            [Metered(event, lambda: b"") for event in _month()],
            [RejectedSpan("bad_count", "input_tokens is negative", b"", b"", "acme", b"a span")],
        )
    assert (written.inserted, written.rejected) == (240, 1)
    return dsn


def _month() -> Iterator[UsageEvent]:
    now = datetime.now(UTC)
    for n in range(240):
        tenant = TENANTS[n % 4]
        unpriced = n % 40 == 7
        failed = n % 20 == 3
        yield UsageEvent(
            time=now - timedelta(hours=3 * n),
            trace_id=n.to_bytes(16),
            span_id=(n + 1).to_bytes(8),
            tenant_id=tenant,
            feature=("chat", "search", "summaries")[n % 3],
            action="report" if n % 5 == 0 else None,
            idempotency_key=f"report-{n // 10}" if n % 5 == 0 else None,
            account_type=None if tenant is None else "trial" if tenant == "initech" else "paid",
            dimensions={} if tenant is None else {"department": ("sales", "research")[n % 2]},
            service_name="assistant",
            callsite="jobs/digest.py:41" if tenant is None else None,
            provider="openai",
            operation="chat",
            request_model="house-model" if unpriced else "gpt-4o-mini",
            response_model=None if unpriced else "gpt-4o-mini-2024-07-18",
            status="error" if failed else "ok",
            error_type="500" if failed else None,
            duration=timedelta(milliseconds=200 + n),
            time_to_first_token=timedelta(milliseconds=50 + n),
            input_tokens=1000 + n,
            cache_read_input_tokens=100,
            cache_write_input_tokens=0,
            output_tokens=50,
            reasoning_output_tokens=10,
            usage_source="provider",
            # Digits that no float holds: a sum that loses one is seen.
            cost=None if unpriced else Decimal(f"0.000{n:03}000000000000000001"),
            rate_version=None if unpriced else "test",
            cost_quality="unpriced" if unpriced else "exact",
        )
