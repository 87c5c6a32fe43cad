"""Seals: what was booked is covered once, whatever is booked meanwhile; the chain shows what was changed."""

from __future__ import annotations

from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from psycopg import sql

from booking import NOON, adjust, event, metered, query
from spanmeter.storage.connection import Connection, connect
from spanmeter.storage.errors import DatabaseUnavailable, NotSealed
from spanmeter.storage.ledger import LedgerWriter
from spanmeter.storage.seal_chain import Part, broken_links
from spanmeter.storage.seals import seal, sealable, sealed_parts, seals, windows

DAY = NOON.date()


@pytest.fixture
def connection(dsn: str) -> Generator[Connection]:
    with closing(connect(dsn)) as connection:
        yield connection


def now(connection: Connection) -> datetime:
    row = connection.execute("SELECT clock_timestamp() - interval '1 microsecond'").fetchone()
    assert row is not None
    moment: datetime = row[0]
    return moment


def book(dsn: str, **fields: Any) -> None:
    with LedgerWriter(dsn) as writer:
        writer.write(metered(event(**fields)))


def held(connection: Connection) -> dict[int, dict[Part, object]]:
    """What the windows hold now."""
    found: dict[int, dict[Part, object]] = {}
    (last, *_) = seals(connection)[::-1]
    for table, names in last.columns.items():
        for days in range(-3, 2):
            day = DAY + timedelta(days=days)
            for number, parts in sealable(
                connection, table, names, day, windows(connection)
            ).items():
                found.setdefault(number, {}).update(parts)
    return found


def test_each_row_is_in_the_seal_of_the_time_it_was_booked(
    dsn: str, connection: Connection
) -> None:
    book(dsn, cost=Decimal("0.10"))
    book(dsn, time=NOON - timedelta(days=1), cost=Decimal("0.250"))
    (first,) = seal(connection, now(connection))
    book(dsn, cost=Decimal("1e-18"))
    book(dsn, cost=None, rate_version=None, cost_quality="unpriced", currency="EUR")
    adjust(dsn, cost=Decimal("-0.10"))
    (second,) = seal(connection, now(connection))
    assert (first.number, second.number, second.previous) == (1, 2, first.digest)
    parts = sealed_parts(connection)
    assert {part: (sums.rows, sums.cost) for part, sums in parts[1].items()} == {
        Part("usage_events", DAY, "USD"): (1, Decimal("0.10")),
        Part("usage_events", DAY - timedelta(days=1), "USD"): (1, Decimal("0.250")),
    }
    assert {part: (sums.rows, sums.cost) for part, sums in parts[2].items()} == {
        Part("usage_events", DAY, "USD"): (1, Decimal("1e-18")),
        Part("usage_events", DAY, "EUR"): (1, None),
        Part("adjustments", DAY, "USD"): (1, Decimal("-0.10")),
    }
    assert held(connection) == parts
    assert list(broken_links(windows(connection), seals(connection), parts, None)) == []


def test_nothing_is_sealed_twice(dsn: str, connection: Connection) -> None:
    book(dsn)
    until = now(connection)
    assert len(seal(connection, until)) == 1
    assert seal(connection, until) == []
    assert seal(connection, until - timedelta(days=1)) == []
    with pytest.raises(NotSealed, match="is not past yet"):
        seal(connection, datetime.now(UTC) + timedelta(minutes=5))


def test_a_window_that_was_closed_only_is_sealed_next_time(
    dsn: str, connection: Connection
) -> None:
    """The process that closed it died before it had read all of it."""
    book(dsn)
    query(dsn, "SELECT close_seal_window(now())")
    book(dsn)
    assert [made.number for made in seal(connection, now(connection))] == [1, 2]
    assert [len(parts) for parts in sealed_parts(connection).values()] == [1, 1]


def test_what_began_before_a_window_closed_is_booked_after_it(
    dsn: str, connection: Connection
) -> None:
    """Its time of booking would lie in the window: it is refused, and begun again."""
    late = event()
    insert = """
        INSERT INTO usage_events (
            time, trace_id, span_id, dimensions, provider, operation, byok, attempt, status, duration,
            cache_write_by_ttl, quantities, usage_source, billable_state, billable_reason, currency,
            cost_quality, dialect, scope_name, scope_version
        ) VALUES (
            %s, %s, %s, '{}', 'openai', 'chat', false, 1, 'ok', '1s',
            '{}', '{}', 'none', 'billable', 'by hand', 'USD', 'unpriced', 'otel', 'by hand', '1'
        )
    """
    key = late.time, late.trace_id, late.span_id
    with psycopg.connect(dsn) as straggler:
        straggler.execute("SELECT now()")
        seal(connection, now(connection))
        with pytest.raises(psycopg.errors.SerializationFailure, match="begin it again"):
            straggler.execute(insert, key)
        straggler.rollback()
        straggler.execute(insert, key)
    seal(connection, now(connection))
    assert [list(parts) for parts in sealed_parts(connection).values()] == [
        [Part("usage_events", DAY, "USD")]
    ]
    assert sealed_parts(connection) == held(connection)


