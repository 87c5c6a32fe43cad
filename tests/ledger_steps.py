"""A ledger that tests write to in every way there is: what must be in it by then is added up without any SQL."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import reduce
from typing import Any
from uuid import uuid4

import calls_described
from booking import NOON, event, metered
from card_rates import override
from spanmeter.console.reconciling import Comparing, compare
from spanmeter.console.reconciling import post as post_bill
from spanmeter.metering.billable_rules import read_rules
from spanmeter.metering.costing import EXACT, NO_MONEY
from spanmeter.metering.rates import Rates
from spanmeter.metering.reconciliation.bill import OUTPUT, Bill, BillLine
from spanmeter.metering.usage_event import UsageEvent
from spanmeter.storage.adjustments import Adjustment, adjustment_of, book
from spanmeter.storage.booked_events import period
from spanmeter.storage.connection import Connection
from spanmeter.storage.corrections import booked_against, booked_for, opposite, undo
from spanmeter.storage.ledger import LedgerWriter
from spanmeter.storage.positions import positions
from spanmeter.storage.reconciliations import REFERENCE
from spanmeter.storage.redeciding import moves
from spanmeter.storage.redeciding import post as post_moves
from spanmeter.storage.repricing import Asked, adjustments_for, costed_again
from spanmeter.storage.rollups import fold, rebuild

FIRST, END = date(2026, 10, 1), date(2027, 1, 1)
SINCE, UNTIL = datetime(2026, 10, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)

UNPRICED: dict[str, Any] = {"cost": None, "cost_quality": "unpriced", "rate_version": None}


def drawn(chance: random.Random, run: str = "") -> UsageEvent:
    """Any event: few values of each dimension, so that keys meet. `run` keeps the actions of one run apart."""
    unpriced = chance.random() < 0.1
    return event(
        time=NOON + timedelta(minutes=chance.randrange(-3000, 3000)),
        tenant_id=chance.choice(["acme", "globex", None]),
        feature=chance.choice(["chat", "", None]),
        status=chance.choice(["ok", "error"]),
        response_model=chance.choice(["gpt-5-2025-08-07", None]),
        callsite=chance.choice(["app.py:7", None]),
        currency=chance.choice(["USD", "EUR"]),
        action=chance.choice(["report", "answer", None]),
        idempotency_key=f"{run}-{chance.randrange(4)}",
        input_tokens=chance.choice([None, 1000, 2**53]),
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
        self.run = uuid4().hex

    def _add(self, amount: Decimal) -> None:
        self.total = EXACT.add(self.total, amount)

    def write_a_batch(self) -> None:
        batch = [drawn(self.chance, self.run) for _ in range(self.chance.randrange(1, 8))]
        assert self.writer.write(metered(*batch)).inserted == len(batch)
        self.booked += batch
        self._add(cost_of(batch))

    def deliver_again(self) -> None:
        """In another order, together with something new."""
        new = drawn(self.chance, self.run)
        again = self.chance.sample(self.booked, min(len(self.booked), 5))
        self.writer.write(metered(*again, new))
        self.booked.append(new)
        self._add(cost_of([new]))

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
        self._add(cost_of(counted))

    def adjust(self) -> None:
        if self.booked:
            known = self.chance.choice(self.booked)
            amount = Decimal(self.chance.randrange(-(10**9), 10**9)) / 10**18
            adjusting = replace(adjustment_of(known, uuid4(), "said so"), cost=amount)
            for _ in range(2):
                book(self.connection, [adjusting])
            self._add(amount)

    def move_to_another_tenant(self) -> None:
        """As retro-attribution does: off here, on there."""
        if self.booked:
            known = self.chance.choice(self.booked)
            ids = (uuid4() for _ in range(2))
            off, on = (adjustment_of(known, each, "moved", "ticket 7") for each in ids)
            cost = known.cost or Decimal(0)
            off = replace(off, requests=-1, cost=-cost)
            on = replace(on, requests=1, cost=cost, tenant_id="initech")
            assert book(self.connection, [off, on]) == 2

    def reprice(self) -> None:
        """At another price, or at none; what that differs by is booked once."""
        price = self.chance.choice(["0.5/1M", "3/1M", None])
        listed = (
            override(model="gpt-5*", input_tokens=price, output_tokens=price) if price else None
        )
        rates = Rates([listed] if listed else [], version="test")
        with self.connection.transaction():
            pages = list(costed_again(self.connection, rates, Asked(since=SINCE)))
        found = [repriced for _, page in pages for repriced in page]
        adjustments = [each for one in found for each in adjustments_for(one, "run 1")]
        assert book(self.connection, adjustments) == len(adjustments)
        assert book(self.connection, adjustments) == 0
        self._add(added(adjustments))

    def decide_again(self) -> None:
        """By other billable rules: amounts move, and no sum of all changes."""
        state = self.chance.choice(["billable", "included", "ignored"])
        rules = read_rules(state, f'otherwise = "{state}"')
        with self.connection.transaction():
            found = list(moves(self.connection, rules, SINCE, UNTIL))
        assert post_moves(self.connection, state, found) == 2 * len(found)

    def reconcile(self) -> None:
        """With a bill that has one day's output at any price; what is found is posted once."""
        amount = Decimal(self.chance.randrange(1, 10**6)) / 1000
        line = BillLine(
            NOON.date(), "gpt-5-2025-08-07", OUTPUT, Decimal(self.chance.randrange(500)), amount
        )
        rates = Rates(
            [override(model="gpt-5*", input_tokens="1/1M", output_tokens="1/1M")], version="test"
        )
        kept = compare(self.connection, Bill("openai", (line,)), ["a test"], Comparing(), rates)
        post_bill(self.connection, kept)
        assert post_bill(self.connection, kept) == 0
        self._add(added(booked_for(self.connection, f"{REFERENCE}{kept.reconciliation_id}")))

    def take_back(self) -> None:
        """All that was booked for one reason, once."""
        rows = self.connection.execute(
            "SELECT DISTINCT reference FROM adjustments"
            " WHERE reason NOT IN ('undone', 'superseded') AND reference IS NOT NULL ORDER BY 1"
        ).fetchall()
        if rows:
            (reference,) = self.chance.choice(rows)
            undone = self.connection.execute(
                "SELECT adjustment_id FROM adjustments WHERE reason = 'undone'"
            )
            gone = {adjustment_id for (adjustment_id,) in undone}
            known = booked_for(self.connection, reference)
            open_still = [each for each in known if opposite(each).adjustment_id not in gone]
            assert undo(self.connection, reference) == len(open_still)
            assert undo(self.connection, reference) == 0
            self._add(EXACT.minus(added(open_still)))

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


