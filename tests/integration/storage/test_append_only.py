"""What is booked stays: only retention, which drops whole chunks, takes rows away."""

from __future__ import annotations

import psycopg
import pytest

from booking import adjust, event, metered, query
from spanmeter.storage.ledger import LedgerWriter

TABLES = ("usage_events", "adjustments")
CHANGES = ("UPDATE {} SET tenant_id = 'other'", "DELETE FROM {}", "TRUNCATE {}")


def book(dsn: str) -> None:
    with LedgerWriter(dsn) as writer:
        writer.write(metered(event()))
    adjust(dsn)


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("change", CHANGES)
def test_a_booked_row_cannot_be_changed(dsn: str, table: str, change: str) -> None:
    """Not even by the owner, and the message says what to do instead."""
    book(dsn)
    with pytest.raises(psycopg.errors.RestrictViolation, match="append-only") as raised:
        query(dsn, change.format(table))
    assert raised.value.diag.message_hint == "Book the difference as a row of adjustments."


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("change", CHANGES[:2])
def test_nor_by_way_of_its_chunk(timescale_dsn: str, table: str, change: str) -> None:
    book(timescale_dsn)
    ((chunk,),) = query(timescale_dsn, "SELECT show_chunks(%s::regclass)::text", table)
    with pytest.raises(psycopg.errors.RestrictViolation, match="append-only"):
        query(timescale_dsn, change.format(chunk))


def test_retention_drops_chunks(timescale_dsn: str) -> None:
    book(timescale_dsn)
    query(timescale_dsn, "SELECT drop_chunks('usage_events', 'infinity'::timestamptz)")
    assert query(timescale_dsn, "SELECT kind FROM ledger") == [("adjustment",)]
