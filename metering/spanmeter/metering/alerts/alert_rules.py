"""The kinds of alerts, each a table of what can be asked of it, with what it is where nothing is said."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from types import MappingProxyType
from typing import ClassVar, Final, Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertRule:
    """What to look for, by name; `channels` hear of it, None: all there are. Money is in the ledger's own currency."""

    kind: ClassVar[str]
    name: str
    channels: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetThreshold(AlertRule):
    """A budget has been used up to one of its thresholds."""

    kind: ClassVar[str] = "budget_threshold"


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast(AlertRule):
    """At the rate of late a budget ends before its window does; judged once `elapsed` of the window is over."""

    kind: ClassVar[str] = "forecast"
    elapsed: Decimal = Decimal("0.1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Anomaly(AlertRule):
    """Usage that is out of proportion to its own history at that hour of the week.

    A tenant's feature, and an integration, is told where cost is `factor` times and `deviations` robust standard
    deviations above what was expected, and more by `minimum_cost`; all tenants together from `platform_factor`; an
    integration also where `failed_share` more of its requests fail than usual, at least `failed_requests` of them.
    Nothing is judged before there are `history_days` of it.
    """

    kind: ClassVar[str] = "anomaly"
    factor: Decimal = Decimal(3)
    platform_factor: Decimal = Decimal("1.5")
    deviations: Decimal = Decimal(6)
    minimum_cost: Decimal = Decimal(5)
    failed_share: Decimal = Decimal("0.25")
    failed_requests: int = 50
    history_days: int = 14


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerCost(AlertRule):
    """A tenant costs `factor` times the median of its peers, which have the same account type.

    Compared is the cost per call of a feature, or of all that the tenant uses, over the last `over_days`; among at
    least `peers` tenants, and where it is `minimum_cost` at least.
    """

    kind: ClassVar[str] = "peer_cost"
    per: Literal["call", "tenant"] = "call"
    factor: Decimal = Decimal(3)
    over_days: int = 7
    peers: int = 5
    minimum_cost: Decimal = Decimal(20)
    minimum_calls: int = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class UnattributedShare(AlertRule):
    """More than `limit` of the cost of the last day has no tenant."""

    kind: ClassVar[str] = "unattributed_share"
    limit: Decimal = Decimal("0.05")
    minimum_cost: Decimal = Decimal(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class UnpricedShare(AlertRule):
    """More than `limit` of the requests of the last day have no known cost."""

    kind: ClassVar[str] = "unpriced_share"
    limit: Decimal = Decimal("0.01")
    minimum_requests: int = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderGap(AlertRule):
    """A service that used to call a provider (and a model, where `by` says so) is silent for `silent_hours`.

    Told where at least `requests` were to be expected meanwhile, by the same hours of the weeks before.
    """

    kind: ClassVar[str] = "provider_gap"
    silent_hours: int = 3
    requests: int = 50
    by: Literal["provider", "model"] = "provider"


@dataclass(frozen=True, slots=True, kw_only=True)
class MissingRecords(AlertRule):
    """Metering records of a service did not arrive: its processes number them, and `records` or more lack,
    of those that began to report `after_minutes` ago or earlier.
    """

    kind: ClassVar[str] = "missing_records"
    records: int = 10
    after_minutes: int = 60


KINDS: Final[Mapping[str, type[AlertRule]]] = MappingProxyType(
    {
        each.kind: each
        for each in (
            *(BudgetThreshold, Forecast, Anomaly, PeerCost),
            *(UnattributedShare, UnpricedShare, ProviderGap, MissingRecords),
        )
    }
)
"""Every kind by its name."""
