"""Reports by any dimensions, and by no other name."""

from __future__ import annotations

from collections.abc import Generator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from psycopg.conninfo import make_conninfo

from booking import NOON, adjust, event, metered
from spanmeter.storage.connection import Connection, connect
from spanmeter.storage.errors import UnknownDimension
from spanmeter.storage.ledger import LedgerWriter
from spanmeter.storage.reports import DIMENSIONS, PERIODS, ReportRow, usage_report

HOUR = timedelta(hours=1)
UNPRICED = {"cost": None, "cost_quality": "unpriced", "rate_version": None}


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


def test_another_name_is_refused(connection: Connection) -> None:
    for name in ("cost", "tenant", "", "tenant_id; DROP TABLE usage_events"):
        with pytest.raises(UnknownDimension, match="there is no dimension"):
            usage_report(connection, [name])
