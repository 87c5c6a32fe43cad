"""What plans, grants and closed statements are kept in: append-only, and who may read it."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from decimal import Decimal

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from booking import query
from charged_ledger import (
    ACTIONS,
    MARKUP,
    OCTOBER,
    SEPTEMBER,
    at,
    booked,
    call,
    close,
    credit,
    plan,
    statement,
)
from spanmeter.storage.closing_periods import close_period, settled_moment
from spanmeter.storage.connection import Connection, connect
from spanmeter.storage.errors import LedgerIncomplete
from spanmeter.storage.grants import Refund, add_grant, refund_action, void_grant
from spanmeter.storage.revenue import Revenue, import_revenue, imported_revenue


@pytest.fixture
def connection(dsn: str) -> Generator[Connection]:
    with closing(connect(dsn)) as connection:
        yield connection


TABLES = {
    "plans": "recorded_by",
    "plan_assignments": "recorded_by",
    "grants": "recorded_by",
    "grant_voids": "recorded_by",
    "action_refunds": "recorded_by",
    "statement_closings": "closed_by",
    "revenue": "recorded_by",
}


def test_what_is_recorded_stays(dsn: str, connection: Connection) -> None:
    """Each table refuses to be changed or emptied, by the owner, too."""
    acted = {"action": "report", "idempotency_key": "a", "billable_reason": "test"}
    plan(connection, ACTIONS)
    booked(dsn, call(at(9, 2), "1", **acted))
    add_grant(connection, credit("10"), "ann")
    void_grant(connection, "welcome", at(9, 15), "ann")
    close(connection, SEPTEMBER)
    refund = Refund(tenant_id="acme", action="report", key="a", refunded_at=at(10, 1), reason="x")
    refund_action(connection, refund, "ann")
    paid = Revenue("acme", SEPTEMBER, Decimal(7), "USD", "stripe")
    assert import_revenue(connection, [paid, paid._replace(amount=Decimal(8))], "ann") == 2
    assert imported_revenue(connection, SEPTEMBER) == {("acme", "USD"): Decimal(8)}
    for table, column in TABLES.items():
        assert query(dsn, f"SELECT count(*) > 0 FROM {table}") == [(True,)]  # noqa: S608
        for change in (
            f"UPDATE {table} SET {column} = 'x'",  # noqa: S608
            f"DELETE FROM {table}",  # noqa: S608
            f"TRUNCATE {table} CASCADE",
        ):
            with pytest.raises(psycopg.errors.RestrictViolation, match="append-only"):
                query(dsn, change)


def test_who_may_read_may_read_them_and_the_writer_the_plans_alone(dsn: str) -> None:
    reader, writer = (
        make_conninfo(dsn, options=f"-c role=spanmeter_{role}") for role in ("reader", "writer")
    )
    for table in (*TABLES, "tenant_margin"):
        assert query(reader, f"TABLE {table}") == []
        if table in {"plans", "plan_assignments"}:
            assert query(writer, f"TABLE {table}") == []
        else:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                query(writer, f"TABLE {table}")


def test_nobody_is_closed_for_nothing(dsn: str, connection: Connection) -> None:
    plan(connection, MARKUP, tenant=None)
    booked(dsn, call(at(9, 2), "1"))
    as_of = settled_moment(connection)
    assert close_period(connection, "globex", SEPTEMBER, as_of, "ann", even_empty=False) is None
    closed = close_period(connection, "acme", SEPTEMBER, as_of, "ann", even_empty=False)
    assert closed is not None
    assert closed.total == Decimal("1.30")


def test_rows_that_have_left_are_not_taken_for_nothing(dsn: str, connection: Connection) -> None:
    plan(connection, MARKUP)
    booked(dsn, call(at(9, 2), "1"))
    query(
        dsn,
        "INSERT INTO retention_log (dropped_from, before) VALUES ('usage_events', '2026-09-15')",
    )
    with pytest.raises(LedgerIncomplete, match="have left the ledger"):
        statement(connection, SEPTEMBER)
    assert statement(connection, OCTOBER).total == 0
