"""What is old leaves: by whole chunks, or on plain PostgreSQL by rows; sealed, in the rollups, and nothing younger."""

from __future__ import annotations

import uuid
from collections.abc import Generator
from contextlib import closing
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from booking import adjust, event, metered, query
from spanmeter.storage.connection import connect
from spanmeter.storage.keeping import (
    Kept,
    NotKept,
    What,
    chunks_of,
    dropped,
    keep_house,
    retention,
    set_retention,
)
from spanmeter.storage.ledger import LedgerWriter
from spanmeter.storage.rejected import RejectedSpan
from spanmeter.storage.seals import seal

TABLES = ("usage_events", "adjustments")
COUNTS = "SELECT (SELECT count(*) FROM usage_events), (SELECT count(*) FROM adjustments)"
SUMS = "SELECT sum(requests), sum(cost) FROM usage_daily"


def ago(days: float) -> datetime:
    return datetime.now(UTC) - timedelta(days=days)


@pytest.fixture
def booked(dsn: str) -> str:
    """A year of usage and corrections, all of it sealed."""
    with LedgerWriter(dsn) as writer:
        writer.write(metered(*(event(time=ago(days)) for days in (1, 20, 100, 200, 350))))
    for days in (1, 200):
        adjust(dsn, time=ago(days))
    seal_all(dsn)
    return dsn


def seal_all(dsn: str) -> None:
    with closing(connect(dsn)) as connection:
        assert seal(connection, datetime.now(UTC))


def lay_down(dsn: str, keep: timedelta, what: What = "ledger") -> None:
    with closing(connect(dsn)) as connection:
        set_retention(connection, what, keep)


def kept(dsn: str, *, unsealed: bool = False) -> Kept:
    with closing(connect(dsn)) as connection:
        return keep_house(connection, unsealed=unsealed)


def test_nothing_leaves_unless_it_is_laid_down(booked: str) -> None:
    assert set(kept(booked).held.values()) == {"it is kept for ever"}
    assert query(booked, COUNTS) == [(5, 2)]


def test_what_is_older_leaves_and_the_rollups_stay(booked: str) -> None:
    """A chunk leaves when all of it is old, so a week more may stay."""
    sums = query(booked, SUMS)
    lay_down(booked, timedelta(days=150))
    assert kept(booked).held == {"usage_events": None, "adjustments": None}
    assert query(booked, COUNTS) == [(3, 1)]
    assert query(booked, SUMS) == sums
    with closing(connect(booked)) as connection:
        log = dropped(connection)
    assert {entry.dropped_from for entry in log} == set(TABLES)
    for entry in log:
        assert ago(200) < entry.before < ago(150)
        assert (entry.chunks is None) != (entry.rows is None)
    kept(booked)
    assert query(booked, COUNTS) == [(3, 1)]


def test_what_is_not_sealed_stays_unless_it_is_told_to_leave(booked: str) -> None:
    with LedgerWriter(booked) as writer:
        writer.write(metered(event(time=ago(300))))
    lay_down(booked, timedelta(days=150))
    assert kept(booked).held == {
        "usage_events": "it has rows that are not sealed yet",
        "adjustments": None,
    }
    assert query(booked, COUNTS) == [(6, 1)]
    assert kept(booked, unsealed=True).held["usage_events"] is None
    assert query(booked, COUNTS) == [(3, 1)]
    with closing(connect(booked)) as connection:
        assert dropped(connection)[0].unsealed


def test_a_correction_of_a_row_that_has_left_can_still_be_booked(booked: str) -> None:
    lay_down(booked, timedelta(days=150))
    kept(booked)
    adjust(booked, time=ago(350))
    assert query(booked, COUNTS) == [(3, 2)]


@pytest.fixture
def writer(booked: str) -> Generator[str]:
    """The DSN of a collector's login."""
    name = f"collector_{uuid.uuid4().hex[:12]}"
    query(booked, f"CREATE ROLE {name} LOGIN IN ROLE spanmeter_writer")
    yield make_conninfo(booked, user=name)
    query(booked, f"DROP ROLE {name}")


