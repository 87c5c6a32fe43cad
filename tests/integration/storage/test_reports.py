"""Reports by any dimensions, and by no other name."""

from __future__ import annotations

import random
from collections.abc import Generator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg.conninfo import make_conninfo

from booking import NOON, adjust, event, metered
from spanmeter.metering.usage_event import UsageEvent
from spanmeter.storage.connection import Connection, connect
from spanmeter.storage.errors import UnknownDimension
from spanmeter.storage.ledger import LedgerWriter
from spanmeter.storage.reports import DIMENSIONS, PERIODS, ReportRow, usage_report
from spanmeter.storage.rollups import fold

HOUR = timedelta(hours=1)
UNPRICED: dict[str, Any] = {"cost": None, "cost_quality": "unpriced", "rate_version": None}


@pytest.fixture
def connection(dsn: str) -> Generator[Connection]:
    """To a ledger of two tenants and one unattributed call, an hour apart."""
    events = [
        event(tenant_id="acme", cost=Decimal(1), dimensions={"team": "a"}),
        event(tenant_id="acme", cost=Decimal(2), dimensions={"team": "b"}, time=NOON + HOUR),
        event(tenant_id="globex", cost=Decimal(5), status="error", time=NOON + 12 * HOUR),
        event(tenant_id=None, **UNPRICED),
    ]
    with LedgerWriter(dsn) as writer:
        writer.write(metered(*events))
    # Periods are UTC, whatever the session's time zone.
    with connect(make_conninfo(dsn, options="-c timezone=Asia/Tokyo")) as connected:
        yield connected


def told(rows: list[ReportRow]) -> list[tuple[object, ...]]:
    return [(*row.dimensions.values(), row.requests, row.cost) for row in rows]


def test_a_row_has_every_sum(connection: Connection) -> None:
    (row,) = usage_report(connection, ["tenant_id"], tenant="globex")
    assert row == ReportRow(
        dimensions={"tenant_id": "globex"},
        requests=1,
        failed_requests=1,
        unpriced_requests=0,
        input_tokens=1000,
        cache_read_input_tokens=200,
        cache_write_input_tokens=0,
        output_tokens=50,
        reasoning_output_tokens=20,
        cost=Decimal(5),
        currency="USD",
    )


def test_the_greatest_cost_comes_first_and_unpriced_last(connection: Connection) -> None:
    rows = usage_report(connection, ["tenant_id"])
    assert told(rows) == [("globex", 1, Decimal(5)), ("acme", 2, Decimal(3)), (None, 1, None)]
    assert [row.unpriced_requests for row in rows] == [0, 0, 1]


def test_without_dimensions_there_is_one_row(connection: Connection) -> None:
    assert told(usage_report(connection, [])) == [(4, Decimal(8))]


def test_currencies_are_never_added(dsn: str, connection: Connection) -> None:
    with LedgerWriter(dsn) as writer:
        writer.write(metered(event(cost=Decimal(7), currency="EUR")))
    rows = usage_report(connection, [])
    assert [(row.cost, row.currency) for row in rows] == [
        (Decimal(8), "USD"),
        (Decimal(7), "EUR"),
    ]


def test_since_is_included_and_until_is_not(connection: Connection) -> None:
    rows = usage_report(connection, ["hour"], since=NOON + HOUR, until=NOON + 12 * HOUR)
    assert told(rows) == [(NOON + HOUR, 1, Decimal(2))]


def test_periods_are_utc_and_in_order(connection: Connection) -> None:
    rows = usage_report(connection, ["tenant_id", "day"])
    assert told(rows) == [
        ("acme", date(2026, 11, 20), 2, Decimal(3)),
        (None, date(2026, 11, 20), 1, None),
        ("globex", date(2026, 11, 21), 1, Decimal(5)),
    ]
    (first, *_) = usage_report(connection, ["hour"])
    hour = first.dimensions["hour"]
    assert isinstance(hour, datetime)
    assert (hour, hour.tzinfo) == (NOON, UTC)


def test_a_report_can_be_by_the_applications_own_dimensions(connection: Connection) -> None:
    rows = usage_report(connection, ["dimension:team"], tenant="acme")
    assert told(rows) == [("b", 1, Decimal(2)), ("a", 1, Decimal(1))]


def test_any_name_of_an_own_dimension_is_only_a_name(dsn: str, connection: Connection) -> None:
    names = ["it's", 'a "b"', "100%", "%s", "%%", "{}", "{name}", "a:b", "", "\\"]
    odd = event(tenant_id="odd", dimensions=dict.fromkeys(names, "found"))
    with LedgerWriter(dsn) as writer:
        writer.write(metered(odd))
    by = [f"dimension:{name}" for name in names]
    (row,) = usage_report(connection, by, tenant="odd")
    assert row.dimensions == dict.fromkeys(by, "found")


