"""Amounts inside the application: whole numbers of billionths of a thousandth, which are exact and quick."""

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Final

SCALE: Final = 10**12
"""One dollar, token or request."""

LEAST: Final = 1
"""What is taken for a call that nothing can be estimated of: there has to be anything left at all."""


def rounded_down(written: str | int) -> int:
    """What the collector lends."""
    return int((Decimal(written) * SCALE).to_integral_value(ROUND_FLOOR))


def rounded_up(written: str | int) -> int:
    """What the collector charges, and what it says is spent."""
    return int((Decimal(written) * SCALE).to_integral_value(ROUND_CEILING))


def exact(amount: int) -> Decimal:
    """The amount as people write it."""
    return Decimal(amount) / SCALE


def written(amount: int) -> str:
    """The amount for the collector."""
    return f"{exact(amount):f}"
