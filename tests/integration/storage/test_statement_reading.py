"""Usage for statements from real ledgers of any shape: read in three ways, by period, and again."""

from __future__ import annotations

import random
from collections.abc import Generator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from booking import adjust, event, metered
from spanmeter.metering.costing import EXACT
from spanmeter.metering.plans.plan import PlanVersion
from spanmeter.metering.plans.plan_book import Assignment, PlanBook
from spanmeter.metering.plans.plan_file import read_plan
from spanmeter.metering.statements.charging import charge
from spanmeter.metering.statements.course import Course
from spanmeter.metering.statements.statement import Charged
from spanmeter.storage.connection import Connection, connect
from spanmeter.storage.ledger import LedgerWriter
from spanmeter.storage.rollups import fold
from spanmeter.storage.statement_usage import Asked, has_included, now, read_usage

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
SEPTEMBER = datetime(2026, 9, 1, tzinfo=UTC)
OCTOBER = datetime(2026, 10, 1, tzinfo=UTC)

PLAN = """
plan = "pro"
currency = "USD"
[[charge]]
name = "llm"
markup = "30%"
when = { model = { glob = "gpt-4*" } }
[[charge]]
name = "input"
unit = "input_tokens"
tiers = [{ up_to = "20k", price = "3/1M" }, { price = "2/1M" }]
[[charge]]
name = "cached"
unit = "cache_read_input_tokens"
price = "1/1M"
[[charge]]
name = "calls"
unit = "requests"
price = 0.001
"""
BOOK = PlanBook(
    [PlanVersion(read_plan(PLAN), 1, BEGIN, BEGIN)], [Assignment(None, "pro", BEGIN, BEGIN)]
)


@pytest.fixture
def connection(dsn: str) -> Generator[Connection]:
    with closing(connect(dsn)) as connection:
        yield connection


@pytest.fixture(params=[7, 8, 9])
def ledger(request: pytest.FixtureRequest, dsn: str) -> str:
    """Two months of usage, failed, unpriced, in two currencies, corrected, some of it late."""
    chance = random.Random(request.param)
    with LedgerWriter(dsn) as writer:
        for _ in range(3):
            events = [
                event(
                    time=SEPTEMBER + timedelta(minutes=chance.randrange(60 * 24 * 61)),
                    tenant_id=chance.choice(["acme", "acme", "globex", None]),
                    response_model=chance.choice(["gpt-4o", "gpt-5", None]),
                    billable_state=chance.choice(["billable", "billable", "ignored"]),
                    currency=chance.choice(["USD", "USD", "EUR"]),
                    input_tokens=chance.randrange(300, 900),
                    cost=Decimal(chance.randrange(10**12)) / 10**18,
                )
                for _ in range(60)
            ]
            events += [events[0]._replace(time=events[0].time, trace_id=bytes([1] * 16))]
            events += [event(time=SEPTEMBER, cost=None, cost_quality="unpriced", rate_version=None)]
            writer.write(metered(*events))
    for day in (3, 33):
        adjust(dsn, time=SEPTEMBER + timedelta(days=day), requests=-1, input_tokens=-500)
        adjust(dsn, time=SEPTEMBER + timedelta(days=day), cost=Decimal("-0.000000001"))
    return dsn


def charged(
    connection: Connection,
    since: datetime = SEPTEMBER,
    until: datetime = OCTOBER,
    *,
    as_of: datetime | None = None,
    ordered: bool = False,
) -> Charged:
    with connection.transaction():
        course = Course(BOOK, "acme", since, until)
        asked = Asked("acme", since, until, as_of)
        assert not has_included(connection, asked)
        wanted = course.wanted(included_usage=False)._replace(ordered=ordered)
        return charge(course, wanted, read_usage(connection, asked, wanted))


def test_sums_rollups_and_rows_come_to_the_same(ledger: str, connection: Connection) -> None:
    assert ledger
    moment = now(connection)
    rows = charged(connection, ordered=True)
    for _ in range(2):
        for other in (charged(connection), charged(connection, as_of=moment)):
            assert other.lines == rows.lines
            assert (other.cost, other.calls, other.unpriced_calls) == (
                *(rows.cost, rows.calls),
                rows.unpriced_calls,
            )
        fold(connection)
    assert rows.amount > 0


def test_adjacent_periods_equal_the_period_over_both(ledger: str, connection: Connection) -> None:
    """What is counted, and what does not depend on how much a period has come to."""
    assert ledger
    november = SEPTEMBER + timedelta(days=61)
    for middle in (OCTOBER, SEPTEMBER + timedelta(days=10, minutes=17)):
        parts = [charged(connection, SEPTEMBER, middle), charged(connection, middle, november)]
        whole = charged(connection, SEPTEMBER, november)
        for name in ("llm", "input", "cached", "calls"):
            together = [_of(part, name) for part in parts]
            assert EXACT.add(together[0][0], together[1][0]) == _of(whole, name)[0]
            if name != "input":
                assert EXACT.add(together[0][1], together[1][1]) == _of(whole, name)[1]


def _of(found: Charged, name: str) -> tuple[Decimal, Decimal]:
    quantity = amount = Decimal(0)
    for line in found.lines:
        if line.name == name:
            quantity = EXACT.add(quantity, line.quantity or Decimal(0))
            amount = EXACT.add(amount, line.amount or Decimal(0))
    return quantity, amount
