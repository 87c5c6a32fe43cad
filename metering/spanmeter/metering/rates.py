"""Rates: what a provider charges us, from one pinned snapshot of the genai-prices catalogue.

The snapshot is the one bundled with the installed package: it never changes while a process runs, is
never refreshed from the network, and its version is written on every row that it priced.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from importlib.metadata import version
from typing import Final, NamedTuple, Self

from genai_prices.data import providers as bundled_providers
from genai_prices.types import ModelInfo, ModelPrice, Provider, TimeOfDateConstraint

from spanmeter.metering.providers import catalogue_id
from spanmeter.metering.unit_rates import Rate, compiled

STANDARD_TIERS: Final = frozenset({"default", "standard", "auto", "on_demand", "standard_only"})
"""Service tiers that name the list price."""

CONTEXT_KEYS: Final = ("service_tier", "processing", "speed")
"""What the catalogue's variants depend on, as far as it is one word that a provider answers with:
`priority` and `flex`, `batch`, `fast`."""

MINUTE: Final = 60
DAY: Final = 86_400

CACHED: Final = 4096
"""Models, and prices of models, remembered. Bounded, since their names come from outside."""


class Rates:
    """The rates in force, by provider, model, service tier and moment."""

    def __init__(self, providers: Sequence[Provider], version: str) -> None:
        self.version = version
        self._everyone = list(providers)
        self._providers = {provider.id: provider for provider in providers}
        self._listing = lru_cache(maxsize=CACHED)(self._find_listing)
        self._rate = lru_cache(maxsize=CACHED)(self._find_rate)

    @classmethod
    def pinned(cls) -> Self:
        """The catalogue bundled with the installed genai-prices."""
        return cls(bundled_providers, f"genai-prices/{version('genai-prices')}")

    def find(
        self, provider: str, model: str, service_tier: str | None, at: datetime
    ) -> Rate | None:
        """The rate of a model of a (canonical) provider for a call that began `at`.

        `None` where the catalogue knows no provider, model or price of that name.
        """
        listing = self._listing(provider, model)
        if listing is None:
            return None
        seconds = int(at.timestamp())
        return self._rate(provider, model, service_tier, seconds - seconds % listing.step)

    def _find_listing(self, provider: str, model: str) -> "_Listing | None":
        found = self._providers.get(catalogue_id(provider))
        if found is None:
            return None
        info = found.find_model(model, all_providers=self._everyone)
        if info is None:
            return None
        owner = next(
            one for one in (found, *self._everyone) if any(info is listed for listed in one.models)
        )
        return _Listing(owner.id, info, own=owner is found, step=_step(info))

    def _find_rate(
        self, provider: str, model: str, service_tier: str | None, seconds: int
    ) -> Rate | None:
        listing = self._listing(provider, model)
        if listing is None:
            return None
        at = datetime.fromtimestamp(seconds, UTC)
        context = tier_context(service_tier)
        # Another provider's list says nothing of this one's tiers.
        known = not context or (listing.own and _has_variant(listing.model, context, at))
        price = listing.model.get_prices(at, context if listing.own else {})
        return compiled(listing.provider_id, listing.model.id, price, matched=listing.own and known)


class _Listing(NamedTuple):
    """A model where the catalogue lists it: with the provider itself (`own`), or with another."""

    provider_id: str
    model: ModelInfo
    own: bool
    step: int
    """Seconds within which no price changes, counted from midnight UTC."""


def tier_context(service_tier: str | None) -> dict[str, str]:
    """A service tier in the catalogue's terms; `{}` is the list price."""
    if service_tier is None or service_tier.lower() in STANDARD_TIERS:
        return {}
    return dict.fromkeys(CONTEXT_KEYS, service_tier.lower())


def _step(model: ModelInfo) -> int:
    """Conditions are dates, or times of day to the minute (a test holds the catalogue to that)."""
    dated = [] if isinstance(model.prices, ModelPrice) else model.prices
    parts = [*dated, *(model.price_variants or ())]
    by_time_of_day = any(isinstance(part.constraint, TimeOfDateConstraint) for part in parts)
    return MINUTE if by_time_of_day else DAY


def _has_variant(model: ModelInfo, context: Mapping[str, str], at: datetime) -> bool:
    return any(
        variant.when.items() <= context.items()
        and (variant.constraint is None or variant.constraint.active(at))
        for variant in model.price_variants or ()
    )
