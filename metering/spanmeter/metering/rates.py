"""Rates: what a provider charges us, chosen from the rate cards that are approved.

A contract's card is for one tenant, the organisation's for all, and the catalogue for what neither states. The cards in
force never change while a `Rates` is in use: what is approved later makes another one.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, time
from functools import lru_cache
from typing import Final, NamedTuple, Self

from spanmeter.metering.card_rate import ANY_TIER, CATALOGUE_CARD, CardRate
from spanmeter.metering.catalogue import STANDARD_TIERS
from spanmeter.metering.installed_catalogue import installed_catalogue, installed_version
from spanmeter.metering.providers import catalogue_id
from spanmeter.metering.unit_rates import Rate, compiled

MINUTE: Final = 60
DAY: Final = 86_400

CACHED: Final = 4096
"""Models, and prices of models, remembered. Bounded, since their names come from outside."""

_COMPACT_DATE: Final = re.compile(r"-(20\d{2})(0[1-9]|1[0-2])(\d{2})(?=-|:|$)")


class UnknownRate(LookupError):
    """A row names a rate that is in no card that is known."""


class _Slot(NamedTuple):
    """The rates that differ only in when they hold. `own` is false where they are another provider's."""

    own: bool
    tier: str | None
    rates: tuple[CardRate, ...]


class _Candidates(NamedTuple):
    """The slots for a model of a provider, in order of precedence; and seconds within which no price changes."""

    slots: tuple[_Slot, ...]
    step: int


class Rates:
    """The rates in force, by tenant, provider, model, region, service tier and moment.

    `version` names the whole of them, each `Rate` its own. `archive` is all that was ever in force, by `rate_version`.
    """

    def __init__(
        self,
        rates: Iterable[CardRate],
        *,
        version: str,
        fallbacks: Mapping[str, Sequence[str]] | None = None,
        archive: Mapping[str, CardRate] | None = None,
    ) -> None:
        self.version = version
        self.in_force = tuple(rates)
        self._fallbacks = fallbacks or {}
        self._archive = archive or {rate.rate_version: rate for rate in self.in_force}
        self._catalogue = _by_provider(each for each in self.in_force if each.scope == "catalogue")
        self._organisation = _by_provider(
            each for each in self.in_force if each.scope == "organisation"
        )
        contracts: defaultdict[str, list[CardRate]] = defaultdict(list)
        for each in self.in_force:
            if each.tenant_id is not None:
                contracts[each.tenant_id].append(each)
        self._contracts = {tenant: _by_provider(each) for tenant, each in contracts.items()}
        self._candidates = lru_cache(maxsize=CACHED)(self._find_candidates)
        self._rate = lru_cache(maxsize=CACHED)(self._find_rate)

    @classmethod
    def pinned(cls) -> Self:
        """The catalogue bundled with the installed genai-prices, and nothing else."""
        catalogue = installed_catalogue()
        version = f"{CATALOGUE_CARD}/{installed_version()}"
        return cls(catalogue.rates, version=version, fallbacks=catalogue.fallbacks)

    @property
    def has_contracts(self) -> bool:
        """Whether any tenant has rates of its own."""
        return bool(self._contracts)

    def contract_of(self, tenant: str | None) -> str | None:
        """The tenant, if it has rates of its own."""
        return tenant if tenant in self._contracts else None

    def find(
        self,
        provider: str,
        model: str,
        service_tier: str | None,
        at: datetime,
        *,
        region: str | None = None,
        contract: str | None = None,
    ) -> Rate | None:
        """The rate of a model of a (canonical) provider for a call that began `at`.

        `contract` is what `contract_of` says. `None` where no card has a price for it. Not `matched` where only
        another service tier, or another provider, has one.
        """
        candidates = self._candidates(contract, provider, model, region)
        if not candidates.slots:
            return None
        seconds = int(at.timestamp())
        moment = seconds - seconds % candidates.step
        return self._rate(contract, provider, model, region, service_tier, moment)

    def rate_named(
        self,
        rate_version: str,
        *,
        provider: str | None = None,
        service_tier: str | None = None,
        at: datetime | None = None,
    ) -> Rate:
        """The very rate that a row names, whatever has been approved since. Raises `UnknownRate`.

        Names as rows had them before there were cards say nothing of date and tier; the row's own provider, tier and
        time tell, where they are given.
        """
        named = self._archive.get(rate_version)
        if at is not None and (older := self._unqualified(rate_version)):
            slots = _slots(
                older, own=provider is None or catalogue_id(provider) == older[0].provider
            )
            found = _chosen(slots, _tier(service_tier), at)
            named = found[0] if found is not None else named
        rate = None if named is None else compiled(named)
        if rate is None:
            raise UnknownRate(f"no rate card has {rate_version!r}")
        return rate

    def _unqualified(self, rate_version: str) -> list[CardRate]:
        """The rates of the model, if the name gives no more than that."""
        label, _, name = rate_version.partition("#")
        if not label.startswith(f"{CATALOGUE_CARD}/"):
            return []
        return [
            rate
            for rate in self._archive_of(label)
            if f"{rate.provider}/{rate.model}" == name and not rate.withdrawn
        ]

    def _archive_of(self, label: str) -> list[CardRate]:
        return [rate for rate in self._archive.values() if f"{rate.card}/{rate.version}" == label]

    def _find_candidates(
        self, contract: str | None, provider: str, model: str, region: str | None
    ) -> _Candidates:
        name = model.lower()
        cards = [self._organisation.get(provider, ())]
        if contract is not None:
            cards.insert(0, self._contracts[contract].get(provider, ()))
        slots = [
            slot
            for card in cards
            for slot in sorted(
                _slots([each for each in card if each.takes(name, region)], own=True),
                key=_specific_first,
            )
        ]
        slots += self._listed(provider, name)
        return _Candidates(tuple(slots), _step([rate for slot in slots for rate in slot.rates]))

    def _listed(self, provider: str, name: str) -> list[_Slot]:
        """What the catalogue has for a model: under the provider itself, or under those that stand in for it."""
        own = catalogue_id(provider)
        if own not in self._catalogue:
            return []
        for spelled in dict.fromkeys((name, _dashed_date(name))):
            for owner in (own, *self._fallbacks.get(own, ())):
                taking = [e for e in self._catalogue.get(owner, ()) if e.takes(spelled, None)]
                if taking:
                    first = min(taking, key=lambda each: each.position)
                    return _slots([e for e in taking if e.model == first.model], own=owner == own)
        return []

    def _find_rate(
        self,
        contract: str | None,
        provider: str,
        model: str,
        region: str | None,
        service_tier: str | None,
        seconds: int,
    ) -> Rate | None:
        candidates = self._candidates(contract, provider, model, region)
        found = _chosen(candidates.slots, _tier(service_tier), datetime.fromtimestamp(seconds, UTC))
        if found is None:
            return None
        rate, matched = found
        priced = compiled(rate)
        return priced if priced is None or matched else priced._replace(matched=False)


