"""Billing periods: months in a tenant's own time zone, from the anchor day of its plan to that of the next month."""

import re
from calendar import monthrange
from datetime import UTC, date, datetime, time, timedelta
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from spanmeter.metering.plans.plan_book import PlanBook

_MONTH: Final = re.compile(r"([0-9]{4})-(0[1-9]|1[0-2])")


class BillingPeriod(NamedTuple):
    """One period, named by the month that it begins in: the first of it. `until` is the beginning of the next one."""

    month: date
    since: datetime
    until: datetime

    @property
    def name(self) -> str:
        """`2026-11`."""
        return f"{self.month:%Y-%m}"


def month_named(text: str) -> date:
    """`2026-11`: its first day. Raises ValueError."""
    found = _MONTH.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is no month; write 2026-11")
    return date(int(found[1]), int(found[2]), 1)


def following(month: date, months: int = 1) -> date:
    """The month so many later, or before."""
    count = month.year * 12 + month.month - 1 + months
    return date(count // 12, count % 12 + 1, 1)


def period_of(book: PlanBook, tenant_id: str, month: date) -> BillingPeriod:
    """A tenant's period of a month.

    Zone and anchor day are those of the plan in force when the month begins, UTC; without a plan, months are UTC's. So
    each moment is in one period, however plans change.
    """
    since = _begin(book, tenant_id, month)
    return BillingPeriod(month, since, max(since, _begin(book, tenant_id, following(month))))


def period_at(book: PlanBook, tenant_id: str, moment: datetime) -> BillingPeriod:
    """The period that a moment is in."""
    day = moment.astimezone(UTC).date().replace(day=1)
    around = (period_of(book, tenant_id, following(day, months)) for months in (-1, 0, 1))
    return next(each for each in around if each.since <= moment < each.until)


def midnight(day: date, zone: str) -> datetime:
    """The moment that a day begins in a zone, UTC. Where a clock change skips midnight, the moment of the change."""
    return datetime.combine(day, time(), ZoneInfo(zone)).astimezone(UTC)


def _begin(book: PlanBook, tenant_id: str, month: date) -> datetime:
    version = book.in_force(tenant_id, datetime.combine(month, time(), UTC))
    zone, anchor = (
        ("UTC", 1) if version is None else (version.plan.time_zone, version.plan.anchor_day)
    )
    last = monthrange(month.year, month.month)[1]
    return midnight(month + timedelta(days=min(anchor, last) - 1), zone)
