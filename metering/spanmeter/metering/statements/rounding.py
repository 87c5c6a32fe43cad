"""Rounding: once, at the total; the lines are made to add up to it."""

from collections.abc import Sequence
from decimal import ROUND_FLOOR, ROUND_HALF_EVEN, Decimal
from typing import Final

from spanmeter.metering.costing import EXACT

_DIGITS: Final = {
    **dict.fromkeys(("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW"), 0),
    **dict.fromkeys(("PYG", "RWF", "UGX", "UYI", "VND", "VUV", "XAF", "XOF", "XPF"), 0),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
}
"""Decimals of currencies that have not two. Source: ISO 4217, list one."""


def smallest(currency: str) -> Decimal:
    """The smallest amount of a currency that can be paid: 0.01."""
    return Decimal(1).scaleb(-_DIGITS.get(currency, 2))


def rounded(amount: Decimal, unit: Decimal) -> Decimal:
    """An amount in whole units, half to even."""
    return amount.quantize(unit, rounding=ROUND_HALF_EVEN, context=EXACT)


def spread(amounts: Sequence[Decimal], unit: Decimal) -> list[Decimal]:
    """The amounts in whole units, each less than one off, so that they add up to the rounded total.

    Each is rounded down, and those with the largest remainders get what is missing; of equal ones the first.
    """
    total = Decimal(0)
    for amount in amounts:
        total = EXACT.add(total, amount)
    parts = [each.quantize(unit, rounding=ROUND_FLOOR, context=EXACT) for each in amounts]
    short = rounded(total, unit)
    for part in parts:
        short = EXACT.subtract(short, part)
    remainders = [EXACT.subtract(amount, part) for amount, part in zip(amounts, parts, strict=True)]
    order = sorted(range(len(parts)), key=lambda place: (-remainders[place], place))
    for place in order[: int(short / unit)]:
        parts[place] = EXACT.add(parts[place], unit)
    return parts
