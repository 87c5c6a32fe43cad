"""Whatever is booked and in whatever order: rollup = ledger = the sum of what was booked, to the last decimal."""

from __future__ import annotations

import random
import threading
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import NamedTuple

import psycopg
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from booking import metered
from ledger_steps import END, FIRST, STEPS, Ledger, actions, cost_of, drawn, explained
from spanmeter.metering.costing import EXACT
from spanmeter.storage.connection import connect
from spanmeter.storage.ledger import LedgerWriter
from spanmeter.storage.rollups import differences, fold


class Sums(NamedTuple):
    """What a reader sees in one moment."""

    hourly: Decimal
    daily: Decimal
    by_tenant: Decimal
    by_model: Decimal
    monthly: Decimal
    ledger: Decimal


ONE_MOMENT = """
SELECT
    (SELECT coalesce(sum(cost), 0) FROM usage_hourly),
    (SELECT coalesce(sum(cost), 0) FROM usage_daily),
    (SELECT coalesce(sum(cost), 0) FROM usage_daily_by_tenant),
    (SELECT coalesce(sum(cost), 0) FROM usage_daily_by_model),
    (SELECT coalesce(sum(cost), 0) FROM usage_monthly),
    (SELECT coalesce(sum(cost), 0) FROM ledger)
"""


# An action is counted by its calls once, whatever corrected them.
CALLS_OF_ACTIONS = """
SELECT action, idempotency_key, sum(requests) FROM ledger WHERE idempotency_key LIKE %s
GROUP BY 1, 2 HAVING sum(requests) <> 0
"""


@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    steps=st.lists(st.sampled_from(sorted(STEPS)), min_size=2, max_size=10),
    seed=st.integers(0, 2**32),
)
def test_a_rollup_is_the_ledger_is_what_was_booked(dsn: str, steps: list[str], seed: int) -> None:
    with LedgerWriter(dsn) as writer, connect(dsn) as connection:
        before = moment(dsn).ledger
        ledger = Ledger(connection, writer, seed)
        for step in ["write_a_batch", *steps]:
            STEPS[step](ledger)
        after = moment(dsn)
        assert set(after) == {EXACT.add(before, ledger.total)}
        assert differences(connection, FIRST, END) == []
        assert explained(connection) == after.ledger
        rows = connection.execute(CALLS_OF_ACTIONS, (f"{ledger.run}-%",)).fetchall()
        assert {(action, key): calls for action, key, calls in rows} == actions(ledger.booked)


def moment(dsn: str) -> Sums:
    """What one snapshot shows. A statement alone is planned part by part before it takes its own: TimescaleDB has a
    part read no chunk that is made in between."""
    with psycopg.connect(dsn) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.execute("SELECT 1")
        seen = connection.execute(ONE_MOMENT).fetchone()
    assert seen is not None
    return Sums._make(seen)


def test_sums_agree_at_every_moment_while_many_write_and_fold(dsn: str) -> None:
    """Writers, whoever folds and readers wait for nobody, and no writer is a victim of a deadlock."""
    done = threading.Event()

    def book(seed: int) -> Decimal:
        chance, total = random.Random(seed), Decimal(0)
        with LedgerWriter(dsn) as writer:
            for _ in range(15):
                batch = [drawn(chance) for _ in range(20)]
                written = writer.write(metered(*batch))
                assert written.inserted == len(batch)
                total += cost_of(batch)
        return total

    def fold_always() -> int:
        folded = 0
        with connect(dsn) as connection:
            while not done.is_set():
                folded += fold(connection)
        return folded

    with ThreadPoolExecutor(4) as pool:
        folding = [pool.submit(fold_always) for _ in range(2)]
        writing = [pool.submit(book, seed) for seed in (1, 2)]
        try:
            while not all(each.done() for each in writing):
                seen = moment(dsn)
                assert set(seen) == {seen.ledger}, seen
        finally:
            done.set()
        total = sum((each.result() for each in writing), Decimal(0))
        assert sum(each.result() for each in folding) > 0
    assert set(moment(dsn)) == {total}
