"""Cost: quantities times rates, exactly."""

from collections.abc import Mapping
from decimal import Context, Decimal, getcontext, setcontext
from typing import Final, NamedTuple

from spanmeter.metering.tokens import Tokens
from spanmeter.metering.unit_rates import Rate, wholes_of
from spanmeter.metering.usage_event import CostQuality

Quantity = int | Decimal
Quantities = Mapping[str, Quantity]
"""Amounts by unit, in the catalogue's unit names. A whole (`input_tokens`) includes its parts
(`cache_read_tokens`)."""

EXACT: Final = Context(prec=80)
"""Ample for prices times counts; only divisions by 3600 (prices per hour) do not come out even."""


class Component(NamedTuple):
    """One line of a cost: `quantity` units, without the parts that are priced on their own.

    They cost `price` for every `per`.
    """

    unit: str
    quantity: Quantity
    price: Decimal
    per: int
    amount: Decimal


class Cost(NamedTuple):
    """An unrounded amount in the rate's currency and the lines it is the sum of; `None` where unpriced."""

    amount: Decimal | None
    quality: CostQuality
    components: tuple[Component, ...] = ()


NO_MONEY: Final = Decimal(0)

UNPRICED: Final = Cost(None, "unpriced")

FREE_UNITS: Final = frozenset({"web_fetches"})
"""Units that no provider charges for: what a fetched page costs is the tokens that it brings.

Source: platform.claude.com/docs/en/agents-and-tools/tool-use/web-fetch-tool, "Usage and pricing"."""

TOLD_IN: Final = {"images": "output_image_tokens", "videos": "video_seconds"}
"""Units → the unit in which the same thing is charged for, where an answer gives both."""


def priced_quantities(tokens: Tokens, others: Mapping[str, Decimal]) -> dict[str, Quantity]:
    """A call's counts under the catalogue's unit names, with one request."""
    by_ttl = tokens.cache_write_by_ttl
    named = (
        ("input_tokens", tokens.input_tokens),
        ("cache_read_tokens", tokens.cache_read_input_tokens),
        ("cache_write_tokens", tokens.cache_write_input_tokens),
        ("cache_write_5m_tokens", by_ttl.get("5m")),
        ("cache_write_1h_tokens", by_ttl.get("1h")),
        ("output_tokens", tokens.output_tokens),
        ("output_reasoning_tokens", tokens.reasoning_output_tokens),
        ("input_audio_tokens", tokens.audio_input_tokens),
        ("output_audio_tokens", tokens.audio_output_tokens),
        ("input_image_tokens", tokens.image_input_tokens),
        ("output_image_tokens", tokens.image_output_tokens),
    )
    quantities: dict[str, Quantity] = {unit: n for unit, n in named if n is not None}
    quantities["requests"] = 1
    quantities.update(others)
    for unit, amount in others.items():
        # 30 s of `input_audio_seconds` are 30 `audio_seconds`, which is what some models price.
        for whole in wholes_of(unit):
            quantities.setdefault(whole, amount)
    return quantities


def cost_of(quantities: Quantities, rate: Rate) -> Cost:
    """What the quantities cost at a rate.

    `partial` where some quantity has no price in the rate and so is not in the amount, `fallback`
    where the rate stands in for one that the catalogue does not have, else `exact`. `unpriced` where
    no quantity has a price, and where priced quantities overlap by an amount that is not given.
    """
    before = getcontext()
    # Quicker than `localcontext`, which copies the context for every call.
    setcontext(EXACT)
    try:
        return _cost_of(quantities, rate)
    finally:
        setcontext(before)


def _cost_of(quantities: Quantities, rate: Rate) -> Cost:
    components = _components(quantities, rate)
    if components is None:
        return UNPRICED
    quality: CostQuality = "exact" if rate.matched else "fallback"
    # The first test is quick and nearly always decides; zeros of what has no price do not matter.
    if not quantities.keys() <= rate.covers and _uncovered(quantities, rate):
        if not components:
            return UNPRICED
        quality = "partial"
    amount = NO_MONEY
    for component in components:
        amount += component.amount
    # Without the zeros at its end, and without an exponent above 0.
    return Cost(amount.normalize() + NO_MONEY, quality, components)


def _uncovered(quantities: Quantities, rate: Rate) -> bool:
    return any(
        amount and unit not in rate.covers and not _told_otherwise(unit, quantities)
        for unit, amount in quantities.items()
    )


def _told_otherwise(unit: str, quantities: Quantities) -> bool:
    """Whether the unit adds nothing to what others say: it is free, or a detail of one of them, as
    `images.1024x1024.low` is of `images`."""
    head, _, detail = unit.partition(".")
    if detail:
        return head in quantities
    return unit in FREE_UNITS or TOLD_IN.get(unit) in quantities


def _components(quantities: Quantities, rate: Rate) -> tuple[Component, ...] | None:
    """The lines of a cost, or `None` where the quantities do not tell how they overlap."""
    for join, one, other in rate.joins:
        if join not in quantities and quantities.get(one) and quantities.get(other):
            return None
    own: list[Quantity] = []
    components: list[Component] = []
    input_tokens = quantities.get("input_tokens", 0)
    for unit, per, price, each, tiers, parts, minimum in rate.units:
        amount = quantities.get(unit, 0)
        if minimum and 0 < amount < minimum:
            amount = minimum
        for part in parts:
            amount -= own[part]
        own.append(amount)
        if amount < 0:
            return None
        if not amount:
            continue
        # The last of the tiers begins first; few calls reach it.
        if tiers and input_tokens > tiers[-1][0]:
            due = _tier_price(tiers, input_tokens, price)
            money = due * amount / per
        else:
            # The division is what takes longest.
            due = price
            money = price * amount / per if each is None else each * amount
        components.append(Component(unit, amount, due, per, money))
    return tuple(components)


def _tier_price(
    tiers: tuple[tuple[int, Decimal], ...], input_tokens: Quantity, base: Decimal
) -> Decimal:
    """All of a call is charged at the tier that its input reaches, not only what is above its start."""
    return next((price for start, price in tiers if input_tokens > start), base)
