"""Heavy against normal: how the cost of tenants, or of one tenant's users, is spread."""

import math
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import NamedTuple

from spanmeter.console.web.breakdown import Line
from spanmeter.metering.costing import EXACT, NO_MONEY

_MOST = Decimal("0.8")


class Concentration(NamedTuple):
    """Of the `names` that cost something: the usual and the heavy, and how many cause 80 % of the cost.

    `top_tenth` is the part of the cost, 0 to 1, that the heaviest tenth causes.
    """

    names: int
    median: Decimal | None = None
    ninth_decile: Decimal | None = None
    ninety_ninth: Decimal | None = None
    greatest: Decimal | None = None
    drive_most: int = 0
    top_tenth: Decimal | None = None

    @property
    def heaviest_to_median(self) -> Decimal | None:
        """How many times the usual the heaviest costs."""
        return self.greatest / self.median if self.greatest and self.median else None


def concentration(lines: Iterable[Line]) -> Concentration:
    """How cost is spread over those that have a name and cost something."""
    costs = sorted(
        (each.row.cost for each in lines if each.name is not None and each.row.cost), reverse=True
    )
    costs = [each for each in costs if each > 0]
    if not costs:
        return Concentration(0)
    whole = _sum(costs)
    return Concentration(
        len(costs),
        _quantile(costs, 0.5),
        _quantile(costs, 0.9),
        _quantile(costs, 0.99),
        costs[0],
        _drive(costs, EXACT.multiply(whole, _MOST)),
        _sum(costs[: math.ceil(len(costs) / 10)]) / whole,
    )


def _quantile(costs: Sequence[Decimal], part: float) -> Decimal:
    """The least cost that this part of all, from the least on, does not exceed."""
    return costs[len(costs) - math.ceil(len(costs) * part)]


def _drive(costs: Sequence[Decimal], enough: Decimal) -> int:
    reached = NO_MONEY
    for count, cost in enumerate(costs, 1):
        reached = EXACT.add(reached, cost)
        if reached >= enough:
            return count
    return len(costs)


def _sum(costs: Iterable[Decimal]) -> Decimal:
    whole = NO_MONEY
    for each in costs:
        whole = EXACT.add(whole, each)
    return whole
