"""The views: every sum equals the sum over the ledger, adjustments and all."""

from __future__ import annotations

import random
from datetime import date, timedelta
from decimal import Decimal

import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from booking import NOON, adjust, event, metered, query
from spanmeter.storage.ledger import LedgerWriter

MEASURES = (
    "requests",
    "unpriced_requests",
    "input_tokens",
    "cache_read_input_tokens",
    "cache_write_input_tokens",
    "output_tokens",
    "reasoning_output_tokens",
    "cost",
)

UNPRICED: dict[str, object] = {"cost": None, "cost_quality": "unpriced", "rate_version": None}


@pytest.fixture
def booked(dsn: str) -> str:
    """A ledger of three days, three tenants and none, two currencies, some unpriced, some adjusted."""
    chance = random.Random(7)
    events = [
        event(
            time=NOON + timedelta(minutes=chance.randrange(4320)),
            tenant_id=chance.choice(["acme", "globex", "initech", None]),
            feature=chance.choice(["chat", None]),
            status=chance.choice(["ok", "error"]),
            response_model=chance.choice(["gpt-5-2025-08-07", None]),
            currency=chance.choice(["USD", "EUR"]),
            input_tokens=chance.randrange(1000, 9000),
            cost=Decimal(chance.randrange(10**18)) / 10**18,
        )
        for _ in range(300)
    ]
    events += [event(input_tokens=None, **UNPRICED) for _ in range(20)]
    with LedgerWriter(dsn) as writer:
        assert writer.write(metered(*events)).inserted == len(events)
    adjust(dsn, cost=Decimal("-0.000000000000000001"), requests=-1, input_tokens=-7)
    adjust(dsn, cost=Decimal(3), unpriced_requests=-1, currency="EUR", tenant_id=None)
    return dsn


def test_a_rollup_sums_to_the_ledger(booked: str) -> None:
    for by in ("currency", "tenant_id", "feature", "model", "billable_state"):
        booked_sums = sums(booked, "ledger", by)
        assert sums(booked, "usage_hourly", by) == booked_sums
        assert sums(booked, "usage_daily", by) == booked_sums


def sums(dsn: str, relation: str, by: str) -> list[tuple[object, ...]]:
    """Every measure of the relation by one column; a rollup shows what nobody reported as 0."""
    measures = [
        sql.SQL("coalesce(sum({}), 0)").format(sql.Identifier(measure)) for measure in MEASURES
    ]
    statement = sql.SQL("SELECT {by}, {sums} FROM {relation} GROUP BY {by} ORDER BY {by}").format(
        by=sql.Identifier(by),
        sums=sql.SQL(", ").join(measures),
        relation=sql.Identifier(relation),
    )
    return query(dsn, statement.as_string())


def test_failed_requests_are_those_that_did_not_end_well(booked: str) -> None:
    failed = query(booked, "SELECT sum(requests) FROM ledger WHERE status <> 'ok'")
    assert query(booked, "SELECT sum(failed_requests) FROM usage_hourly") == failed
    assert query(booked, "SELECT sum(failed_requests) FROM usage_daily") == failed


def test_a_day_is_utc_wherever_it_is_asked_from(dsn: str) -> None:
    late = NOON.replace(hour=23, minute=59)
    with LedgerWriter(dsn) as writer:
        writer.write(metered(event(time=late), event(time=late + timedelta(minutes=1))))
    tokyo = make_conninfo(dsn, options="-c timezone=Asia/Tokyo")
    days = query(tokyo, "SELECT day, requests FROM usage_daily ORDER BY day")
    assert days == [(date(2026, 11, 20), 1), (date(2026, 11, 21), 1)]
    hours = query(tokyo, "SELECT hour FROM usage_hourly ORDER BY hour")
    assert hours == [(NOON.replace(hour=23),), (NOON + timedelta(hours=12),)]


def test_what_is_unpriced_has_no_cost_rather_than_none_to_pay(dsn: str) -> None:
    unpriced = event(**UNPRICED)
    with LedgerWriter(dsn) as writer:
        writer.write(metered(unpriced))
    assert query(dsn, "SELECT unpriced_requests, cost FROM usage_daily") == [(1, None)]
    adjust(dsn, cost=Decimal("0.5"), unpriced_requests=-1, response_model=unpriced.response_model)
    assert query(dsn, "SELECT requests, unpriced_requests, cost FROM usage_daily") == [
        (1, 0, Decimal("0.5"))
    ]


def test_an_adjustment_is_in_the_ledger_with_its_reason(dsn: str) -> None:
    booked = event()
    with LedgerWriter(dsn) as writer:
        writer.write(metered(booked))
    key = {"adjusted_trace_id": booked.trace_id, "adjusted_span_id": booked.span_id}
    adjust(dsn, **key, adjusted_time=booked.time, cost=Decimal("-0.001"), reference="invoice 7")
    rows = query(
        dsn, "SELECT kind, requests, cost, reason, reference, span_id FROM ledger ORDER BY kind"
    )
    reason = "the provider's invoice says so"
    assert rows == [
        ("adjustment", 0, Decimal("-0.001"), reason, "invoice 7", booked.span_id),
        ("usage", 1, Decimal("0.001525"), None, None, booked.span_id),
    ]


def test_sums_do_not_overflow(dsn: str) -> None:
    most = 2**63 - 1
    with LedgerWriter(dsn) as writer:
        writer.write(metered(event(input_tokens=most), event(input_tokens=most)))
    assert query(dsn, "SELECT input_tokens FROM usage_daily") == [(2 * most,)]


def test_unattributed_usage_is_told_by_its_place_in_the_code(dsn: str) -> None:
    nobody = {"tenant_id": None, "callsite": "app.py:7", "service_name": "api"}
    later = NOON + timedelta(hours=1)
    events = [
        event(cost=Decimal(6)),
        event(cost=Decimal(1), **nobody),
        event(cost=Decimal(1), **nobody, time=later),
        event(cost=Decimal(5), **nobody, currency="EUR"),
    ]
    with LedgerWriter(dsn) as writer:
        writer.write(metered(*events))
    rows = query(
        dsn,
        "SELECT callsite, service_name, provider, model, currency, requests, input_tokens,"
        " cost, share_of_cost, first_seen, last_seen FROM unattributed_usage ORDER BY currency",
    )
    place = ("app.py:7", "api", "openai", "gpt-5-2025-08-07")
    assert rows == [
        (*place, "EUR", 1, 1000, Decimal(5), Decimal(1), NOON, NOON),
        (*place, "USD", 2, 2000, Decimal(2), Decimal("0.25"), NOON, later),
    ]
