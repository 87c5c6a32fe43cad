"""Corrections: each booked once, exactly, all or none."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest

from booking import NOON, event, metered, query
from spanmeter.storage.adjustments import Adjustment, adjustment_of, book
from spanmeter.storage.connection import Connection, connect
from spanmeter.storage.errors import AdjustmentRefused, DatabaseUnavailable
from spanmeter.storage.ledger import LedgerWriter

TINY = Decimal("-0.000000000000000001")


@pytest.fixture
def connection(dsn: str) -> Generator[Connection]:
    with connect(dsn) as connected:
        yield connected


def correction(**fields: Any) -> Adjustment:
    """One of an event of its own, but for what `fields` say."""
    adjusted = adjustment_of(event(), uuid4(), "the invoice says so", "invoice 7")
    return replace(adjusted, **{"cost": TINY, "input_tokens": -7, **fields})


def test_a_correction_is_booked_as_it_is_given(dsn: str, connection: Connection) -> None:
    booked = event(dimensions={"team": 'a "b" \\'}, feature="ü", quantities={"images": Decimal(2)})
    with LedgerWriter(dsn) as writer:
        writer.write(metered(booked))
    reversal = replace(
        adjustment_of(booked, uuid4(), "reversed"),
        requests=-1,
        quantities={"images": Decimal("-2e0")},
    )
    assert book(connection, [reversal]) == 1
    same = (
        "SELECT count(*) FROM adjustments AS a JOIN usage_events AS e ON"
        " (a.adjusted_trace_id, a.adjusted_span_id, a.adjusted_time, a.time)"
        " = (e.trace_id, e.span_id, e.time, e.time)"
        " WHERE (a.tenant_id, a.feature, a.dimensions, a.request_model, a.status, a.byok, a.billable_state)"
        " = (e.tenant_id, e.feature, e.dimensions, e.request_model, e.status, e.byok, e.billable_state)"
        ' AND a.requests = -1 AND a.cost IS NULL AND a.quantities = \'{"images": "-2"}\''
    )
    assert query(dsn, same) == [(1,)]


def test_the_same_correction_is_booked_once(dsn: str, connection: Connection) -> None:
    given = [correction() for _ in range(3)]
    assert book(connection, given[:2]) == 2
    assert book(connection, [*given, given[2]]) == 1
    assert query(dsn, "SELECT count(*), sum(cost) FROM adjustments") == [(3, 3 * TINY)]


@pytest.mark.parametrize(
    "other",
    [{"cost": Decimal(1)}, {"time": NOON + timedelta(days=30)}, {"tenant_id": None}],
)
def test_one_that_is_booked_already_cannot_say_something_else(
    dsn: str, connection: Connection, other: dict[str, Any]
) -> None:
    first = correction()
    book(connection, [first])
    with pytest.raises(AdjustmentRefused, match=f"{first.adjustment_id} is booked already"):
        book(connection, [correction(), replace(first, **other)])
    with pytest.raises(AdjustmentRefused, match="twice, differently"):
        book(connection, [first, replace(first, **other)])
    assert query(dsn, "SELECT count(*) FROM adjustments") == [(1,)]


@pytest.mark.parametrize(
    "wrong",
    [
        {"reason": ""},
        {"cost": Decimal("Infinity")},
        {"currency": "dollars"},
        {"feature": "\0"},
        {"input_tokens": 2**63},
        {"time": datetime(2026, 11, 20)},  # noqa: DTZ001
    ],
)
def test_what_the_ledger_does_not_take_books_none(
    dsn: str, connection: Connection, wrong: dict[str, Any]
) -> None:
    with pytest.raises(AdjustmentRefused):
        book(connection, [correction(), correction(**wrong)])
    assert query(dsn, "SELECT count(*) FROM adjustments") == [(0,)]


def test_more_than_a_page_is_one_transaction(dsn: str, connection: Connection) -> None:
    given = [correction(adjustment_id=UUID(int=number)) for number in range(1, 5002)]
    with pytest.raises(AdjustmentRefused):
        book(connection, [*given, correction(reason="")])
    assert query(dsn, "SELECT count(*) FROM adjustments") == [(0,)]
    assert book(connection, given) == 5001


def test_it_can_be_part_of_a_transaction(dsn: str, connection: Connection) -> None:
    with connection.transaction(force_rollback=True):
        assert book(connection, [correction()]) == 1
    assert query(dsn, "SELECT count(*) FROM adjustments") == [(0,)]


def test_nothing_to_book_is_no_work(connection: Connection) -> None:
    assert book(connection, []) == 0


def test_a_correction_booked_twice_at_once_is_one(dsn: str) -> None:
    given = correction()
    with connect(dsn) as one, connect(dsn) as other:
        other.execute("SET lock_timeout = '50ms'")
        with one.transaction():
            assert book(one, [given]) == 1
            with pytest.raises(DatabaseUnavailable, match="lock timeout"):
                book(other, [given])
        assert book(other, [given]) == 0
