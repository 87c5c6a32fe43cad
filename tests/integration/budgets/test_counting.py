"""Counters of budgets: each is the sum over the ledger, whatever is booked, adjusted, delivered twice or late."""

from __future__ import annotations

import random
import threading
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from booking import adjust, event, metered, query
from spanmeter.metering.budgets.budget import OF_TENANT, Budget, BudgetError
from spanmeter.metering.budgets.scopes import counter_of
from spanmeter.metering.budgets.windows import Window
from spanmeter.storage.budget_standing import Standing, standings
from spanmeter.storage.budgets import (
    budget_history,
    increase,
    remove_budget,
    set_budget,
    set_time_zone,
)
from spanmeter.storage.connection import connect
from spanmeter.storage.ledger import LedgerWriter

UNPRICED: dict[str, Any] = {"cost": None, "cost_quality": "unpriced", "rate_version": None}

# 15 and 75 a million tokens, the rates that stand in for those of models without any.
SPENT = """
SELECT coalesce(sum(cost), 0)
    + coalesce(sum(15 * input_tokens + 75 * output_tokens) FILTER (WHERE cost IS NULL), 0) / 1000000
FROM ledger
WHERE currency = 'USD' AND time >= %s AND time < coalesce(%s::timestamptz, 'infinity')
    AND tenant_id = %s
"""

BUDGETS = [
    Budget(name=f"each-{window.replace(' ', '-')}", scope={"tenant.id": "*"}, limit=Decimal(5),
           window=Window.named(window), timezone=zone)
    for window, zone in (
        ("day", OF_TENANT), ("month", "Asia/Kolkata"), ("lifetime", "UTC"), ("rolling 3h", "UTC"),
    )
]  # fmt: skip


def standing(dsn: str, budget: str, **values: str) -> Standing:
    """That of one counter, of which there has to be one."""
    counter = counter_of({name.replace("_", "."): value for name, value in values.items()})
    with connect(dsn) as connection:
        (found,) = (
            each for each in standings(connection, budget=budget) if each.counter == counter
        )
    return found


def lay_down(dsn: str, *budgets: Budget) -> None:
    with connect(dsn) as connection:
        for budget in budgets:
            assert set_budget(connection, budget, "test")


def assert_counted(dsn: str) -> int:
    """Every counter of `BUDGETS` is the sum over the ledger in its window; how many there are."""
    with connect(dsn) as connection:
        found = standings(connection)
    for each in found:
        tenant = each.counter.partition(':"')[2].rstrip('"}')
        ((spent,),) = query(dsn, SPENT, each.window.start, each.window.end, tenant)
        assert each.spent == spent, (each.budget.name, tenant)
    return len(found)


def test_counters_are_the_sums_over_the_ledger(dsn: str) -> None:
    chance, now = random.Random(11), datetime.now(UTC)
    with connect(dsn) as connection:
        set_time_zone(connection, "acme", "Pacific/Apia", "test")
    lay_down(dsn, *BUDGETS[:2])
    sent: list[Any] = []
    with LedgerWriter(dsn) as writer:
        for step in range(12):
            batch = [_call(chance, now) for _ in range(chance.randrange(1, 30))]
            # Delivered again, some of them in the company of new ones.
            again = chance.sample(sent, k=min(len(sent), 5))
            sent += batch
            assert writer.write(metered(*batch, *again)).inserted == len(batch)
            if chance.random() < 0.5:
                _adjust(dsn, chance, now)
            if step == 5:
                # Those that are laid down later count what was booked before.
                lay_down(dsn, *BUDGETS[2:])
            if chance.random() < 0.6:
                assert_counted(dsn)
    assert assert_counted(dsn) == 4 * 3
    # What is priced later is no longer counted at the rate that stood in for its own.
    unpriced = next(each for each in sent if each.cost is None and each.tenant_id == "acme")
    adjust(
        dsn, time=unpriced.time, cost=Decimal("0.25"), unpriced_requests=-1,
        adjusted_trace_id=unpriced.trace_id, adjusted_span_id=unpriced.span_id,
        adjusted_time=unpriced.time,
    )  # fmt: skip
    at_rate = Decimal(15 * unpriced.input_tokens + 75 * unpriced.output_tokens) / 1_000_000
    ((rest,),) = query(dsn, SPENT, datetime(1970, 1, 1, tzinfo=UTC), None, "acme")
    assert standing(dsn, "each-lifetime", tenant_id="acme").spent == rest - at_rate


