from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanmeter.metering.allocation import allocate

AMOUNTS = st.decimals(-(10**9), 10**9, places=14)
WEIGHTS = st.lists(st.decimals(0, 10**6, places=9), min_size=1, max_size=20).filter(any)


@given(AMOUNTS, WEIGHTS, st.integers(0, 12))
def test_the_parts_add_up_to_the_amount_to_the_last_digit(
    amount: Decimal, weights: list[Decimal], places: int
) -> None:
    assert sum(allocate(amount, weights, places)) == amount


@given(AMOUNTS.map(lambda amount: round(amount, 6)), WEIGHTS)
def test_no_part_is_a_unit_of_the_last_place_away_from_its_share(
    amount: Decimal, weights: list[Decimal]
) -> None:
    for part, weight in zip(allocate(amount, weights, 6), weights, strict=True):
        assert abs(part - amount * weight / sum(weights)) < Decimal("0.0000010001")
        assert weight or not part


def test_a_cent_that_cannot_be_divided_goes_to_the_first_of_those_with_the_greatest_remainder() -> (
    None
):
    assert allocate(Decimal("1.00"), [1, 1, 1], 2) == [
        Decimal("0.34"),
        Decimal("0.33"),
        Decimal("0.33"),
    ]


@pytest.mark.parametrize("weights", [[], [0], [1, -1], [3, -1]])
def test_without_a_weight_there_is_nobody_to_give_it_to(weights: list[int]) -> None:
    with pytest.raises(ValueError, match="weights"):
        allocate(Decimal(1), weights, 2)
