"""What quantities come to at the tiers of a charge: split where one ends, so that the parts add up to the whole."""

from collections.abc import Iterator
from decimal import Decimal
from typing import NamedTuple

from spanmeter.metering.costing import EXACT
from spanmeter.metering.plans.plan import NOTHING, Charge, Tier
from spanmeter.metering.prices import Price


class Part(NamedTuple):
    """A quantity at one price, and what that comes to, unrounded."""

    price: Price
    quantity: Decimal
    amount: Decimal


def at(price: Price, quantity: Decimal) -> Part:
    """A quantity at a price."""
    product = EXACT.multiply(price.price, quantity)
    return Part(price, quantity, EXACT.divide(product, Decimal(price.per)))


def graduated(charge: Charge, begin: Decimal, quantity: Decimal) -> Iterator[Part]:
    """A quantity that comes on top of `begin`, each part at the price of its own tier; below 0, what is taken off."""
    end = EXACT.add(begin, quantity)
    lower, upper = min(begin, end), max(begin, end)
    floor: Decimal | None = None
    for tier in charge.tiers:
        # The first tier reaches below 0, which only corrections do; the last one has no end.
        first = lower if floor is None else max(lower, floor)
        last = upper if tier.up_to is None else min(upper, tier.up_to)
        if last > first:
            part = EXACT.subtract(last, first)
            yield at(tier.price, part if end >= begin else EXACT.minus(part))
        floor = tier.up_to


def by_volume(charge: Charge, total: Decimal, quantity: Decimal) -> Part:
    """A quantity at the tier that the total of the period reaches."""
    return at(_reached(charge.tiers, total).price, quantity)


def first_price(charge: Charge) -> Price | None:
    """The price of the first unit of a period; None for a markup."""
    return charge.tiers[0].price if charge.tiers else charge.price


def _reached(tiers: tuple[Tier, ...], total: Decimal) -> Tier:
    return next(tier for tier in tiers if tier.up_to is None or max(total, NOTHING) <= tier.up_to)
