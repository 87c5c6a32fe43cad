"""Usage events and adjustments for tests that need rows; a test names what matters to it."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any

import psycopg
from psycopg import sql

from spanmeter.metering.usage_event import UsageEvent
from spanmeter.storage.metered import Metered

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)

_CALL = UsageEvent(
    time=NOON,
    trace_id=bytes(16),
    span_id=bytes(8),
    tenant_id="acme",
    provider="openai",
    operation="chat",
    request_model="gpt-5",
    response_model="gpt-5-2025-08-07",
    duration=timedelta(milliseconds=1234.567),
    input_tokens=1000,
    cache_read_input_tokens=200,
    output_tokens=50,
    reasoning_output_tokens=20,
    usage_source="provider",
    cost=Decimal("0.001525"),
    rate_version="test-rates",
    cost_quality="exact",
    dialect="otel",
    scope_name="spanmeter.openai",
    scope_version="1",
)

_ADJUSTMENT = {
    "time": NOON,
    "reason": "the provider's invoice says so",
    "tenant_id": "acme",
    "provider": "openai",
    "operation": "chat",
    "request_model": "gpt-5",
    "billable_state": "billable",
    "billable_reason": "as booked",
    "currency": "USD",
}


def event(**fields: Any) -> UsageEvent:
    """One priced call of tenant acme with ids of its own, but for what `fields` say."""
    return _CALL._replace(**{"trace_id": os.urandom(16), "span_id": os.urandom(8), **fields})


def metered(*events: UsageEvent) -> list[Metered]:
    """The events as a batch for the writer; with a payload for each."""
    return [Metered(event, partial(payload, event)) for event in events]


def payload(event: UsageEvent) -> bytes:
    """What stands for the event's span where a test needs it."""
    return b"span " + event.span_id


def adjust(dsn: str, **fields: Any) -> None:
    """Book an adjustment: a change of acme's usage at noon by what `fields` say."""
    row = {**_ADJUSTMENT, "adjustment_id": os.urandom(16).hex(), **fields}
    insert = sql.SQL("INSERT INTO adjustments ({}) VALUES ({})").format(
        sql.SQL(", ").join(map(sql.Identifier, row)),
        sql.SQL(", ").join(map(sql.Placeholder, row)),
    )
    with psycopg.connect(dsn) as connection:
        connection.execute(insert, row)


def query(dsn: str, statement: str, *values: object) -> list[tuple[Any, ...]]:
    """What the statement returns, on a connection of its own."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        cursor = connection.execute(statement.encode(), values or None)
        return cursor.fetchall() if cursor.description else []
