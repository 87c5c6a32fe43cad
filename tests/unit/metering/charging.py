"""Plans, periods and usage for tests of statements: a test names what matters to it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from spanmeter.metering.plans.grants import Grant
from spanmeter.metering.plans.plan import PlanVersion
from spanmeter.metering.plans.plan_book import Assignment, PlanBook
from spanmeter.metering.plans.plan_file import read_plan
from spanmeter.metering.statements.charging import charge
from spanmeter.metering.statements.course import Course
from spanmeter.metering.statements.statement import Charged
from spanmeter.metering.statements.usage import Action, UsageItem, Wanted

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
NOVEMBER = datetime(2026, 11, 1, tzinfo=UTC)
DECEMBER = datetime(2026, 12, 1, tzinfo=UTC)


def book_of(*texts: str, **effective: datetime) -> PlanBook:
    """The plans, all of them in force from the beginning of 2026; acme's is the first."""
    plans = [read_plan(text) for text in texts]
    versions = [
        PlanVersion(plan, number, effective.get(plan.name, BEGIN), BEGIN)
        for number, plan in enumerate(plans, 1)
    ]
    return PlanBook(versions, [Assignment("acme", plans[0].name, BEGIN, BEGIN)])


def november(day: int, hour: int = 12) -> datetime:
    """A moment of November 2026, UTC."""
    return datetime(2026, 11, day, hour, tzinfo=UTC)


def usage(at: datetime, **told: Any) -> dict[str, Any]:
    """Usage at a moment; `told` are columns, units, state, currency and cost."""
    return {"time": at, **told}


def item(wanted: Wanted, told: dict[str, Any]) -> UsageItem:
    """One row of the ledger, as it is read."""
    return UsageItem(
        told["time"],
        tuple(told.get(column) for column in wanted.columns),
        told.get("state", "billable"),
        told.get("currency", "USD"),
        told.get("calls", 1),
        told.get("unpriced", 0),
        Decimal(told.get("cost", 0)),
        tuple(Decimal(told.get(unit, 0)) for unit in wanted.units),
    )


def charged(
    book: PlanBook,
    rows: Iterable[dict[str, Any]],
    *,
    since: datetime = NOVEMBER,
    until: datetime = DECEMBER,
    grants: Iterable[Grant] = (),
    before: dict[str, Decimal] | None = None,
    actions: Iterable[Action] = (),
) -> Charged:
    """What acme's usage of a period comes to, row by row."""
    course = Course(book, "acme", since, until, grants, before)
    wanted = course.wanted(included_usage=True)
    within = sorted(
        (row for row in rows if since <= row["time"] < until), key=lambda row: row["time"]
    )
    return charge(course, wanted, (item(wanted, row) for row in within), actions)


def shown(found: Charged) -> list[tuple[str, str, str, str]]:
    """The lines, in short: kind, name, quantity, amount."""
    return [
        (each.kind, each.name, _text(each.quantity), _text(each.amount)) for each in found.lines
    ]


def _text(amount: Decimal | None) -> str:
    return "-" if amount is None else f"{amount.normalize():f}"
