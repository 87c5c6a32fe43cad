"""Dividing an amount among several, exactly: the parts add up to the whole, to the last digit."""

from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction

from spanmeter.metering.costing import EXACT


def allocate(amount: Decimal, weights: Sequence[Decimal | int], places: int) -> list[Decimal]:
    """Parts of `amount` in proportion to the weights, each with at most `places` decimals; their sum is the amount.

    Each part is within one unit of the last place of its exact share (largest remainder; of equal remainders the
    first). Where the amount itself has more decimals than that, they stay with the greatest weight.
    Raises ValueError where the weights are negative or add up to nothing.
    """
    total = sum(map(Fraction, weights), Fraction())
    if total <= 0 or min(weights) < 0:
        raise ValueError(
            "an amount is divided by weights of which none is negative, and one is not 0"
        )
    unit = Decimal(1).scaleb(-places)
    whole = EXACT.divide_int(amount, unit)
    shares = [Fraction(int(whole)) * Fraction(weight) / total for weight in weights]
    units = [int(share) for share in shares]
    short = int(whole) - sum(units)
    step = 1 if short >= 0 else -1
    by_remainder = sorted(range(len(shares)), key=lambda at: (-abs(shares[at] - units[at]), at))
    for at in by_remainder[: abs(short)]:
        units[at] += step
    parts = [EXACT.multiply(Decimal(count), unit) for count in units]
    rest = EXACT.subtract(amount, EXACT.multiply(whole, unit))
    if rest:
        greatest = max(range(len(parts)), key=lambda at: weights[at])
        parts[greatest] = EXACT.add(parts[greatest], rest)
    return parts
