"""The rollups are the ledger's sums: at once, exactly, however and in whatever order rows come in."""

# The relations and columns are named by the tests themselves.
# ruff: noqa: S608

from __future__ import annotations

from collections.abc import Generator
from datetime import date, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from booking import NOON, adjust, event, metered, query
from spanmeter.metering.usage_event import UsageEvent
from spanmeter.storage.connection import Connection, connect
from spanmeter.storage.errors import LedgerIncomplete
from spanmeter.storage.ledger import LedgerWriter
from spanmeter.storage.migrations import migrate, migrations
from spanmeter.storage.rollups import ROLLUPS, differences, fold, rebuild

UNPRICED: dict[str, Any] = {"cost": None, "cost_quality": "unpriced", "rate_version": None}

# A row without the writer: what a table without defaults demands.
GIVEN: dict[str, Any] = {
    "tenant_id": "acme",
    "dimensions": "{}",
    "provider": "openai",
    "operation": "chat",
    "byok": False,
    "attempt": 1,
    "status": "ok",
    "duration": timedelta(seconds=1),
    "cache_write_by_ttl": "{}",
    "quantities": "{}",
    "usage_source": "provider",
    "billable_state": "billable",
    "billable_reason": "by hand",
    "currency": "USD",
    "cost_quality": "unpriced",
    "dialect": "none",
    "scope_name": "none",
    "scope_version": "1",
}
COLUMNS, VALUES = ("time", "trace_id", "span_id", *GIVEN), tuple(GIVEN.values())
INSERT = (
    f"INSERT INTO usage_events ({', '.join(COLUMNS)}) VALUES ({', '.join(['%s'] * len(COLUMNS))})"
).encode()

FIRST, END = date(2026, 11, 1), date(2026, 12, 1)

# Those that count requests; the others count the units of those that have some.
COUNTING = [name for name, key in ROLLUPS.items() if "unit" not in key]


@pytest.fixture
def connection(dsn: str) -> Generator[Connection]:
    with connect(dsn) as connected:
        yield connected


def write(dsn: str, *events: UsageEvent) -> None:
    with LedgerWriter(dsn) as writer:
        writer.write(metered(*events))


def requests(dsn: str) -> dict[str, int]:
    return {
        rollup: int(query(dsn, f"SELECT coalesce(sum(requests), 0) FROM {rollup}")[0][0])
        for rollup in COUNTING
    }


def test_a_row_is_in_every_rollup_at_once_and_after_folding(
    dsn: str, connection: Connection
) -> None:
    write(dsn, event(), event(tenant_id=None, callsite="app.py:7"))
    everybody = dict.fromkeys(COUNTING, 2) | {"usage_daily_unattributed": 1}
    assert requests(dsn) == everybody
    assert fold(connection) == 2
    assert fold(connection) == 0
    assert requests(dsn) == everybody
    write(dsn, event(time=NOON - timedelta(days=3)))
    assert differences(connection, FIRST, END) == []
    assert requests(dsn)["usage_daily"] == 3


def test_rows_that_share_a_key_are_one_row(dsn: str, connection: Connection) -> None:
    """Folded, and not yet: neither an export nor a page sees the seam."""
    for _ in range(3):
        write(dsn, event(cost=Decimal("0.1")))
        fold(connection)
    write(dsn, event(cost=Decimal("0.1")))
    for rollup in COUNTING:
        if rollup != "usage_daily_unattributed":
            assert query(dsn, f"SELECT requests, cost FROM {rollup}") == [(4, Decimal("0.4"))]


def test_nothing_is_not_the_empty_name(dsn: str, connection: Connection) -> None:
    write(dsn, *(event(feature=name) for name in ("", None, "NULL", "{}", "a,b", 'a"b')))
    fold(connection)
    assert query(dsn, "SELECT count(*), sum(requests) FROM usage_daily") == [(6, 6)]
    assert query(dsn, "SELECT requests FROM usage_daily WHERE feature IS NULL") == [(1,)]
    assert differences(connection, FIRST, END) == []


def reopen_days(dsn: str) -> None:
    """Leave the rollups as they are while the days of the test are not over."""
    query(dsn, "INSERT INTO folded_open_hours TABLE folded_hourly")
    query(dsn, "TRUNCATE folded_hourly, folded_daily")
    query(dsn, "UPDATE closed_days SET before = %s", FIRST)


def test_a_day_that_is_over_is_summed_from_its_hours(dsn: str, connection: Connection) -> None:
    write(dsn, event(), event(time=NOON + timedelta(hours=2), **UNPRICED))
    fold(connection)
    reopen_days(dsn)
    write(dsn, event(time=NOON - timedelta(days=1)))
    open_days = query(dsn, "SELECT day, requests, cost FROM usage_daily ORDER BY day")
    assert [requests for _, requests, _ in open_days] == [1, 2]
    fold(connection)
    assert query(dsn, "SELECT day, requests, cost FROM usage_daily ORDER BY day") == open_days
    assert query(dsn, "SELECT count(*), sum(requests) FROM folded_daily") == [(2, 3)]
    assert differences(connection, FIRST, END) == []


def test_only_one_folds(dsn: str, connection: Connection) -> None:
    write(dsn, event())
    with connect(dsn) as other, other.transaction():
        assert fold(other) == 1
        assert fold(connection) == 0
        assert requests(dsn)["usage_hourly"] == 1
    assert requests(dsn)["usage_hourly"] == 1


