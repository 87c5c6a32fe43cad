"""A second opinion on prices: LiteLLM's `model_prices_and_context_window.json`, a user's own copy of it.

It comes from anywhere, so everything in it is checked; it knows no dates, so it speaks of today's prices only.
Source of the field names: github.com/BerriAI/litellm, the file of that name.
"""

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from decimal import Context, Decimal
from typing import Any, Final, NamedTuple, cast

from spanmeter.metering.card_rate import CardRate
from spanmeter.metering.prices import BadPrice, decimal
from spanmeter.metering.providers import canonical_provider, catalogue_id

TOLERANCE: Final = Decimal("0.01")
"""Catalogues that differ by more than this part of a price do not agree."""

MAX_ENTRIES: Final = 100_000

_UNITS: Final = {
    "input_cost_per_token": "input_tokens",
    "output_cost_per_token": "output_tokens",
    "output_cost_per_reasoning_token": "output_reasoning_tokens",
    "cache_read_input_token_cost": "cache_read_tokens",
    "cache_creation_input_token_cost": "cache_write_tokens",
    "cache_creation_input_token_cost_above_1hr": "cache_write_1h_tokens",
    "input_cost_per_audio_token": "input_audio_tokens",
    "output_cost_per_audio_token": "output_audio_tokens",
}
_TIERS: Final = {"_batches": "batch", "_flex": "flex", "_priority": "priority"}
_ABOVE: Final = re.compile(r"_above_([0-9]{1,6})k_tokens")
_PROVIDERS: Final = {
    "azure_ai": "azure",
    "cohere_chat": "cohere",
    "text-completion-openai": "openai",
}
"""LiteLLM's names of providers that are neither ours nor known to us as an emitter's."""

_RATIO: Final = Context(prec=12)

_Key = tuple[str, int | None]
"""A unit, and the start of the tier by the length of the input."""


class BadSecondCatalogue(ValueError):
    """A file that is no such catalogue."""


class SecondOpinion(NamedTuple):
    """Whether the second catalogue agrees with a rate, and by unit its own price for one, where that differs."""

    agrees: bool
    differences: Mapping[str, Decimal]


class SecondCatalogue:
    """Prices for one unit, by the catalogue's provider, model and tier."""

    def __init__(self, priced: Mapping[str, Mapping[str, Mapping[str | None, "_Prices"]]]) -> None:
        self._priced = priced

    def __len__(self) -> int:
        return sum(map(len, self._priced.values()))

    def opinion(self, rate: CardRate) -> SecondOpinion | None:
        """What it says of a rate; `None` where it knows no price that the rate has, too."""
        models = self._priced.get(rate.provider, {})
        exact = models.get(rate.model.lower())
        taken = (
            [exact] if exact else [each for name, each in models.items() if rate.takes(name, None)]
        )
        compared, differences = 0, dict[str, Decimal]()
        for prices in (each.get(rate.service_tier, {}) for each in taken):
            for key, ours in _for_one(rate).items():
                if (theirs := prices.get(key)) is None:
                    continue
                compared += 1
                if _differ(ours, theirs):
                    differences[_spelled(key)] = theirs
        return SecondOpinion(not differences, differences) if compared else None


_Prices = Mapping[_Key, Decimal]


def read_second_catalogue(text: str) -> SecondCatalogue:
    """The catalogue in a text. Raises `BadSecondCatalogue`."""
    try:
        entries = json.loads(text, parse_float=Decimal, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise BadSecondCatalogue(f"is no JSON: {error}") from None
    if not isinstance(entries, dict) or len(cast("dict[str, Any]", entries)) > MAX_ENTRIES:
        raise BadSecondCatalogue("is no object of models, or has too many of them")
    priced: defaultdict[str, dict[str, dict[str | None, _Prices]]] = defaultdict(dict)
    for name, entry in cast("dict[str, object]", entries).items():
        if name == "sample_spec" or not isinstance(entry, Mapping):
            continue
        stated = cast("Mapping[str, object]", entry)
        maker = stated.get("litellm_provider")
        if isinstance(maker, str) and (prices := _prices(stated)):
            priced[_provider(maker)][_model(name, maker)] = prices
    if not priced:
        raise BadSecondCatalogue("has no model with a price and a litellm_provider")
    return SecondCatalogue(priced)


def second_opinions(
    rates: Iterable[CardRate], second: SecondCatalogue, at: datetime
) -> Iterator[tuple[CardRate, SecondOpinion]]:
    """What it says of those rates that hold at a moment, all day: it knows today's prices alone."""
    today: dict[tuple[object, ...], CardRate] = {}
    for rate in rates:
        if rate.hours is not None or rate.withdrawn or not rate.is_active(at):
            continue
        place = rate.card, rate.provider, rate.model, rate.region, rate.service_tier
        known = today.get(place)
        if known is None or _later(rate, known):
            today[place] = rate
    for rate in today.values():
        opinion = second.opinion(rate)
        if opinion is not None:
            yield rate, opinion


def _later(rate: CardRate, known: CardRate) -> bool:
    if rate.effective_from is None:
        return False
    return known.effective_from is None or rate.effective_from > known.effective_from


def _prices(entry: Mapping[str, object]) -> dict[str | None, _Prices]:
    found: defaultdict[str | None, dict[_Key, Decimal]] = defaultdict(dict)
    for field, value in entry.items():
        if (place := _place(field)) is None:
            continue
        tier, key = place
        try:
            found[tier][key] = decimal(value)
        except BadPrice:
            continue
    return dict(found)


def _place(field: str) -> tuple[str | None, _Key] | None:
    """Of `input_cost_per_token_above_200k_tokens_priority` the tier, the unit and where its price begins."""
    tier = next((each for suffix, each in _TIERS.items() if field.endswith(suffix)), None)
    for suffix in _TIERS:
        field = field.removesuffix(suffix)
    above = _ABOVE.search(field)
    unit = _UNITS.get(_ABOVE.sub("", field))
    if unit is None:
        return None
    return tier, (unit, int(above[1]) * 1000 if above else None)


def _for_one(rate: CardRate) -> dict[_Key, Decimal]:
    prices: dict[_Key, Decimal] = {}
    for unit, price in rate.prices.items():
        prices[unit, None] = _RATIO.divide(price.price, Decimal(price.per))
        for start, due in price.tiers:
            prices[unit, start] = _RATIO.divide(due, Decimal(price.per))
    return prices


def _differ(ours: Decimal, theirs: Decimal) -> bool:
    greater = max(ours, theirs)
    return bool(greater) and abs(ours - theirs) > TOLERANCE * greater


def _spelled(key: _Key) -> str:
    unit, start = key
    return unit if start is None else f"{unit} >{start}"


def _provider(maker: str) -> str:
    name = "vertex_ai" if maker.startswith("vertex_ai") else _PROVIDERS.get(maker, maker)
    return catalogue_id(canonical_provider(name))


def _model(name: str, maker: str) -> str:
    lowered = name.lower()
    head, slash, rest = lowered.partition("/")
    gateway = slash and (maker.lower().startswith(head) or head in {"bedrock", "vertex_ai"})
    return rest if gateway else lowered


def _refuse(constant: str) -> object:
    raise ValueError(f"{constant} is no number")
