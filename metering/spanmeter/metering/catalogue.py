"""The genai-prices catalogue as a rate card: its dated, conditional prices laid out as one rate for each case.

It is read from the JSON that genai-prices publishes, which is checked and bounded: a file may come from anywhere.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Any, Final, NamedTuple, cast

from spanmeter.metering.card_rate import CATALOGUE_CARD, CardRate, Hours
from spanmeter.metering.model_match import BadClause, Clause, checked
from spanmeter.metering.prices import MAX_TIERS, BadPrice, Price, Prices, decimal
from spanmeter.metering.unit_rates import unit_of_price

STANDARD_TIERS: Final = frozenset({"default", "standard", "auto", "on_demand", "standard_only"})
"""Service tiers that name the list price."""

CONTEXT_KEYS: Final = ("service_tier", "processing", "speed")
"""What the catalogue's variants depend on, as far as it is one word that a provider answers with:
`priority` and `flex`, `batch`, `fast`."""

MAX_MODELS: Final = 50_000
MAX_CONDITIONS: Final = 100
MAX_NAME: Final = 512
EARLIEST: Final = datetime(2000, 1, 1, tzinfo=UTC)
MIDNIGHT: Final = time()

Json = Mapping[str, Any]


class BadCatalogue(ValueError):
    """A catalogue that cannot be read. The message names the provider and the model."""


class Catalogue(NamedTuple):
    """The rates of a card, and by provider those whose models stand in for its own (`azure`: `openai` ...)."""

    rates: list[CardRate]
    fallbacks: dict[str, list[str]]


@dataclass(frozen=True)
class _Condition:
    """When some prices hold: from a day on, within hours of each day, or always; and in which tier, `None` for any."""

    starts: date | None
    hours: Hours | None
    words: frozenset[str] | None
    prices: Prices

    def active(self, at: datetime) -> bool:
        if self.starts is not None:
            return at.date() >= self.starts
        if self.hours is None:
            return True
        begin, end = self.hours
        if end < begin:
            return at.time() >= begin or at.time() < end
        return begin <= at.time() < end


def read_catalogue(providers: object, version: str) -> Catalogue:
    """The card that a list of providers states, as genai-prices publishes it. Raises `BadCatalogue`."""
    rates: list[CardRate] = []
    fallbacks: dict[str, list[str]] = {}
    for provider in _objects(providers, "the catalogue"):
        provider_id = _name(provider.get("id"), "a provider")
        if others := provider.get("fallback_model_providers"):
            fallbacks[provider_id] = [_name(other, provider_id) for other in _listed(others)]
        for model in _objects(provider.get("models", []), provider_id):
            rates += _rates_of(provider_id, model, version, len(rates))
            if len(rates) > MAX_MODELS:
                raise BadCatalogue(f"the catalogue has more than {MAX_MODELS} rates")
    if not rates:
        raise BadCatalogue("the catalogue has no model")
    return Catalogue(rates, fallbacks)


def prices_of(stated: Mapping[str, Any]) -> dict[str, Price]:
    """Prices by unit from prices by the catalogue's own keys (`input_mtok`). Raises `BadPrice`."""
    prices: dict[str, Price] = {}
    for key, value in stated.items():
        if value is None:
            continue
        unit = unit_of_price(key)
        if unit is None:
            raise BadPrice(f"the price {key[:40]!r} is of no unit that this genai-prices knows")
        prices[unit.usage_key] = _price(value, unit.per)
    return prices


def _price(value: object, per: int) -> Price:
    if not isinstance(value, Mapping):
        return Price(decimal(value), per)
    stated = cast("Json", value)
    listed = _objects(stated.get("tiers", []), "a price")[: MAX_TIERS + 1]
    if len(listed) > MAX_TIERS:
        raise BadPrice(f"a price has more than {MAX_TIERS} tiers")
    tiers = sorted((_start(tier.get("start")), decimal(tier.get("price"))) for tier in listed)
    return Price(decimal(stated.get("base")), per, tuple(tiers))


def _start(value: object) -> int:
    if type(value) is not int or not 0 <= value <= 10**12:
        raise BadPrice("a tier of a price has no start that is a number of tokens")
    return value


def _rates_of(provider_id: str, model: Json, version: str, position: int) -> Iterator[CardRate]:
    model_id = _name(model.get("id"), provider_id)
    where = f"{provider_id}/{model_id}"
    try:
        clause = checked(model.get("match"))
        conditions = _conditions(model)
    except (BadClause, BadPrice, BadCatalogue) as error:
        raise BadCatalogue(f"{where}: {error}") from None
    for segment in _segments(conditions):
        yield _card_rate(provider_id, model_id, clause, version, position, segment)


def _card_rate(
    provider_id: str,
    model_id: str,
    clause: Clause,
    version: str,
    position: int,
    segment: "_Segment",
) -> CardRate:
    return CardRate(
        card=CATALOGUE_CARD,
        version=version,
        scope="catalogue",
        provider=provider_id,
        model=model_id,
        matches=clause,
        prices=segment.prices,
        service_tier=segment.word,
        effective_from=segment.starts,
        hours=segment.hours,
        position=position,
    )