def cost_of(events: Iterable[UsageEvent]) -> Decimal:
    """What they cost together; what is not known adds nothing."""
    return _sum(each.cost for each in events)


def added(adjustments: Iterable[Adjustment]) -> Decimal:
    """What they add to the cost."""
    return _sum(each.cost for each in adjustments)


def _sum(costs: Iterable[Decimal | None]) -> Decimal:
    """Without rounding, which Python's own sums of more than 28 digits have."""
    return reduce(EXACT.add, (cost or NO_MONEY for cost in costs), NO_MONEY)


def actions(events: Iterable[UsageEvent]) -> Counter[tuple[str | None, str | None]]:
    """How many calls each action took."""
    return Counter((each.action, each.idempotency_key) for each in events)


def explained(connection: Connection) -> Decimal:
    """The cost of every row as `spanmeter explain` tells it, with its corrections; and of corrections of no row."""
    with connection.transaction():
        rows = list(period(connection, SINCE, UNTIL))
        corrections = booked_against(connection, [each.key for each in rows])
    of_rows = added(
        position for row in rows for position in positions(row, corrections.get(row.key, []))
    )
    others = connection.execute(
        "SELECT coalesce(sum(cost), 0) FROM adjustments WHERE adjusted_span_id IS NULL"
    ).fetchone()
    assert others is not None
    return EXACT.add(of_rows, others[0])