def test_whoever_is_booking_is_waited_for(dsn: str, connection: Connection) -> None:
    """An uncommitted row of the window is in its seal, since the seal waits."""
    with psycopg.connect(dsn) as booking, ThreadPoolExecutor(1) as pool:
        booking.execute(
            "INSERT INTO adjustments (time, adjustment_id, reason, provider, operation, billable_state,"
            " billable_reason, currency) VALUES (%s, gen_random_uuid(), 'late', 'x', 'chat', 'billable', 'x', 'USD')",
            (NOON,),
        )
        until = now(connection)
        sealing = pool.submit(seal, connection, until)
        waiting = (
            "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'adjustments'::regclass"
        )
        while query(dsn, waiting) == [(0,)]:
            assert not sealing.done()
        booking.commit()
        assert [made.number for made in sealing.result(30)] == [1]
    assert list(sealed_parts(connection)[1]) == [Part("adjustments", DAY, "USD")]


def test_seals_made_while_writers_write_cover_each_row_once(
    dsn: str, connection: Connection
) -> None:
    """Each commit is in one window, and stays what was sealed of it."""

    def write(writer_number: int) -> None:
        with LedgerWriter(dsn) as writer:
            for n in range(40):
                batch = metered(*(event(user_id=f"{writer_number}-{n}") for _ in range(5)))
                # Sealed up to this very moment without a pause, a batch can be overtaken time and again.
                while True:
                    with suppress(DatabaseUnavailable):
                        writer.write(batch)
                        break

    with ThreadPoolExecutor(2) as pool:
        writing = [pool.submit(write, number) for number in range(2)]
        while not all(each.done() for each in writing):
            seal(connection, now(connection))
        for each in writing:
            each.result()
    seal(connection, now(connection))
    parts = sealed_parts(connection)
    assert sum(sums.rows for each in parts.values() for sums in each.values()) == 400
    assert held(connection) == parts
    assert len(parts) > 1


def test_a_column_that_is_added_later_leaves_old_seals_as_they_are(
    dsn: str, connection: Connection
) -> None:
    book(dsn)
    seal(connection, now(connection))
    before = sealed_parts(connection)
    query(dsn, "ALTER TABLE usage_events ADD COLUMN mood text DEFAULT 'good'")
    names = seals(connection)[0].columns["usage_events"]
    assert sealable(connection, "usage_events", names, DAY, windows(connection)) == before
    book(dsn)
    (second,) = seal(connection, now(connection))
    assert second.columns["usage_events"] == [*names, "mood"]


@pytest.mark.parametrize("table", ["seal_windows", "seals", "sealed_days"])
def test_seals_are_append_only(dsn: str, connection: Connection, table: str) -> None:
    book(dsn)
    seal(connection, now(connection))
    for statement in ("UPDATE {} SET number = 7", "DELETE FROM {}", "TRUNCATE {} CASCADE"):
        with pytest.raises(psycopg.errors.RestrictViolation, match="append-only"):
            connection.execute(sql.SQL(statement).format(sql.Identifier(table)))


def test_a_signature_is_by_the_key(dsn: str, connection: Connection) -> None:
    book(dsn)
    (made,) = seal(connection, now(connection), key=b"secret")
    assert made.signature is not None
    (again,) = seals(connection)
    assert again == made
    parts = sealed_parts(connection)
    for key, broken in (
        (b"secret", []),
        (None, []),
        (b"other", [(1, "its signature is not by this key")]),
    ):
        assert list(broken_links(windows(connection), [again], parts, key)) == broken


def test_a_day_is_sealed_in_utc_whatever_the_session(dsn: str, connection: Connection) -> None:
    connection.execute("SET timezone = 'Pacific/Auckland'; SET bytea_output = 'escape'")
    connection.execute("SET client_encoding = 'LATIN1'")
    book(dsn, time=datetime(2026, 11, 20, 23, 59, 59, 999999, UTC), user_id="Ærøskøbing €")
    seal(connection, now(connection))
    with closing(connect(dsn)) as other:
        assert held(other) == sealed_parts(other)
        assert list(sealed_parts(other)[1]) == [Part("usage_events", date(2026, 11, 20), "USD")]