def _conditions(model: Json) -> list[_Condition]:
    """The prices in the order in which the first that is active wins, those of a tier before the list prices."""
    prices: object = model.get("prices", {})
    dated: list[Json] = (
        [{"prices": prices}] if isinstance(prices, Mapping) else _objects(prices, "the model")
    )
    variants = _objects(model.get("price_variants") or [], "the model")
    if len(dated) + len(variants) > MAX_CONDITIONS:
        raise BadCatalogue(f"has more than {MAX_CONDITIONS} conditional prices")
    of_tiers = [_condition(variant, _words(variant)) for variant in variants]
    # Of the list prices the last that is active holds, and the first of all where none is.
    listed = [_condition(part, None) for part in dated] or [_Condition(None, None, None, {})]
    always = _Condition(None, None, None, listed[0].prices)
    return [*(each for each in of_tiers if each.words), *reversed(listed), always]


def _words(variant: Json) -> frozenset[str]:
    """The tiers that a variant is for; other conditions are none that a span tells."""
    when = cast("Json", variant.get("when") or {})
    if len(when) != 1:
        return frozenset()
    return frozenset(
        str(word)
        for key, word in when.items()
        if key in CONTEXT_KEYS and word not in STANDARD_TIERS
    )


def _condition(part: Json, words: frozenset[str] | None) -> _Condition:
    constraint = cast("Json", part.get("constraint") or {})
    stated = part.get("prices")
    if not isinstance(stated, Mapping):
        raise BadCatalogue("has conditional prices without any")
    prices = prices_of(cast("Json", stated))
    try:
        if (start := constraint.get("start_date")) is not None:
            return _Condition(date.fromisoformat(str(start)), None, words, prices)
        if "start_time" in constraint:
            hours = _utc(constraint["start_time"]), _utc(constraint["end_time"])
            return _Condition(None, hours, words, prices)
    except (ValueError, KeyError):
        raise BadCatalogue("has a constraint that is neither a date nor hours") from None
    if constraint:
        raise BadCatalogue(f"has a constraint {next(iter(constraint))!r} that is not understood")
    return _Condition(None, None, words, prices)


def _utc(value: object) -> time:
    moment = time.fromisoformat(str(value))
    if moment.tzinfo is not None:
        moment = datetime.combine(date(2000, 1, 2), moment).astimezone(UTC).time()
    if moment.second or moment.microsecond:
        raise ValueError("hours are to the minute")
    return moment


class _Segment(NamedTuple):
    """Prices that hold from a moment on, within some hours, in a tier."""

    starts: datetime | None
    hours: Hours | None
    word: str | None
    prices: Prices


def _segments(conditions: Sequence[_Condition]) -> Iterator[_Segment]:
    """The conditions laid out: for each tier, from each day on which something changes, by the hours of the day."""
    days = sorted({each.starts for each in conditions if each.starts is not None})
    words = sorted({word for each in conditions for word in each.words or ()})
    for word in (None, *words):
        before: list[tuple[Hours | None, Prices]] | None = None
        for day in (None, *days):
            starts = None if day is None else datetime.combine(day, MIDNIGHT, UTC)
            parts = list(_parts_of_day(conditions, word, starts or EARLIEST))
            # A segment that says what the one before it says is left out.
            if parts and parts != before:
                yield from (_Segment(starts, hours, word, prices) for hours, prices in parts)
                before = parts


def _parts_of_day(
    conditions: Sequence[_Condition], word: str | None, day: datetime
) -> Iterator[tuple[Hours | None, Prices]]:
    """The hours of a day and what holds in them, where anything does."""
    edges = sorted({MIDNIGHT, *(edge for each in conditions for edge in each.hours or ())})
    held: list[tuple[time, Prices | None]] = []
    for edge in edges:
        found = _in_force(conditions, word, datetime.combine(day, edge, UTC))
        if not held or held[-1][1] != found:
            held.append((edge, found))
    ends = [*(edge for edge, _ in held[1:]), MIDNIGHT]
    for (begin, prices), end in zip(held, ends, strict=True):
        if prices is not None:
            yield (None if begin == end else (begin, end)), prices


def _in_force(
    conditions: Sequence[_Condition], word: str | None, at: datetime
) -> dict[str, Price] | None:
    """What a call in a tier pays then; `None` where the tier has no price of its own."""
    prices: dict[str, Price] = {}
    own = word is None
    for each in conditions:
        if not each.active(at) or (each.words is not None and word not in each.words):
            continue
        own = own or each.words is not None
        # Each price of a tier is looked for by itself; the list prices make up for the others.
        prices = {**each.prices, **prices}
        if each.words is None:
            break
    return prices if own else None


def _objects(value: object, where: str) -> list[Json]:
    listed = _listed(value)
    if not all(isinstance(each, Mapping) for each in listed):
        raise BadCatalogue(f"{where} holds something that is no object")
    return cast("list[Json]", listed)


def _listed(value: object) -> list[object]:
    if not isinstance(value, list):
        raise BadCatalogue("the catalogue has no list where one is needed")
    return cast("list[object]", value)


def _name(value: object, where: str) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= MAX_NAME or not value.isprintable():
        raise BadCatalogue(f"{where} has no name that is text")
    return value
