"""A ledger that tenants are charged by: plans of acme, its calls, and the statements of it."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from decimal import Decimal

from booking import event, metered
from spanmeter.metering.plans.grants import Grant
from spanmeter.metering.statements.statement import Statement
from spanmeter.metering.usage_event import UsageEvent
from spanmeter.storage.closing_periods import close_period, settled_moment
from spanmeter.storage.connection import Connection
from spanmeter.storage.ledger import LedgerWriter
from spanmeter.storage.plans import assign, set_plan
from spanmeter.storage.tenant_statements import Statements

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
AUGUST, SEPTEMBER, OCTOBER = (date(2026, month, 1) for month in (8, 9, 10))

MARKUP = 'plan = "pro"\ncurrency = "USD"\n[[charge]]\nname = "llm"\nmarkup = "30%"\n'
ACTIONS = """
plan = "pro"
currency = "USD"
[[charge]]
name = "report"
action = "report"
price = 0.50
"""


def at(month: int, day: int, hour: int = 12) -> datetime:
    return datetime(2026, month, day, hour, tzinfo=UTC)


def booked(dsn: str, *events: UsageEvent) -> None:
    with LedgerWriter(dsn) as writer:
        assert writer.write(metered(*events)).inserted == len(events)


def call(when: datetime, cost: str, **told: object) -> UsageEvent:
    return event(time=when, cost=Decimal(cost), **told)


def plan(connection: Connection, text: str, *, tenant: str | None = "acme") -> None:
    recorded, _ = set_plan(connection, text, BEGIN, "ann")
    assign(connection, tenant, recorded.plan, BEGIN, "ann")


@contextmanager
def statements(connection: Connection, as_of: datetime | None = None) -> Generator[Statements]:
    with connection.transaction():
        yield Statements(connection, as_of)


def statement(
    connection: Connection, month: date, *, tenant: str = "acme", as_of: datetime | None = None
) -> Statement:
    with statements(connection, as_of) as known:
        return known.of(tenant, month)


def close(connection: Connection, month: date, *, restate: bool = False) -> Statement:
    close_period(connection, "acme", month, settled_moment(connection), "ann", restate=restate)
    return statement(connection, month)


def credit(amount: str, **told: object) -> Grant:
    values: dict[str, object] = {
        "grant_id": "welcome",
        "tenant_id": "acme",
        "kind": "credit",
        "unit": "USD",
        "amount": Decimal(amount),
        "effective_at": BEGIN,
        "recorded_at": BEGIN,
    }
    return Grant(**{**values, **told})  # type: ignore[arg-type]
