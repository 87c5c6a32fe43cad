"""Whatever is booked and in whatever order: rollup = ledger = the sum of what was booked, to the last decimal."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import uuid4

import psycopg
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import calls_described
from booking import NOON, event, metered
from spanmeter.metering.usage_event import UsageEvent
from spanmeter.storage.adjustments import adjustment_of, book
from spanmeter.storage.connection import Connection, connect
from spanmeter.storage.ledger import LedgerWriter
from spanmeter.storage.rollups import differences, fold, rebuild

FIRST, END = date(2026, 10, 1), date(2027, 1, 1)

UNPRICED: dict[str, Any] = {"cost": None, "cost_quality": "unpriced", "rate_version": None}


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


def drawn(chance: random.Random) -> UsageEvent:
    """Any event: few values of each dimension, so that keys meet."""
    unpriced = chance.random() < 0.1
    return event(
        time=NOON + timedelta(minutes=chance.randrange(-3000, 3000)),
        tenant_id=chance.choice(["acme", "globex", None]),
        feature=chance.choice(["chat", "", None]),
        status=chance.choice(["ok", "error"]),
        response_model=chance.choice(["gpt-5-2025-08-07", None]),
        callsite=chance.choice(["app.py:7", None]),
        currency=chance.choice(["USD", "EUR"]),
        input_tokens=chance.choice([None, 1000, 2**62]),
        cache_read_input_tokens=None,
        image_output_tokens=chance.choice([None, 7]),
        quantities=chance.choice([{}, {"images": Decimal(2), "audio_seconds": Decimal("0.125")}]),
        **(UNPRICED if unpriced else {"cost": Decimal(chance.randrange(10**24)) / 10**18}),
    )


class Ledger:
    """A ledger that is written to in every way there is, and what must be in it by then."""

    def __init__(self, connection: Connection, writer: LedgerWriter, seed: int) -> None:
        self.connection = connection
        self.writer = writer
        self.chance = random.Random(seed)
        self.booked: list[UsageEvent] = []
        self.total = Decimal(0)

    def write_a_batch(self) -> None:
        batch = [drawn(self.chance) for _ in range(self.chance.randrange(1, 8))]
        assert self.writer.write(metered(*batch)).inserted == len(batch)
        self.booked += batch
        self.total += cost_of(batch)

    def deliver_again(self) -> None:
        """In another order, together with something new."""
        new = drawn(self.chance)
        again = self.chance.sample(self.booked, min(len(self.booked), 5))
        self.writer.write(metered(*again, new))
        self.booked.append(new)
        self.total += cost_of([new])

    def contradict(self) -> None:
        """The same span with other numbers is set aside."""
        if self.booked:
            known = self.chance.choice(self.booked)
            other = known._replace(output_tokens=(known.output_tokens or 0) + 1)
            assert self.writer.write(metered(other)).inserted == 0

    def describe_a_call_twice(self) -> None:
        """A framework's span first: it is reversed when our own comes."""
        spans, counted = calls_described.by_id()
        renewed: dict[str, Any] = {"response_id": uuid4().hex}
        for span in reversed(spans):
            self.writer.write(metered(span._replace(**renewed)))
        self.total += cost_of(counted)

    def adjust(self) -> None:
        if self.booked:
            known = self.chance.choice(self.booked)
            amount = Decimal(self.chance.randrange(-(10**9), 10**9)) / 10**18
            adjustment_id = uuid4()
            adjusting = replace(adjustment_of(known, adjustment_id, "said so"), cost=amount)
            for _ in range(2):
                book(self.connection, [adjusting])
            self.total += amount

    def move_to_another_tenant(self) -> None:
        """As retro-attribution and repricing do: off here, on there."""
        if self.booked:
            known = self.chance.choice(self.booked)
            ids = (uuid4() for _ in range(2))
            off, on = (adjustment_of(known, each, "moved", "ticket 7") for each in ids)
            cost = known.cost or Decimal(0)
            off = replace(off, requests=-1, cost=-cost)
            on = replace(on, requests=1, cost=cost, tenant_id="initech")
            assert book(self.connection, [off, on]) == 2

    def fold(self) -> None:
        fold(self.connection, self.chance.choice([1, 2, 10_000]))

    def rebuild(self) -> None:
        first = FIRST + timedelta(days=self.chance.randrange(60))
        rebuild(self.connection, first, first + timedelta(days=self.chance.randrange(1, 30)))

    def reopen_and_close_days(self) -> None:
        with self.connection.transaction():
            self.connection.execute("INSERT INTO folded_open_hours TABLE folded_hourly")
            self.connection.execute("TRUNCATE folded_hourly, folded_daily")
            self.connection.execute("UPDATE closed_days SET before = %s", (FIRST,))


STEPS: Mapping[str, Callable[[Ledger], None]] = {
    name: step for name, step in vars(Ledger).items() if not name.startswith("_")
}


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
        assert set(after) == {before + ledger.total}
        assert differences(connection, FIRST, END) == []


def cost_of(events: Iterable[UsageEvent]) -> Decimal:
    return sum((each.cost or Decimal(0) for each in events), Decimal(0))


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