def test_a_collectors_login_applies_what_is_laid_down_and_no_more(booked: str, writer: str) -> None:
    lay_down(booked, timedelta(days=150))
    for attempt in (
        "UPDATE retention SET keep = interval '1 day'",
        "INSERT INTO retention VALUES ('rejected_spans', interval '1 day')",
        "SELECT drop_old('usage_events', true)",
        "SET spanmeter.dropping = 'on'; DELETE FROM usage_events",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            query(writer, attempt)
    assert query(booked, COUNTS) == [(5, 2)]
    kept(writer)
    assert query(booked, COUNTS) == [(3, 1)]


@pytest.mark.parametrize("table", TABLES)
def test_what_is_younger_cannot_be_deleted_by_the_owner_either(booked: str, table: str) -> None:
    lay_down(booked, timedelta(days=500))
    for change in ("DELETE FROM {}", "TRUNCATE {}"):
        with pytest.raises(psycopg.errors.RestrictViolation):
            query(booked, "SET spanmeter.dropping = 'on';" + change.format(table))


def test_old_rejected_spans_leave(booked: str) -> None:
    with LedgerWriter(booked) as writer:
        writer.write(
            (), [RejectedSpan("r", "d", b"", b"", None, payload) for payload in (b"a", b"b")]
        )
    query(
        booked,
        "UPDATE rejected_spans SET rejected_at = now() - interval '40 days' WHERE payload = 'a'",
    )
    lay_down(booked, timedelta(days=30), "rejected_spans")
    assert kept(booked).rejected == 1
    assert query(booked, "SELECT payload FROM rejected_spans") == [(b"b",)]


def test_a_day_is_the_least_and_for_ever_the_most(booked: str) -> None:
    with closing(connect(booked)) as connection:
        with pytest.raises(NotKept, match="a day at least"):
            set_retention(connection, "ledger", timedelta(hours=23))
        set_retention(connection, "ledger", timedelta(days=400))
        ((what, keep, _, _),) = retention(connection)
        assert (what, keep) == ("ledger", timedelta(days=400))
        set_retention(connection, "ledger", None)
        assert retention(connection) == []


def interval(dsn: str) -> timedelta | None:
    with closing(connect(dsn)) as connection:
        return chunks_of(connection, "usage_events").interval


def test_the_span_of_a_chunk_follows_what_is_booked(timescale_dsn: str) -> None:
    """A quarter of the memory for the indexes of one; effective_cache_size is what PostgreSQL takes for the memory."""
    dsn = timescale_dsn
    with LedgerWriter(dsn) as writer:
        writer.write(metered(*(event(time=ago(8)) for _ in range(2000))))
    assert interval(dsn) == timedelta(days=7)
    little = make_conninfo(dsn, options="-c effective_cache_size=128kB")
    assert kept(little).interval == interval(dsn)
    shrunk = interval(dsn)
    assert shrunk is not None
    assert shrunk < timedelta(days=7)
    assert kept(little).interval is None
    assert kept(dsn).interval == interval(dsn) == timedelta(days=7)


def test_a_span_that_a_person_has_set_stays(timescale_dsn: str) -> None:
    with LedgerWriter(timescale_dsn) as writer:
        writer.write(metered(*(event(time=ago(8)) for _ in range(2000))))
    query(timescale_dsn, "SELECT set_chunk_time_interval('usage_events', interval '2 days')")
    little = make_conninfo(timescale_dsn, options="-c effective_cache_size=128kB")
    assert kept(little).interval is None
    assert interval(timescale_dsn) == timedelta(days=2)


def test_old_chunks_move_to_the_columnstore_of_community(community_dsn: str) -> None:
    """Sums and further bookings are as before."""
    with LedgerWriter(community_dsn) as writer:
        old = event(time=ago(40))
        writer.write(metered(old, *(event(time=ago(40)) for _ in range(500))))
        sums = query(community_dsn, "SELECT count(*), sum(cost) FROM ledger")
        lay_down(community_dsn, timedelta(days=30), "rowstore")
        assert kept(community_dsn).in_columnstore is not None
        assert query(community_dsn, "SELECT count(*), sum(cost) FROM ledger") == sums
        assert writer.write(metered(old)).duplicates == 1
    assert kept(community_dsn).in_columnstore is None


def test_without_the_columnstore_rows_stay_rows(dsn: str) -> None:
    lay_down(dsn, timedelta(days=30), "rowstore")
    with closing(connect(dsn)) as connection:
        if connection.execute(
            "SELECT current_setting('timescaledb.license', true) = 'timescale'"
        ).fetchone() == (True,):
            pytest.skip("this edition has it")
    assert kept(dsn).in_columnstore is None