def test_rows_are_counted_however_they_come(dsn: str, connection: Connection) -> None:
    """Past the writer too: copied, inserted, corrected in SQL."""
    with connection.cursor() as cursor:
        copying = f"COPY usage_events ({', '.join(COLUMNS)}) FROM STDIN".encode()
        with cursor.copy(copying) as copy:
            copy.write_row([NOON, bytes(16), bytes(8), *VALUES])
            copy.write_row([NOON, bytes(16), bytes(7) + b"1", *VALUES])
        cursor.execute(INSERT, [NOON, bytes(16), bytes(7) + b"2", *VALUES])
    adjust(dsn, requests=-1)
    for _ in range(2):
        assert requests(dsn) == dict.fromkeys(COUNTING, 2) | {"usage_daily_unattributed": 0}
        assert differences(connection, FIRST, END) == []
        fold(connection)


def test_what_is_not_committed_is_in_no_sum(dsn: str, connection: Connection) -> None:
    with connect(dsn) as other, other.transaction():
        other.execute(INSERT, [NOON, bytes(16), bytes(8), *VALUES])
        assert fold(connection) == 0
        assert requests(dsn)["usage_daily"] == 0
    assert requests(dsn)["usage_daily"] == 1
    with connection.transaction(force_rollback=True):
        connection.execute(INSERT, [NOON, bytes(16), bytes(7) + b"1", *VALUES])
    fold(connection)
    assert requests(dsn)["usage_daily"] == 1


def test_a_wrong_rollup_is_found_and_made_anew(dsn: str, connection: Connection) -> None:
    write(dsn, event(), event(time=NOON - timedelta(days=1), cost=Decimal(0)))
    fold(connection)
    query(dsn, "UPDATE folded_hourly SET cost = cost - 1 WHERE hour = %s", NOON)
    query(dsn, "UPDATE folded_daily SET cost = NULL WHERE day < %s", NOON.date())
    query(dsn, "DELETE FROM folded_daily_by_tenant")
    found = differences(connection, FIRST, END)
    told = [(each.rollup, each.key["tenant_id"], each.missing) for each in found]
    assert told[:2] == [
        ("usage_hourly", "acme", {"cost": Decimal(1)}),
        ("usage_daily", "acme", {"cost": Decimal(0)}),
    ]
    assert [rollup for rollup, _, _ in told[2:]] == ["usage_daily_by_tenant"] * 2
    write(dsn, event())
    rebuild(connection, FIRST, END)
    assert differences(connection, FIRST, END) == []
    fold(connection)
    assert differences(connection, FIRST, END) == []


def test_what_retention_dropped_stays_in_the_rollups(timescale_dsn: str) -> None:
    write(timescale_dsn, event(), event(time=NOON - timedelta(days=60)))
    with connect(timescale_dsn) as connection:
        fold(connection)
        query(timescale_dsn, "SELECT drop_chunks('usage_events', '2026-10-15'::timestamptz)")
        assert requests(timescale_dsn)["usage_daily"] == 2
        with pytest.raises(LedgerIncomplete, match="no row of 2026-09-21 any more"):
            rebuild(connection, date(2026, 9, 1), END)
        assert requests(timescale_dsn)["usage_daily"] == 2
        rebuild(connection, FIRST, END)
        assert requests(timescale_dsn)["usage_daily"] == 2


def test_the_writer_folds_and_cannot_touch_the_rollups(dsn: str) -> None:
    own = make_conninfo(dsn, options="-c role=spanmeter_writer")
    write(own, event())
    with connect(own) as connection:
        assert fold(connection) == 1
    for change in (
        "UPDATE folded_daily SET cost = 0",
        "DELETE FROM unfolded_usage",
        "SELECT rebuild_usage('-infinity', 'infinity')",
        "SELECT close_days()",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            query(own, change)


def test_a_role_with_the_views_alone_can_query_them(dsn: str) -> None:
    """A dashboard's, say: it needs no right on what lies behind them."""
    role = f"dashboard_{uuid4().hex}"
    query(dsn, f"CREATE ROLE {role}")
    query(dsn, f"GRANT SELECT ON {', '.join(ROLLUPS)}, unattributed_usage TO {role}")
    write(dsn, event(tenant_id=None))
    own = make_conninfo(dsn, options=f"-c role={role}")
    try:
        assert requests(own) == dict.fromkeys(COUNTING, 1)
        assert len(query(own, "TABLE unattributed_usage")) == 1
    finally:
        query(dsn, f"DROP OWNED BY {role}")
        query(dsn, f"DROP ROLE {role}")


def test_what_was_booked_before_there_were_rollups_is_in_them(empty_dsn: str) -> None:
    with connect(empty_dsn) as connection:
        connection.execute(
            "CREATE TABLE spanmeter_migrations (name text, checksum text, applied_at text)"
        )
        for each in migrations():
            if each.name < "0008":
                connection.execute(each.text.encode())
                connection.execute(
                    "INSERT INTO spanmeter_migrations VALUES (%s, %s)", (each.name, each.checksum)
                )
        for number in range(3):
            connection.execute(INSERT, [NOON, bytes(16), number.to_bytes(8), *VALUES])
        migrate(empty_dsn)
        assert requests(empty_dsn) == dict.fromkeys(COUNTING, 3) | {"usage_daily_unattributed": 0}
        assert differences(connection, FIRST, END) == []
        while fold(connection):
            pass
        assert differences(connection, FIRST, END) == []
