"""Usage that detectors ask for, from what a test makes up: the same questions that storage answers from the ledger."""

from __future__ import annotations

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
        for each in calls:
            self._hours.setdefault(each.hour, []).append(each)

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
        hours: dict[datetime, Decimal] = {}
        for each in self._of(subject, since, until):
            hours[each.hour] = hours.get(each.hour, Decimal(0)) + _usage(each).cost
        return sorted(hours.items())

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

    def _of(self, subject: Subject, since: datetime, until: datetime) -> Iterable[Calls]:
        for each in self._between(since, until):
            of = {"tenant_id": each.tenant, "feature": each.feature, "service_name": SERVICE}
            if all(of.get(name, value) == value for name, value in subject.items()):
                yield each

    def _between(self, since: datetime, until: datetime) -> Iterable[Calls]:
        hour = since
        while hour < until:
            yield from self._hours.get(hour, ())
            hour += HOUR


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
