"""Rates: what a provider charges us, from one pinned snapshot of the genai-prices catalogue.

The snapshot is the one bundled with the installed package: it never changes while a process runs, is never
refreshed from the network, and its version is written on every row that it priced.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from importlib.metadata import version
from typing import Final, NamedTuple, Self

from genai_prices.data import providers as bundled_providers
from genai_prices.types import ModelInfo, ModelPrice, Provider, TieredPrices, TimeOfDateConstraint
from genai_prices.units import UnitDef, UnitRegistry

from spanmeter.metering.providers import CATALOGUE

STANDARD_TIERS: Final = frozenset({"default", "standard", "auto", "on_demand", "standard_only"})
"""Service tiers that name the list price."""


class UnitRate(NamedTuple):
    """The price of one unit: `price` for every `per` units, or a tier's price once the call's input exceeds its start.

    `parts` are the indexes of the rates, earlier in the list, whose units lie within this one (cache reads within
    input), and are not charged a second time.
    """

    unit: str
    per: int
    price: Decimal
    tiers: tuple[tuple[int, Decimal], ...]
    parts: tuple[int, ...]


class Rate(NamedTuple):
    """All the prices of one model at one moment, the most specific unit first.

    `name` is its place in the catalogue (`openai/gpt-4o-mini`). `covers` are the units that some price reaches.
    `matched` is false where the catalogue had no price of its own for the provider or for the service tier, and
    the nearest one stands in.
    """

    name: str
    units: tuple[UnitRate, ...]
    covers: frozenset[str]
    matched: bool
    minimums: Mapping[str, Decimal]


class Rates:
    """The rates in force, by provider, model, service tier and moment."""

    def __init__(self, providers: Sequence[Provider], version: str) -> None:
        self.version = version
        self._everyone = list(providers)
        self._providers = {provider.id: provider for provider in providers}
        # Bounded, since model names come from outside.
        self._listing = lru_cache(maxsize=4096)(self._find_listing)
        self._rate = lru_cache(maxsize=4096)(self._find_rate)

    @classmethod
    def pinned(cls) -> Self:
        """The catalogue bundled with the installed genai-prices."""
        return cls(bundled_providers, f"genai-prices/{version('genai-prices')}")

    def find(
        self, provider: str, model: str, service_tier: str | None, at: datetime
    ) -> Rate | None:
        """The rate of a model of a (canonical) provider for a call that began `at`; `None` where none is known."""
        listing = self._listing(provider, model)
        if listing is None:
            return None
        # All moments of one step have the same price: conditions are dates, or times of day to the minute.
        step = at.astimezone(UTC).replace(second=0, microsecond=0)
        if not listing.varies_within_day:
            step = step.replace(hour=0, minute=0)
        return self._rate(provider, model, service_tier, step)

    def _find_listing(self, provider: str, model: str) -> "_Listing | None":
        found = self._providers.get(CATALOGUE.get(provider, ""))
        if found is None:
            return None
        model_info = found.find_model(model, all_providers=self._everyone)
        if model_info is None or not model_info.prices:
            return None
        return _Listing(found.id, model_info, own=any(model_info is one for one in found.models))

    def _find_rate(self, provider: str, model: str, service_tier: str | None, at: datetime) -> Rate:
        listing = self._listing(provider, model)
        assert listing is not None
        context = tier_context(service_tier) if listing.own else {}
        known = not context or _has_variant(listing.model, context, at)
        return _compiled(
            f"{listing.provider_id}/{listing.model.id}",
            listing.model.get_prices(at, context),
            matched=known and listing.own,
            minimums=_minimums(listing.provider_id, listing.model.id),
        )


class _Listing(NamedTuple):
    provider_id: str
    model: ModelInfo
    own: bool

    @property
    def varies_within_day(self) -> bool:
        conditions = [] if isinstance(self.model.prices, ModelPrice) else self.model.prices
        parts = [*conditions, *(self.model.price_variants or ())]
        return any(isinstance(part.constraint, TimeOfDateConstraint) for part in parts)


def tier_context(service_tier: str | None) -> dict[str, str]:
    """A service tier in the catalogue's terms; `{}` is the list price."""
    if service_tier is None or service_tier in STANDARD_TIERS:
        return {}
    return {"processing": "batch"} if service_tier == "batch" else {"service_tier": service_tier}


def _has_variant(model: ModelInfo, context: Mapping[str, str], at: datetime) -> bool:
    return any(
        variant.when.items() <= context.items()
        and (variant.constraint is None or variant.constraint.active(at))
        for variant in model.price_variants or ()
    )


def _minimums(provider_id: str, model_id: str) -> Mapping[str, Decimal]:
    """Groq bills at least ten seconds of audio a request (groq.com/pricing, speech recognition)."""
    if provider_id == "groq" and model_id.startswith("whisper-large-v3"):
        return {"audio_seconds": Decimal(10), "input_audio_seconds": Decimal(10)}
    return {}


@lru_cache(maxsize=1)
def _registry() -> UnitRegistry:
    from genai_prices.data_units import unit_data

    return UnitRegistry(unit_data)


def _compiled(
    name: str, price: ModelPrice, *, matched: bool, minimums: Mapping[str, Decimal]
) -> Rate:
    registry = _registry()
    priced = sorted(
        (
            (registry.unit_for_price_key(key), value)
            for key, value in vars(price).items()
            if value is not None
        ),
        key=lambda pair: (-len(pair[0].dimensions), pair[0].usage_key),
    )
    units = [unit for unit, _ in priced]
    return Rate(
        name=name,
        units=tuple(
            UnitRate(unit.usage_key, unit.per, *_base_and_tiers(value), _parts(unit, units[:index]))
            for index, (unit, value) in enumerate(priced)
        ),
        covers=frozenset(
            key
            for key, unit in registry.units.items()
            if any(_within(unit, whole) for whole in units)
        ),
        matched=matched,
        minimums=minimums,
    )


def _base_and_tiers(
    value: Decimal | TieredPrices,
) -> tuple[Decimal, tuple[tuple[int, Decimal], ...]]:
    if isinstance(value, TieredPrices):
        return value.base, tuple((tier.start, tier.price) for tier in reversed(value.tiers))
    return value, ()


def _parts(unit: UnitDef, earlier: Sequence[UnitDef]) -> tuple[int, ...]:
    return tuple(index for index, part in enumerate(earlier) if _within(part, unit))


def _within(part: UnitDef, whole: UnitDef) -> bool:
    return whole.dimensions.items() <= part.dimensions.items()
