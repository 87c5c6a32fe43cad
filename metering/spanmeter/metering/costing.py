"""Cost: quantities times rates, exactly."""

from collections.abc import Mapping
from decimal import Context, Decimal
from typing import Final, NamedTuple

from spanmeter.metering.rates import Rate, UnitRate
from spanmeter.metering.tokens import Tokens
from spanmeter.metering.usage_event import CostQuality

Quantities = Mapping[str, int | Decimal]
"""Amounts by unit, in the catalogue's unit names. A whole (`input_tokens`) includes its parts (`cache_read_tokens`)."""

_EXACT: Final = Context(prec=60)
"""Ample for prices times counts; only divisions by 3600 (prices per hour) do not come out even."""


class Component(NamedTuple):
    """One line of a cost: `quantity` units, not counting parts priced on their own, at `price` for each `per`."""

    unit: str
    quantity: int | Decimal
    price: Decimal
    per: int
    amount: Decimal


class Cost(NamedTuple):
    """An unrounded amount in US dollars and the lines it is the sum of; `None` where nothing is known to price it."""

    amount: Decimal | None
    quality: CostQuality
    components: tuple[Component, ...] = ()


UNPRICED: Final = Cost(None, "unpriced")


def priced_quantities(tokens: Tokens, others: Quantities) -> dict[str, int | Decimal]:
    """A call's counts under the catalogue's unit names, with one request."""
    named = {
        "input_tokens": tokens.input,
        "cache_read_tokens": tokens.cache_read,
        "cache_write_tokens": tokens.cache_write,
        "cache_write_5m_tokens": tokens.cache_write_by_ttl.get("5m"),
        "cache_write_1h_tokens": tokens.cache_write_by_ttl.get("1h"),
        "output_tokens": tokens.output,
        "output_reasoning_tokens": tokens.reasoning,
        "input_audio_tokens": tokens.audio_input,
        "output_audio_tokens": tokens.audio_output,
        "input_image_tokens": tokens.image_input,
        "output_image_tokens": tokens.image_output,
    }
    quantities: dict[str, int | Decimal] = {
        unit: amount for unit, amount in named.items() if amount
    }
    quantities.update(others)
    quantities["requests"] = 1
    return quantities


def cost_of(quantities: Quantities, rate: Rate) -> Cost:
    """What the quantities cost at a rate.

    `partial` where some quantity has no price in the rate and so is not in the amount, `fallback` where the rate
    stands in for one the catalogue does not have, else `exact`.
    """
    components = _components(quantities, rate)
    amount = sum((component.amount for component in components), Decimal(0))
    return Cost(amount, _quality(quantities, rate), components)


def _components(quantities: Quantities, rate: Rate) -> tuple[Component, ...]:
    own: list[int | Decimal] = []
    components: list[Component] = []
    input_tokens = quantities.get("input_tokens", 0)
    for unit_rate in rate.units:
        amount = _billed(quantities, unit_rate.unit, rate)
        amount -= sum(own[part] for part in unit_rate.parts)
        own.append(amount)
        if amount:
            components.append(_component(unit_rate, amount, input_tokens))
    return tuple(components)


def _component(rate: UnitRate, amount: int | Decimal, input_tokens: int | Decimal) -> Component:
    price = rate.price
    for start, tier_price in rate.tiers:
        if input_tokens > start:
            price = tier_price
            break
    product = _EXACT.multiply(price, Decimal(amount))
    return Component(rate.unit, amount, price, rate.per, _EXACT.divide(product, Decimal(rate.per)))


def _billed(quantities: Quantities, unit: str, rate: Rate) -> int | Decimal:
    amount = quantities.get(unit, 0)
    return max(amount, rate.minimums.get(unit, amount)) if amount else amount


def _quality(quantities: Quantities, rate: Rate) -> CostQuality:
    if any(
        unit not in rate.covers
        for unit, amount in quantities.items()
        if amount and unit != "requests"
    ):
        return "partial"
    return "exact" if rate.matched else "fallback"
