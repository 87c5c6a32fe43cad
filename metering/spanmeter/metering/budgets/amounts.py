"""What usage comes to in the metric of a budget, and how far that has come."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import ROUND_DOWN, Decimal
from typing import Final

from spanmeter.metering.budgets.budget import COST, UNIT, Budget
from spanmeter.metering.costing import EXACT

MILLION: Final = 1_000_000
NOTHING: Final = Decimal(0)

STEP: Final = Decimal("1e-9")
"""What is lent ahead is a multiple of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Sums over rows of the ledger that have dimensions and minute in common. Signed: an adjustment may take off.

    Where prices are asked for, `price` is what a plan charges, in `currency`, and what is unpriced is that of markups.
    """

    minute: datetime
    dimensions: Mapping[str, str | None]
    currency: str = "USD"
    requests: int = 0
    cost: Decimal = NOTHING
    price: Decimal = NOTHING
    input_tokens: int = 0
    output_tokens: int = 0
    unpriced_requests: int = 0
    unpriced_input_tokens: int = 0
    unpriced_output_tokens: int = 0
    units: Mapping[str, Decimal] = field(default_factory=dict[str, Decimal])


def amount(budget: Budget, usage: Usage) -> Decimal:
    """What the usage comes to in the budget's metric. Money of other currencies is none of it."""
    metric = budget.metric
    if budget.is_of_money:
        if usage.currency != budget.currency:
            return NOTHING
        known = usage.cost if metric == COST else usage.price
        return EXACT.add(known, _stood_in_for(budget, usage))
    if metric.startswith(UNIT):
        return usage.units.get(metric.removeprefix(UNIT), NOTHING)
    return Decimal(_counted(metric, usage))


def _counted(metric: str, usage: Usage) -> int:
    counts = {
        "requests": usage.requests,
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "tokens": usage.input_tokens + usage.output_tokens,
    }
    if metric not in counts:
        raise ValueError(f"nothing tells what usage comes to in the metric {metric!r}")
    return counts[metric]


def _stood_in_for(budget: Budget, usage: Usage) -> Decimal:
    """What the unpriced part counts as. A budget that refuses what is unpriced has no rate for it."""
    rate = budget.unpriced
    if rate is None or not usage.unpriced_requests:
        return NOTHING
    tokens = EXACT.add(
        EXACT.multiply(rate.input, Decimal(usage.unpriced_input_tokens)),
        EXACT.multiply(rate.output, Decimal(usage.unpriced_output_tokens)),
    )
    by_request = EXACT.multiply(rate.request, Decimal(usage.unpriced_requests))
    return EXACT.add(EXACT.divide(tokens, Decimal(MILLION)), by_request)


def reached(spent: Decimal, limit: Decimal, thresholds: Sequence[Decimal]) -> list[Decimal]:
    """Those of the thresholds, in per cent of the limit, that what was spent has come to."""
    hundredfold = EXACT.multiply(spent, Decimal(100))
    return [each for each in sorted(thresholds) if hundredfold >= EXACT.multiply(each, limit)]


def share(
    left: Decimal, *, least: Decimal, asked: Decimal, wanted: Decimal, holders: int
) -> Decimal:
    """How much of what is left goes to one of so many holders of leases.

    All that it has asked for, which calls are waiting for, if that is there; nothing if that is not enough for the
    least of those calls. Of what it only wants, to be quick, up to half of its share: as less is left, leases shrink,
    until each is for single calls.
    """
    if left <= 0 or left < least:
        return NOTHING
    of_share = EXACT.divide(left, Decimal(2 * max(1, holders)))
    ahead = min(wanted, of_share.quantize(STEP, ROUND_DOWN, context=EXACT))
    return min(left, max(asked, ahead))
