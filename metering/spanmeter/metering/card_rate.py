"""A rate as a rate card states it: for which calls, from when on, at which prices."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, time
from typing import Final, Literal

from spanmeter.metering.model_match import Clause, is_exact, matches
from spanmeter.metering.prices import Price

Scope = Literal["catalogue", "organisation", "contract"]

CATALOGUE_CARD: Final = "genai-prices"
ORGANISATION_CARD: Final = "organisation"
CONTRACT_PREFIX: Final = "contract:"
ANY_TIER: Final = "*"
"""A rate for calls in every service tier."""

Hours = tuple[time, time]
"""From the one until before the other, UTC; midnight as the end is the end of the day."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CardRate:
    """One rate of a card: what it is for, and its prices. All of one call is charged at one rate.

    `provider` is our name of it, in the catalogue's card the catalogue's own. `model` is a name or a pattern, and
    `matches` says which models' names it takes. Without a `region` it is for all; without a `service_tier` it is the
    list price; without `effective_from` it has always been. No `prices` at all: from then on the card has none, and
    the next one decides. `withdrawn` is a rate that was wrong from the start: it is as if it had never been.
    """

    card: str
    version: str
    scope: Scope
    provider: str
    model: str
    matches: Clause
    prices: Mapping[str, Price]
    tenant_id: str | None = None
    region: str | None = None
    service_tier: str | None = None
    effective_from: datetime | None = None
    hours: Hours | None = None
    currency: str = "USD"
    withdrawn: bool = False
    position: int = 0
    """Among the models of a catalogue the first that takes a name is the one."""
    approved_at: datetime | None = field(default=None, compare=False)
    approval: int = field(default=0, compare=False)
    """Approvals are numbered; the later one of two for the same name holds."""

    @property
    def name(self) -> str:
        """Its identity in the card: `openai/gpt-4o`, `openai/o3@2025-06-10+batch~eu`."""
        parts = [f"{self.provider}/{self.model}"]
        if self.effective_from is not None:
            parts.append(f"@{_moment(self.effective_from)}")
        if self.hours is not None:
            parts.append("@" + "-".join(f"{moment:%H:%M}" for moment in self.hours))
        if self.service_tier is not None:
            parts.append(f"+{self.service_tier}")
        if self.region is not None:
            parts.append(f"~{self.region}")
        return "".join(parts)

    @property
    def rate_version(self) -> str:
        """Card, version and name: what a row that it priced carries."""
        return f"{self.card}/{self.version}#{self.name}"

    @property
    def exact(self) -> bool:
        """Whether it is for one model alone."""
        return is_exact(self.matches)

    def takes(self, model: str, region: str | None) -> bool:
        """Whether it is for a model (in lower case) in a region, whatever tier and time."""
        if self.region is not None and (region is None or self.region.lower() != region.lower()):
            return False
        return matches(self.matches, model)

    def is_active(self, at: datetime) -> bool:
        """Whether it has begun by then, and is for that time of the day. `at` is in UTC."""
        if self.effective_from is not None and at < self.effective_from:
            return False
        if self.hours is None:
            return True
        begin, end = self.hours
        return begin <= at.time() and (end == time() or at.time() < end)

    def says_the_same(self, other: "CardRate") -> bool:
        """Whether another version of it, of the same name, changes nothing."""
        return (
            self.prices == other.prices
            and self.matches == other.matches
            and self.currency == other.currency
            and self.withdrawn == other.withdrawn
        )


def contract_card(tenant_id: str) -> str:
    """The card of a tenant's contract."""
    return CONTRACT_PREFIX + tenant_id


def _moment(at: datetime) -> str:
    utc = at.astimezone(UTC)
    return f"{utc:%Y-%m-%d}" if utc.time() == time() else f"{utc:%Y-%m-%dT%H:%MZ}"
