"""Periods in the tenants' own time zones, with the amounts of a month that has a change of clocks."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from spanmeter.metering.plans.billing_periods import month_named, period_of
from spanmeter.metering.plans.plan_book import Assignment, PlanBook
from unit.metering.charging import BEGIN, book_of, charged, shown, usage

TOKENS = """
plan = "pro"
currency = "USD"

[[charge]]
name = "input"
unit = "input_tokens"
price = "3.00/1M"
included = "1M"
"""


@pytest.mark.parametrize(
    ("zone", "anchor", "month", "since", "until"),
    [
        # Summer time ends on October 25, 2026: October is an hour longer than 31 days.
        ("Europe/Berlin", 1, "2026-10", (9, 30, 22), (10, 31, 23)),
        ("Europe/Berlin", 1, "2026-03", (2, 28, 23), (3, 31, 22)),
        ("America/New_York", 15, "2026-02", (2, 15, 5), (3, 15, 4)),
        # A month that has no 31st begins on its last day.
        ("UTC", 31, "2026-11", (11, 30, 0), (12, 31, 0)),
        # In Beirut clocks went from 0:00 to 1:00 on March 29, 2026: the day began at 22:00 UTC.
        ("Asia/Beirut", 29, "2026-03", (3, 28, 22), (4, 28, 21)),
    ],
)
def test_periods_begin_at_midnight_of_the_tenant(
    zone: str, anchor: int, month: str, since: tuple[int, int, int], until: tuple[int, int, int]
) -> None:
    text = f'plan = "pro"\ncurrency = "USD"\ntime_zone = "{zone}"\nanchor_day = {anchor}\n'
    period = period_of(book_of(text), "acme", month_named(month))
    assert (period.since, period.until) == (moment(*since), moment(*until))


def moment(month: int, day: int, hour: int) -> datetime:
    return datetime(2026, month, day, hour, tzinfo=UTC)


def test_a_month_with_an_hour_more_is_shared_by_its_hours() -> None:
    """October 2026 in Berlin: from September 30, 22:00, until October 31, 23:00 UTC, 745 hours.

    74.50 until October 25 (576 hours) are 57.60; 149.00 for the 169 hours left are 33.80. Calls cost 1.00 each: the
    first and last moment of the month are in it, the moment after is not.
    """
    zone = 'time_zone = "Europe/Berlin"\n'
    texts = [
        f'plan = "{name}"\ncurrency = "USD"\n{zone}fee = "{fee}"\n'
        '[[charge]]\nname = "calls"\nunit = "requests"\nprice = 1\n'
        for name, fee in (("basic", "74.50"), ("pro", "149.00"))
    ]
    book = book_of(*texts)
    change = Assignment("acme", "pro", moment(10, 24, 22), BEGIN)
    changed = PlanBook(book.versions, [*book.assignments, change])
    period = period_of(changed, "acme", month_named("2026-10"))
    rows = [usage(at, requests=1) for at in (period.since, moment(10, 31, 22), period.until)]
    found = charged(changed, rows, since=period.since, until=period.until)
    assert (period.since, period.until) == (moment(9, 30, 22), moment(10, 31, 23))
    assert shown(found) == [
        ("usage", "calls", "1", "1"),
        ("fee", "fee", "-", "57.6"),
        ("usage", "calls", "1", "1"),
        ("fee", "fee", "-", "33.8"),
    ]