def _chosen(slots: Sequence[_Slot], tier: str | None, at: datetime) -> tuple[CardRate, bool] | None:
    """The rate for a call in a tier at a moment, and whether it is for that provider and tier.

    A price for the tier comes before any list price, which stands in for it. Within a slot the rate that began last
    holds, and of two with the same beginning the one that was approved last; one without prices leaves it to the next.
    """
    for wanted in dict.fromkeys((tier, None)):
        for slot in slots:
            if slot.tier not in {wanted, ANY_TIER} or (wanted is not None and not slot.own):
                continue
            active = [rate for rate in slot.rates if rate.is_active(at)]
            latest = max(active, key=_begun, default=None)
            if latest is not None and latest.prices:
                return latest, slot.own and (wanted == tier or slot.tier == ANY_TIER)
    return None


def _slots(rates: Iterable[CardRate], *, own: bool) -> list[_Slot]:
    grouped: defaultdict[tuple[object, ...], list[CardRate]] = defaultdict(list)
    for rate in rates:
        grouped[rate.card, rate.model, rate.region, rate.service_tier].append(rate)
    return [_Slot(own, each[0].service_tier, tuple(each)) for each in grouped.values()]


def _specific_first(slot: _Slot) -> tuple[object, ...]:
    """Within a card: one model before a pattern, the longer pattern before the shorter; a region, and a tier, before
    any."""
    rate = slot.rates[0]
    return (
        not rate.exact,
        -len(rate.model),
        rate.region is None,
        rate.service_tier == ANY_TIER,
        rate.model,
    )


def _begun(rate: CardRate) -> tuple[bool, datetime, int]:
    earliest = datetime.min.replace(tzinfo=UTC)
    return rate.effective_from is not None, rate.effective_from or earliest, rate.approval


def _tier(service_tier: str | None) -> str | None:
    """A service tier as cards name it; `None` is the list price."""
    lowered = None if service_tier is None else service_tier.lower()
    return None if lowered in STANDARD_TIERS else lowered


def _step(rates: Sequence[CardRate]) -> int:
    """Rates begin on the minute, nearly all at midnight UTC; few are for hours of the day."""
    by_time_of_day = any(
        rate.hours is not None
        or (
            rate.effective_from is not None and rate.effective_from.astimezone(UTC).time() != time()
        )
        for rate in rates
    )
    return MINUTE if by_time_of_day else DAY


def _by_provider(rates: Iterable[CardRate]) -> dict[str, list[CardRate]]:
    grouped: defaultdict[str, list[CardRate]] = defaultdict(list)
    for rate in rates:
        grouped[rate.provider].append(rate)
    return dict(grouped)


def _dashed_date(model: str) -> str:
    """`gpt-5.2-20251211`, as gateways write it, under the name that the maker gave it: `gpt-5.2-2025-12-11`."""

    def dashed(found: re.Match[str]) -> str:
        try:
            return f"-{date(int(found[1]), int(found[2]), int(found[3])):%Y-%m-%d}"
        except ValueError:
            return found[0]

    return _COMPACT_DATE.sub(dashed, model)
