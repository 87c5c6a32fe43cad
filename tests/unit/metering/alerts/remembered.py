"""Usage that detectors ask for, from what a test makes up: the same questions that storage answers from the ledger."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from statistics import median

from alert_months import HOUR, SERVICE, Calls
from spanmeter.metering.alerts.finding import Subject
from spanmeter.metering.alerts.usage import (
    Missing,
    Pattern,
    Silent,
    TenantUsage,
    Usage,
    Who,
    total,
)


class Remembered:
    """A `UsageHistory` of these calls."""

    def __init__(self, calls: Iterable[Calls], missing: Sequence[Missing] = ()) -> None:
        self._hours: dict[datetime, list[Calls]] = {}
        self._missing = missing
        # Detectors ask for weeks of each subject again and again: these are added up once.
        self._costs: dict[tuple[str, str], dict[datetime, Decimal]] = {}
        self._hourly: dict[frozenset[tuple[str, str | None]], list[tuple[datetime, Decimal]]] = {}
        for each in calls:
            self._hours.setdefault(each.hour, []).append(each)
            costs = self._costs.setdefault((each.tenant, each.feature), {})
            costs[each.hour] = costs.get(each.hour, Decimal(0)) + _usage(each).cost

    def used(self, since: datetime, until: datetime, last: Decimal) -> Mapping[Who, Usage]:
        sums: dict[Who, Usage] = {}
        for each in self._between(since, until):
            part = last if each.hour == until - HOUR else Decimal(1)
            usage = Usage(*(part * value for value in _usage(each)))
            who = Who("USD", each.tenant, each.feature, SERVICE)
            sums[who] = sums.get(who, Usage()).plus(usage)
        return sums

    def hourly(
        self, subject: Subject, since: datetime, until: datetime
    ) -> Sequence[tuple[datetime, Decimal]]:
        key = frozenset(subject.items())
        if key not in self._hourly:
            self._hourly[key] = sorted(self._costs_of(subject).items())
        costs = self._hourly[key]
        begin, end = (bisect_left(costs, (moment,)) for moment in (since, until))
        return costs[begin:end]

    def by_model(self, subject: Subject, since: datetime, until: datetime) -> Mapping[str, Usage]:
        calls = list(self._of(subject, since, until))
        return {
            model: total(_usage(each) for each in calls if each.model == model)
            for model in {each.model for each in calls}
        }

    def pattern(self, subject: Subject, since: datetime, until: datetime) -> Pattern:
        calls = list(self._of(subject, since, until))
        count = sum(each.calls for each in calls)
        alike = sum(each.calls for each in calls if each.alike)
        part = Decimal(alike) / max(count, 1)
        interval = Decimal(median([3600 / each.calls for each in calls] or [0]))
        return Pattern(count, part, part, interval, Decimal(0))

    def by_tenant(self, since: datetime, until: datetime) -> Sequence[TenantUsage]:
        used = self.used(since, until, Decimal(1))
        return [
            TenantUsage(who.currency, "paid", who.tenant_id, who.feature, usage)
            for who, usage in used.items()
            if who.tenant_id is not None
        ]

    def reported(self, since: datetime, until: datetime, last: Decimal) -> Mapping[Silent, Decimal]:
        used = total(self.used(since, until, last).values())
        return {Silent(SERVICE, "openai", None): used.requests} if used.requests else {}

    def missing(self, since: datetime, before: datetime) -> Sequence[Missing]:
        return [e for e in self._missing if e.first_seen < before and e.last_seen >= since]

    def _costs_of(self, subject: Subject) -> Mapping[datetime, Decimal]:
        """By hour, of all that is remembered."""
        costs: dict[datetime, Decimal] = {}
        for (tenant, feature), hours in self._costs.items():
            if _is_of(tenant, feature, subject):
                for hour, cost in hours.items():
                    costs[hour] = costs.get(hour, Decimal(0)) + cost
        return costs

    def _of(self, subject: Subject, since: datetime, until: datetime) -> Iterable[Calls]:
        calls = self._between(since, until)
        return (each for each in calls if _is_of(each.tenant, each.feature, subject))

    def _between(self, since: datetime, until: datetime) -> Iterable[Calls]:
        hour = since
        while hour < until:
            yield from self._hours.get(hour, ())
            hour += HOUR


def _is_of(tenant: str, feature: str, subject: Subject) -> bool:
    of = {"tenant_id": tenant, "feature": feature, "service_name": SERVICE}
    return all(of.get(name, value) == value for name, value in subject.items())


def _usage(each: Calls) -> Usage:
    cost = Decimal(str(round(each.cost, 6)))
    return Usage(
        Decimal(each.calls),
        Decimal(each.failed),
        Decimal(0),
        Decimal(each.calls * each.tokens),
        Decimal((each.calls - each.failed) * each.tokens // 5),
        cost * each.calls,
    )