def test_every_dimension_is_one_of_the_ledger(connection: Connection) -> None:
    rows = usage_report(connection, [*DIMENSIONS, *PERIODS])
    assert sum(row.requests for row in rows) == 4


def test_adjustments_count(dsn: str, connection: Connection) -> None:
    adjust(dsn, cost=Decimal(-1), requests=0)
    assert told(usage_report(connection, [], tenant="acme")) == [(2, Decimal(2))]


def cost_of(chance: random.Random) -> dict[str, Decimal]:
    return {"cost": Decimal(chance.randrange(10**24)) / 10**18}


@pytest.fixture(scope="module")
def drawn() -> list[UsageEvent]:
    """Calls of three months, three tenants and none, two currencies; some failed, some unpriced."""
    chance = random.Random(20261121)
    return [
        event(
            time=NOON + timedelta(seconds=chance.randrange(-80 * 86400, 20 * 86400)),
            tenant_id=chance.choice(["acme", "globex", None]),
            workspace_id=chance.choice(["one", "two", None]),
            feature=chance.choice(["chat", None]),
            user_id=chance.choice(["ada", None]),
            status=chance.choice(["ok", "error"]),
            response_model=chance.choice(["gpt-5-2025-08-07", None]),
            currency=chance.choice(["USD", "EUR"]),
            input_tokens=chance.choice([None, 1000, 2**62]),
            cache_read_input_tokens=None,
            **(UNPRICED if chance.random() < 0.5 else cost_of(chance)),
        )
        for _ in range(400)
    ]


def expected(
    events: list[UsageEvent],
    by: tuple[str, ...],
    since: datetime,
    until: datetime,
    tenant: str | None,
) -> dict[tuple[object, ...], tuple[object, ...]]:
    """The sums of what was booked, without any SQL."""
    sums: dict[tuple[object, ...], list[UsageEvent]] = {}
    for each in events:
        if since <= each.time < until and tenant in (None, each.tenant_id):
            hour = each.time.replace(minute=0, second=0, microsecond=0)
            periods = {
                "day": each.time.date(),
                "hour": hour,
                "model": each.response_model or "gpt-5",
            }
            key = (*(periods.get(name, getattr(each, name, None)) for name in by), each.currency)
            sums.setdefault(key, []).append(each)
    return {
        key: (
            len(of),
            sum(each.status != "ok" for each in of),
            sum(each.input_tokens or 0 for each in of),
            sum(costs) if (costs := [each.cost for each in of if each.cost is not None]) else None,
        )
        for key, of in sums.items()
    }


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_a_report_is_the_sum_of_what_was_booked(
    seeded: Connection, drawn: list[UsageEvent], data: st.DataObject
) -> None:
    """Whichever rollups answer, wherever it begins and ends, folded or not."""
    names = ["tenant_id", "workspace_id", "feature", "user_id", "model", "day", "hour"]
    by = tuple(data.draw(st.lists(st.sampled_from(names), unique=True, max_size=3)))
    moments = st.integers(-85 * 24 * 60, 25 * 24 * 60).map(lambda n: NOON + timedelta(minutes=n))
    aligned = st.sampled_from([datetime(2026, month, 1, tzinfo=UTC) for month in (9, 10, 11, 12)])
    since, until = sorted([data.draw(moments | aligned), data.draw(moments | aligned)])
    tenant = data.draw(st.sampled_from([None, "acme"]))
    found = usage_report(seeded, by, since, until, tenant)
    assert {
        (*row.dimensions.values(), row.currency): (
            row.requests,
            row.failed_requests,
            row.input_tokens,
            row.cost,
        )
        for row in found
    } == expected(drawn, by, since, until, tenant)


@pytest.fixture
def seeded(dsn: str, drawn: list[UsageEvent]) -> Generator[Connection]:
    """A ledger of them, three quarters of it folded."""
    with (
        LedgerWriter(dsn) as writer,
        connect(make_conninfo(dsn, options="-c timezone=Asia/Tokyo")) as connected,
    ):
        writer.write(metered(*drawn[:300]))
        fold(connected)
        writer.write(metered(*drawn[300:]))
        yield connected


def test_a_period_that_ends_before_it_begins_has_nothing(connection: Connection) -> None:
    assert usage_report(connection, [], NOON, NOON) == []


def test_another_name_is_refused(connection: Connection) -> None:
    for name in ("cost", "tenant", "", "tenant_id; DROP TABLE usage_events"):
        with pytest.raises(UnknownDimension, match="there is no dimension"):
            usage_report(connection, [name])
