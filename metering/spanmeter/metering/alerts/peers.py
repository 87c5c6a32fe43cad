"""Tenants that cost several times what their peers do: by call of a feature, or altogether."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from statistics import median
from typing import NamedTuple

from spanmeter.metering.alerts import wording
from spanmeter.metering.alerts.alert_rules import PeerCost
from spanmeter.metering.alerts.finding import Finding, Window
from spanmeter.metering.alerts.usage import TenantUsage, Usage, UsageHistory


class _Group(NamedTuple):
    """Who are peers: of one account type, and where calls are compared of one feature."""

    currency: str
    account_type: str | None
    feature: str | None


def peers(history: UsageHistory, now: datetime, rule: PeerCost) -> Iterator[Finding]:
    """Tenants above `factor` times the median of their group, each told once a week."""
    used = history.by_tenant(now - timedelta(days=rule.over_days), now)
    for group, tenants in _groups(used, rule).items():
        costs = {
            tenant: cost
            for tenant, usage in tenants.items()
            if (cost := _cost(usage, rule)) is not None and cost > 0
        }
        if len(costs) < rule.peers:
            continue
        usual = median(costs.values())
        for tenant, cost in costs.items():
            usage = tenants[tenant]
            if cost >= rule.factor * usual and usage.cost >= rule.minimum_cost:
                yield _finding(group, tenant, usage, usual, cost, len(costs), now, rule)


def _groups(used: Sequence[TenantUsage], rule: PeerCost) -> Mapping[_Group, Mapping[str, Usage]]:
    groups: dict[_Group, dict[str, Usage]] = {}
    for each in used:
        feature = each.feature if rule.per == "call" else None
        group = groups.setdefault(_Group(each.currency, each.account_type, feature), {})
        group[each.tenant_id] = group.get(each.tenant_id, Usage()).plus(each.usage)
    return groups


def _cost(usage: Usage, rule: PeerCost) -> Decimal | None:
    if rule.per == "tenant":
        return usage.cost
    return usage.cost / usage.requests if usage.requests >= rule.minimum_calls else None


def _finding(
    group: _Group,
    tenant: str,
    usage: Usage,
    usual: Decimal,
    cost: Decimal,
    of: int,
    now: datetime,
    rule: PeerCost,
) -> Finding:
    what = "a call" if rule.per == "call" else f"in {rule.over_days} days"
    where = f" of {wording.name(group.feature, 'no feature')}" if rule.per == "call" else ""
    subject = {"currency": group.currency, "tenant_id": tenant}
    return Finding(
        *(rule.name, rule.kind),
        {**subject, "feature": group.feature} if rule.per == "call" else subject,
        week_of(now),
        f"Tenant {wording.name(tenant)} costs {wording.times(cost / usual)} what its peers do{where}",
        f"{wording.money(cost, group.currency)} {what}{where}; the median of {of} tenants of account type"
        f" {wording.name(group.account_type, 'none')} is {wording.money(usual, group.currency)}. Altogether"
        f" {wording.money(usage.cost, group.currency)} in {rule.over_days} days, {usage.requests:,.0f} calls.",
        {
            "cost": f"{cost:f}",
            "peer_median": f"{usual:f}",
            "factor": f"{cost / usual:.2f}",
            "peers": str(of),
            "total_cost": f"{usage.cost:f}",
        },
    )


def week_of(now: datetime) -> Window:
    """The week, from Monday, UTC, that a moment is in."""
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    begin = midnight - timedelta(days=midnight.weekday())
    return Window(begin, begin + timedelta(weeks=1))