def _call(chance: random.Random, now: datetime) -> Any:
    priced = {"cost": Decimal(chance.randrange(10**15)) / 10**17}
    return event(
        # Late ones too: of yesterday, of the month before.
        time=now - timedelta(minutes=chance.choice([0, 5, 200, 1500, 50_000])),
        tenant_id=chance.choice(["acme", "globex", "initech", None]),
        currency=chance.choice(["USD", "USD", "EUR"]),
        input_tokens=chance.randrange(1000, 9000),
        output_tokens=chance.randrange(100, 900),
        **(UNPRICED if chance.random() < 0.3 else priced),
    )


def _adjust(dsn: str, chance: random.Random, now: datetime) -> None:
    adjust(
        dsn,
        time=now - timedelta(minutes=chance.choice([0, 1500])),
        tenant_id=chance.choice(["acme", "globex"]),
        cost=Decimal(chance.randrange(-1000, 1000)) / 10**6,
    )


def test_counting_while_others_book_loses_nothing_and_counts_nothing_twice(dsn: str) -> None:
    lay_down(dsn, *BUDGETS)
    now, done = datetime.now(UTC), threading.Event()

    def book(seed: int) -> None:
        chance = random.Random(seed)
        with LedgerWriter(dsn) as writer:
            for _ in range(25):
                writer.write(metered(*(_call(chance, now) for _ in range(5))))

    def count() -> None:
        with connect(dsn) as connection:
            while not done.is_set():
                standings(connection)

    writers = [threading.Thread(target=book, args=(seed,)) for seed in range(3)]
    counters = [threading.Thread(target=count) for _ in range(2)]
    for thread in (*writers, *counters):
        thread.start()
    for thread in writers:
        thread.join()
    done.set()
    for thread in counters:
        thread.join()
    assert_counted(dsn)


def test_another_scope_is_counted_anew_and_another_limit_is_not(plain_dsn: str) -> None:
    with LedgerWriter(plain_dsn) as writer:
        now = datetime.now(UTC)
        writer.write(metered(event(time=now, user_id="u1"), event(time=now, user_id="u2")))
    one = Budget(name="b", scope={"tenant.id": "acme", "user.id": "u1"}, limit=Decimal(1))
    both = Budget(name="b", scope={"tenant.id": "acme"}, limit=Decimal(1))
    more = Budget(name="b", scope={"tenant.id": "acme"}, limit=Decimal(2))
    lay_down(plain_dsn, one)
    assert standing(plain_dsn, "b").spent == Decimal("0.001525")
    lay_down(plain_dsn, both)
    assert standing(plain_dsn, "b").spent == Decimal("0.003050")
    lay_down(plain_dsn, more)
    found = standing(plain_dsn, "b")
    assert (found.spent, found.left) == (Decimal("0.003050"), Decimal("1.996950"))
    with connect(plain_dsn) as connection:
        assert not set_budget(connection, more, "test")
        assert [each.version for each in budget_history(connection, "b")] == [3, 2, 1]
        assert remove_budget(connection, "b", "test")
        assert standings(connection) == []


def test_units_and_own_dimensions_are_counted(plain_dsn: str) -> None:
    lay_down(
        plain_dsn,
        Budget(name="pages", scope={"usage.dimension.region": "*"}, limit=Decimal(9),
               metric="unit:pages"),
    )  # fmt: skip
    now = datetime.now(UTC)
    with LedgerWriter(plain_dsn) as writer:
        writer.write(
            metered(
                event(time=now, dimensions={"region": "eu"}, quantities={"pages": Decimal("2.5")}),
                event(time=now, dimensions={"region": "eu"}, quantities={"pages": Decimal("1.25")}),
                event(time=now, quantities={"pages": Decimal(100)}),
            )
        )
    with connect(plain_dsn) as connection:
        (found,) = standings(connection)
    assert found.counter == '{"usage.dimension.region":"eu"}'
    assert found.spent == Decimal("3.75")


def test_an_increase_holds_for_its_time_and_its_counter(plain_dsn: str) -> None:
    lay_down(plain_dsn, Budget(name="b", scope={"tenant.id": "*"}, limit=Decimal(1)))
    now = datetime.now(UTC)
    with LedgerWriter(plain_dsn) as writer:
        writer.write(metered(event(time=now), event(time=now, tenant_id="globex")))
    acme, later = counter_of({"tenant.id": "acme"}), now + timedelta(hours=1)
    with connect(plain_dsn) as connection:
        increase(connection, "b", acme, Decimal(5), later, "test")
        increase(connection, "b", None, Decimal(2), later, "test")
        increase(connection, "b", None, Decimal(9), now - timedelta(seconds=1), "test")
        with pytest.raises(BudgetError, match="no budget 'c'"):
            increase(connection, "c", None, Decimal(2), later, "test")
    assert standing(plain_dsn, "b", tenant_id="acme").limit == Decimal(8)
    assert standing(plain_dsn, "b", tenant_id="globex").limit == Decimal(3)
