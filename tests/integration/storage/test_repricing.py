"""Booked calls at other rates: the difference is booked once, and no row changes."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from booking import NOON, event, metered, query
from card_rates import override
from spanmeter.metering.card_rate import CardRate
from spanmeter.metering.rates import Rates
from spanmeter.storage.adjustments import adjustment_of, book
from spanmeter.storage.connection import connect
from spanmeter.storage.ledger import LedgerWriter
from spanmeter.storage.repricing import (
    Asked,
    Busy,
    Repriced,
    adjustments_for,
    costed_again,
    only_one,
)

SINCE = Asked(since=NOON - timedelta(days=1))
SUMS = "SELECT currency, sum(requests), sum(unpriced_requests), sum(input_tokens), sum(cost) FROM ledger GROUP BY 1"
UNPRICED: dict[str, object] = {"cost": None, "rate_version": None, "cost_quality": "unpriced"}


def rates(*listed: CardRate) -> Rates:
    return Rates(listed, version="test")


def at(price: Any, **fields: Any) -> Rates:
    """Rates for the model of `booking`, at one price for a million tokens of any kind."""
    return rates(override(model="gpt-5*", input_tokens=price, output_tokens=price, **fields))


def found(dsn: str, new: Rates, asked: Asked = SINCE) -> list[Repriced]:
    with closing(connect(dsn)) as connection, connection.transaction():
        return [each for _, page in costed_again(connection, new, asked) for each in page]


def reprice(dsn: str, new: Rates, asked: Asked = SINCE) -> int:
    """Book the differences; how many adjustments are new."""
    adjustments = [each for one in found(dsn, new, asked) for each in adjustments_for(one, "run 1")]
    with closing(connect(dsn)) as connection:
        return book(connection, adjustments)


def store(dsn: str, *fields: dict[str, object]) -> None:
    with LedgerWriter(dsn) as writer:
        writer.write(metered(*(event(**each) for each in fields)))


def test_the_difference_is_booked_and_the_row_stays(dsn: str) -> None:
    """1000 tokens in and 50 out, booked at 0.001525; at 2 dollars a million they are 0.0021."""
    store(dsn, {})
    before = query(dsn, "TABLE usage_events")
    assert reprice(dsn, at("2/1M")) == 1
    assert query(dsn, "TABLE usage_events") == before
    assert query(dsn, SUMS) == [("USD", 1, 0, 1000, Decimal("0.0021"))]
    assert query(
        dsn, "SELECT reason, reference, rate_version, cost, unpriced_requests FROM adjustments"
    ) == [
        (
            "reprice",
            "run 1 organisation/1#openai/gpt-5*",
            "organisation/1#openai/gpt-5*",
            Decimal("0.000575"),
            0,
        )
    ]


def test_again_it_books_nothing_and_back_and_forth_it_books_each_time(dsn: str) -> None:
    store(dsn, {}, {})
    assert reprice(dsn, at("2/1M")) == 2
    assert reprice(dsn, at("2/1M")) == 0
    assert reprice(dsn, at("3/1M")) == 2
    assert reprice(dsn, at("2/1M")) == 2
    assert reprice(dsn, at("3/1M")) == 2
    assert query(dsn, SUMS) == [("USD", 2, 0, 2000, Decimal("0.0063"))]


def test_what_was_unpriced_is_priced(dsn: str) -> None:
    store(dsn, UNPRICED)
    assert reprice(dsn, at("2/1M")) == 1
    assert query(dsn, SUMS) == [("USD", 1, 0, 1000, Decimal("0.0021"))]
    assert reprice(dsn, rates()) == 1
    assert query(dsn, SUMS) == [("USD", 1, 1, 1000, Decimal(0))]


def test_another_currency_takes_the_call_from_one_sum_to_the_other(dsn: str) -> None:
    store(dsn, {"quantities": {"pages": Decimal(2)}})
    assert reprice(dsn, at("2/1M", pages="0.5", currency="EUR")) == 2
    assert sorted(query(dsn, SUMS)) == [
        ("EUR", 1, 0, 1000, Decimal("1.0021")),
        ("USD", 0, 0, 0, Decimal(0)),
    ]
    assert reprice(dsn, at("2/1M", pages="0.5", currency="EUR")) == 0
    assert reprice(dsn, at("2/1M", pages="0.5")) == 2
    assert query(dsn, SUMS + " HAVING sum(requests) <> 0") == [
        ("USD", 1, 0, 1000, Decimal("1.0021"))
    ]


def test_what_no_rate_decides_is_left_alone(dsn: str) -> None:
    """A refused request costs nothing at any rate, and a further description of a call has no cost of its own."""
    store(dsn, {"cost": Decimal(0), "rate_version": "refused-1", "status": "error"})
    assert found(dsn, at("2/1M")) == []


def test_a_call_is_repriced_for_the_tenant_that_it_was_given_to(dsn: str) -> None:
    """A correction moved it from nobody to globex, who has a contract."""
    lost = event(tenant_id=None)
    with LedgerWriter(dsn) as writer:
        writer.write(metered(lost))
    out = adjustment_of(lost, uuid4(), "attributed")
    moved = [
        replace(out, requests=-1, cost=-Decimal("0.001525"), input_tokens=-1000),
        replace(
            out,
            adjustment_id=uuid4(),
            tenant_id="globex",
            requests=1,
            cost=Decimal("0.001525"),
            input_tokens=1000,
        ),
    ]
    with closing(connect(dsn)) as connection:
        book(connection, moved)
    contract = override(
        tenant_id="globex", model="gpt-5*", input_tokens="2/1M", output_tokens="2/1M"
    )
    assert found(dsn, rates(contract), replace(SINCE, tenant="acme")) == []
    assert reprice(dsn, rates(contract), replace(SINCE, tenant="globex")) == 1
    by_tenant = "SELECT tenant_id, sum(requests), sum(cost) FROM ledger GROUP BY 1 ORDER BY 1"
    assert query(dsn, by_tenant) == [("globex", 1, Decimal("0.0021")), (None, 0, Decimal(0))]


def test_a_call_that_was_taken_out_of_every_sum_stays_out(dsn: str) -> None:
    gone = event()
    with LedgerWriter(dsn) as writer:
        writer.write(metered(gone))
    reversal = replace(
        adjustment_of(gone, uuid4(), "superseded"), requests=-1, cost=-Decimal("0.001525")
    )
    with closing(connect(dsn)) as connection:
        book(connection, [reversal])
    assert found(dsn, at("2/1M")) == []


@pytest.mark.parametrize(
    ("asked", "count"),
    [
        (Asked(since=NOON), 2),
        (Asked(since=NOON + timedelta(seconds=1)), 1),
        (Asked(since=NOON, until=NOON + timedelta(seconds=1)), 1),
        (Asked(since=NOON, tenant="globex"), 1),
        (Asked(since=NOON, model="gpt-4"), 0),
        (Asked(since=NOON, model="gpt-5-2025-08-07"), 2),
        (Asked(since=NOON, rate_versions=["test-rates"]), 2),
        (Asked(since=NOON, rate_versions=["other"]), 0),
    ],
)
def test_only_what_is_asked_for_is_costed_again(dsn: str, asked: Asked, count: int) -> None:
    store(dsn, {}, {"time": NOON + timedelta(minutes=1), "tenant_id": "globex"})
    assert len(found(dsn, at("2/1M"), asked)) == count


def test_one_repricing_at_a_time(dsn: str) -> None:
    with closing(connect(dsn)) as one, closing(connect(dsn)) as other:
        only_one(one)
        with pytest.raises(Busy, match="being repriced already"):
            only_one(other)


calls = st.fixed_dictionaries(
    {
        "input_tokens": st.integers(200, 10**6),
        "output_tokens": st.integers(20, 10**5),
        "tenant_id": st.sampled_from([None, "acme", "globex"]),
    },
    optional={"cost": st.none(), "service_tier": st.just("batch")},
)
prices = st.builds(
    override,
    tenant_id=st.sampled_from([None, None, "acme"]),
    model=st.sampled_from(["gpt-5*", "gpt-5-2025-08-07"]),
    service_tier=st.sampled_from([None, "batch"]),
    currency=st.sampled_from(["USD", "USD", "EUR"]),
    input_tokens=st.integers(0, 10**9).map(lambda price: f"{price}/1M"),
    output_tokens=st.integers(0, 10**9).map(lambda price: f"{price}/1M"),
)


@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(calls, min_size=1, max_size=6), st.lists(st.lists(prices), max_size=4))
def test_after_a_repricing_every_sum_is_that_of_the_new_rates(
    plain_dsn: str, made: Sequence[dict[str, object]], cards: Sequence[Sequence[CardRate]]
) -> None:
    """Whatever was booked, and however often it was repriced: at those rates there is no difference left."""
    priced = [{**each, **(UNPRICED if "cost" in each else {})} for each in made]
    store(plain_dsn, *priced)
    for listed in cards:
        new = rates(*{(each.card, each.name): each for each in listed}.values())
        reprice(plain_dsn, new)
        assert found(plain_dsn, new) == []
