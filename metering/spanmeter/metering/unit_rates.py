"""A model's prices, unit by unit, in the form that costing runs through."""

from collections.abc import Iterator, Sequence
from decimal import Context, Decimal, Inexact
from functools import lru_cache
from itertools import combinations
from typing import Final, NamedTuple

from genai_prices.data_units import unit_data
from genai_prices.units import UnitDef, UnitRegistry

from spanmeter.metering.card_rate import CardRate
from spanmeter.metering.prices import Price

_REGISTRY: Final = UnitRegistry(unit_data)

# groq.com/pricing, speech recognition: at least ten seconds are billed a request.
_LEAST_TEN_SECONDS: Final = frozenset(
    {("groq", "whisper-large-v3"), ("groq", "whisper-large-v3-turbo")}
)
_SECONDS: Final = frozenset({"audio_seconds", "input_audio_seconds"})


class UnitRate(NamedTuple):
    """The price of one unit: `price` for every `per` units, which is `each` for one, where that comes out even.

    `tiers` are the prices that replace it once the call's input exceeds their start, highest first.
    `parts` are the indexes of the rates, earlier in the list, whose units lie within this one (cache
    reads within input), and are not charged a second time. At least `minimum` is charged, if any.
    """

    unit: str
    per: int
    price: Decimal
    each: Decimal | None
    tiers: tuple[tuple[int, Decimal], ...]
    parts: tuple[int, ...]
    minimum: int


class Rate(NamedTuple):
    """All the prices of one model at one moment, the most specific unit first.

    `name` is its place in its card (`openai/gpt-4o-mini`). `covers` are the units that some
    price reaches; one request is always among them. `joins` are units with a price that two others
    with a price have in common (cached audio: audio, and cached), as `(join, one, other)`. `matched`
    is false where no card has a price of its own for the provider or for the service tier, and the
    nearest one stands in. `rate_version` is card, version and name; `region` what it is limited to.
    """

    name: str
    units: tuple[UnitRate, ...]
    covers: frozenset[str]
    joins: tuple[tuple[str, str, str], ...]
    matched: bool
    rate_version: str = ""
    currency: str = "USD"
    region: str | None = None


def compiled(rate: CardRate) -> Rate | None:
    """The rate of a card, as one that matches; `None` if the card lists the model without any price."""
    priced = sorted(
        ((_unit(unit), price) for unit, price in rate.prices.items()),
        key=lambda pair: (-len(pair[0].dimensions), pair[0].usage_key),
    )
    if not priced:
        return None
    units = [unit for unit, _ in priced]
    least = 10 if (rate.provider, rate.model) in _LEAST_TEN_SECONDS else 0
    return Rate(
        name=rate.name,
        units=tuple(
            _unit_rate(unit, value, units[:index], least if unit.usage_key in _SECONDS else 0)
            for index, (unit, value) in enumerate(priced)
        ),
        covers=_covered(units),
        joins=tuple(_joins(units)),
        matched=True,
        rate_version=rate.rate_version,
        currency=rate.currency,
        region=rate.region,
    )


def unit_of_price(key: str) -> UnitDef | None:
    """The unit that a price of the catalogue is for: `input_mtok` → `input_tokens`."""
    try:
        return _REGISTRY.unit_for_price_key(key)
    except KeyError:
        return None


@lru_cache(maxsize=1024)
def wholes_of(unit: str) -> frozenset[str]:
    """The units that include another: `input_audio_seconds` → `audio_seconds`."""
    known = unit in _REGISTRY.units
    return _REGISTRY.ancestor_usage_keys(unit) if known else frozenset()


def _unit(usage_key: str) -> UnitDef:
    """A unit of the catalogue, or one of an application's own, which shares nothing with any other.

    `images.1024x1024.low` are among the `images`.
    """
    if (known := _REGISTRY.units.get(usage_key)) is not None:
        return known
    head, _, detail = usage_key.partition(".")
    if not detail:
        return UnitDef(usage_key, usage_key, 1, {"family": usage_key})
    return UnitDef(usage_key, usage_key, 1, {**_unit(head).dimensions, "detail": detail})


def _unit_rate(unit: UnitDef, price: Price, earlier: Sequence[UnitDef], minimum: int) -> UnitRate:
    each = _each(price.price, price.per)
    tiers = tuple(reversed(price.tiers))
    parts = tuple(index for index, part in enumerate(earlier) if _within(part, unit))
    return UnitRate(unit.usage_key, price.per, price.price, each, tiers, parts, minimum)


def _each(price: Decimal, per: int) -> Decimal | None:
    exact = Context(prec=28, traps=[Inexact])
    try:
        return exact.divide(price, Decimal(per))
    except Inexact:
        return None


def _covered(units: Sequence[UnitDef]) -> frozenset[str]:
    reached = {
        key for key, unit in _REGISTRY.units.items() if any(_within(unit, whole) for whole in units)
    }
    return frozenset(reached | {unit.usage_key for unit in units} | {"requests"})


def _joins(units: Sequence[UnitDef]) -> Iterator[tuple[str, str, str]]:
    for one, other in combinations(units, 2):
        join = _REGISTRY.find_join(one, other)
        if join is not None and join in units and join not in (one, other):
            yield join.usage_key, one.usage_key, other.usage_key


def _within(part: UnitDef, whole: UnitDef) -> bool:
    return whole.dimensions.items() <= part.dimensions.items()
