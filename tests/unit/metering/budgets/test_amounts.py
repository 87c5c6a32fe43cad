"""What usage comes to, and how much of what is left is lent."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanmeter.metering.budgets.amounts import Usage, amount, reached, share
from spanmeter.metering.budgets.budget import Budget, FallbackRate

USAGE = Usage(
    minute=datetime(2026, 11, 20, 12, tzinfo=UTC),
    dimensions={"tenant.id": "acme"},
    requests=3,
    cost=Decimal("0.1"),
    price=Decimal("0.3"),
    input_tokens=1000,
    output_tokens=200,
    unpriced_requests=1,
    unpriced_input_tokens=400,
    unpriced_output_tokens=100,
    units={"pages": Decimal("2.5")},
)


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        # 0.1 + 400 x 3/M + 100 x 15/M + 0.01 = 0.1 + 0.0012 + 0.0015 + 0.01
        ({"unpriced": FallbackRate(Decimal(3), Decimal(15), Decimal("0.01"))}, "0.1127"),
        ({"unpriced": None}, "0.1"),
        ({"currency": "EUR"}, "0"),
        ({"metric": "price", "unpriced": None}, "0.3"),
        # 0.3 + 400 x 15/M + 100 x 75/M
        ({"metric": "price"}, "0.3135"),
        ({"metric": "price", "currency": "EUR"}, "0"),
        ({"metric": "tokens"}, "1200"),
        ({"metric": "input_tokens"}, "1000"),
        ({"metric": "output_tokens"}, "200"),
        ({"metric": "requests"}, "3"),
        ({"metric": "unit:pages"}, "2.5"),
        ({"metric": "unit:images"}, "0"),
    ],
)
def test_usage_comes_to_what_the_metric_says(members: dict[str, Any], expected: str) -> None:
    budget = Budget(name="b", scope={}, limit=Decimal(1), **members)
    assert amount(budget, USAGE) == Decimal(expected)


def test_a_threshold_is_reached_when_it_is_reached_exactly() -> None:
    thresholds = (Decimal(100), Decimal(50), Decimal("80.5"))
    assert reached(Decimal("4.999999"), Decimal(10), thresholds) == []
    assert reached(Decimal("8.05"), Decimal(10), thresholds) == [Decimal(50), Decimal("80.5")]


amounts = st.decimals(0, 1000, places=6)


@given(st.decimals(-10, 1000, places=6), amounts, amounts, amounts, st.integers(1, 100))
def test_no_more_is_lent_than_is_left(
    left: Decimal, least: Decimal, more: Decimal, wanted: Decimal, holders: int
) -> None:
    asked = least + more
    lent = share(left, least=least, asked=asked, wanted=wanted, holders=holders)
    assert 0 <= lent <= max(left, Decimal(0))
    # A call that fits is never turned away.
    assert lent >= least or left < least
    # What nobody waits for shrinks with what is left.
    assert lent <= max(asked, left / 2)
    assert 2 * holders * lent <= max(2 * holders * asked, left)
