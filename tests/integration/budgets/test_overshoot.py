"""Four processes of 64 tasks against a budget of ten dollars, with kills in between: what is spent of it in the end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import ExitStack
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from booking import query
from integration.budgets.conftest import Laid
from receivers import receivers
from simulated_provider import SimulatedProvider
from spanmeter.collector_receiver import CollectorSettings
from spanmeter.storage.budget_standing import standings
from spanmeter.storage.connection import connect

pytestmark = [pytest.mark.slow, pytest.mark.timeout(480)]

PROGRAM = Path(__file__).with_name("spending.py")
LIMIT = Decimal(10)
AT_ONCE = 48
"""Tasks of one process that spend."""


@pytest.fixture
def start(
    plain_dsn: str, provider: SimulatedProvider, tmp_path: Path
) -> Generator[Callable[[], subprocess.Popen[str]]]:
    """Starts one more process of the application."""
    with receivers() as collectors, ExitStack() as running:
        collector = collectors.start(
            CollectorSettings(
                dsn=plain_dsn, grpc="127.0.0.1:0", http="127.0.0.1:0", grace=2, seal_after=None
            )
        )
        environ = {
            **os.environ,
            "SPANMETER_ENDPOINT": f"http://{collector.address}",
            "SPANMETER_PROTOCOL": "grpc",
            "SPANMETER_EXPORTER": "otlp",
            "SPANMETER_SPOOL": str(tmp_path),
            "SPANMETER_BUDGET_TIMEOUT": "20",
            "OTEL_SERVICE_NAME": "spending",
        }
        argv = [sys.executable, str(PROGRAM), provider.openai_base_url]

        def start() -> subprocess.Popen[str]:
            process = subprocess.Popen(argv, env=environ, stdout=subprocess.PIPE, text=True)
            running.callback(process.wait)
            running.callback(process.kill)
            return process

        yield start


def paid_for_acme(provider: SimulatedProvider) -> Decimal:
    """What the provider has in its books."""
    return sum((each.cost for each in provider.served if each.model == "gpt-4o"), Decimal(0))


def until(reached: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not reached():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_what_is_spent_stays_within_the_bound(
    lay_down: Laid,
    start: Callable[[], subprocess.Popen[str]],
    provider: SimulatedProvider,
    plain_dsn: str,
) -> None:
    lay_down("acme", str(LIMIT), fail="closed")
    lay_down("globex-is-free", "1000000", scope={"tenant.id": "globex"})
    processes = [start() for _ in range(4)]
    estimate = _estimate()
    bound = Decimal(0)
    for spent in (3, 6):
        until(partial(_has_paid, provider, Decimal(spent)))
        killed = processes.pop(0)
        # What it holds, and what it may be lent until it is dead: enough for all of its tasks.
        bound += _most_held(plain_dsn) + AT_ONCE * estimate
        killed.kill()
        killed.communicate()
        processes.append(start())
    told: list[dict[str, Any]] = []
    for process in processes:
        printed, _ = process.communicate(timeout=300)
        assert process.returncode == 0
        told.append(json.loads(printed))
    ((price,),) = query(plain_dsn, "SELECT max(cost) FROM usage_events WHERE tenant_id = 'acme'")
    paid = paid_for_acme(provider)
    with connect(plain_dsn) as connection:
        (found,) = standings(connection, budget="acme")
    # The estimates are above what calls use. What is left to go wrong is what the killed had been lent: calls that a
    # kill cut off, whose cost nobody has recorded, and records that came after their leases had come back.
    print(
        f"\nlimit {LIMIT}, in the ledger {found.spent:.4f}, paid {paid:.4f} at {price} a call (estimated {estimate});"
        f" overshoot {max(paid - LIMIT, Decimal(0)):.4f}, bound {bound:.4f};"
        f" refused {sum(each['refused'] for each in told)} times,"
        f" in {max(each['slowest_refusal'] for each in told):.2f} s at most"
    )
    assert found.spent == _booked(plain_dsn)
    assert paid <= LIMIT + bound
    # Nothing was refused that there was room for: less than a call is left.
    assert found.spent > LIMIT - estimate
    assert all(each["globex"] > 0 and "globex refused" not in each for each in told)


def _most_held(dsn: str) -> Decimal:
    """The most that any process has been lent, and nobody has booked."""
    ((held,),) = query(
        dsn,
        "SELECT coalesce(max(held), 0) FROM ("
        " SELECT sum(greatest(held - booked, 0)) AS held FROM budget_leases"
        " WHERE budget = 'acme' GROUP BY holder) AS by_holder",
    )
    return Decimal(held)


def _booked(dsn: str) -> Decimal:
    ((booked,),) = query(dsn, "SELECT sum(cost) FROM ledger WHERE tenant_id = 'acme'")
    return Decimal(booked)


def _has_paid(provider: SimulatedProvider, amount: Decimal) -> bool:
    return paid_for_acme(provider) > amount


def _estimate() -> Decimal:
    """What a call is reserved at: its text at three bytes a token, and 200 tokens of output, at gpt-4o's rates."""
    size = 37 + len("How did we do? " * 800) + len("user") + len("gpt-4o")
    tokens = -(-size // 3) + 3 * 3
    return (Decimal("2.5") * tokens + 10 * 200) / Decimal(1_000_000)
