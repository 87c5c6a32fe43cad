"""Plans in the database: every version that was recorded, and whose they are from when on."""

from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple

from spanmeter.metering.plans.plan import Plan, PlanVersion
from spanmeter.metering.plans.plan_book import Assignment, PlanBook
from spanmeter.metering.plans.plan_file import read_plan
from spanmeter.storage import statements
from spanmeter.storage.connection import Connection, database_errors
from spanmeter.storage.definitions import one_at_a_time
from spanmeter.storage.errors import StorageError
from spanmeter.storage.price_budgets import check_price_budgets

_SQL = statements.load("plans")


class UnknownPlan(StorageError):
    """A plan that was never recorded."""


class RecordedPlan(NamedTuple):
    """A version of a plan as it was recorded: in force from when on, who recorded it (as they say), and its text."""

    plan: str
    number: int
    effective_from: datetime
    recorded_at: datetime
    recorded_by: str
    login: str
    note: str | None
    text: str

    @property
    def name(self) -> str:
        """As statements name it: `pro/3`."""
        return f"{self.plan}/{self.number}"

    def read(self) -> Plan:
        """The plan itself. Raises PlanError where this release does not know all that it asks for."""
        return _read(self.text)


class RecordedAssignment(NamedTuple):
    """A tenant's plan from a moment on; without a tenant, of everybody who has none. Without a plan, none any more."""

    number: int
    tenant_id: str | None
    plan: str | None
    effective_from: datetime
    recorded_at: datetime
    recorded_by: str
    login: str
    note: str | None


def set_plan(
    connection: Connection,
    text: str,
    effective_from: datetime,
    recorded_by: str,
    note: str | None = None,
) -> tuple[RecordedPlan, bool]:
    """Record a version of a plan, in force from a moment on; return it, and whether it is a new one.

    The text that was recorded last is not recorded again, unless it is to be in force from earlier on. Raises
    PlanError, BudgetError where a budget on price cannot hold with it, DatabaseUnavailable.
    """
    plan = read_plan(text)
    with one_at_a_time(connection):
        latest = latest_version(connection, plan.name)
        if latest and latest.text == text and latest.effective_from <= effective_from:
            return latest, False
        told = {
            "plan": plan.name,
            "effective_from": effective_from,
            "text": text,
            "recorded_by": recorded_by,
            "note": note,
        }
        row = connection.execute(_SQL["add"], told).fetchone()
        check_price_budgets(connection, read_plan_book(connection))
    if row is None:
        raise AssertionError("an INSERT of one row returns it")
    return RecordedPlan._make(row), True


def latest_version(connection: Connection, plan: str) -> RecordedPlan | None:
    """The version of a plan that was recorded last, if there is one."""
    row = connection.execute(_SQL["latest"], (plan,)).fetchone()
    return None if row is None else RecordedPlan._make(row)


def versions(connection: Connection) -> list[RecordedPlan]:
    """Every version of every plan."""
    with database_errors():
        return [RecordedPlan._make(row) for row in connection.execute(_SQL["versions"])]


def assignments(connection: Connection) -> list[RecordedAssignment]:
    """Who has had which plan, in the order that it was recorded."""
    with database_errors():
        return [RecordedAssignment._make(row) for row in connection.execute(_SQL["assignments"])]


def assign(
    connection: Connection,
    tenant_id: str | None,
    plan: str | None,
    effective_from: datetime,
    recorded_by: str,
    note: str | None = None,
) -> None:
    """Give a tenant a plan from a moment on, or without a tenant everybody who has none; without a plan, end that.

    Raises UnknownPlan, BudgetError where a budget on price cannot hold with it, DatabaseUnavailable.
    """
    with one_at_a_time(connection):
        if plan is not None and latest_version(connection, plan) is None:
            raise UnknownPlan(f"there is no plan {plan!r}: `spanmeter plan list` shows all")
        told: dict[str, Any] = {
            "tenant": tenant_id,
            "plan": plan,
            "effective_from": effective_from,
            "recorded_by": recorded_by,
            "note": note,
        }
        connection.execute(_SQL["assign"], told)
        check_price_budgets(connection, read_plan_book(connection))


def read_plan_book(connection: Connection) -> PlanBook:
    """All that was ever recorded. Raises PlanError where this release cannot read a plan, DatabaseUnavailable."""
    return PlanBook(
        [
            PlanVersion(each.read(), each.number, each.effective_from, each.recorded_at)
            for each in versions(connection)
        ],
        [
            Assignment(
                each.tenant_id, each.plan, each.effective_from, each.recorded_at, each.number
            )
            for each in assignments(connection)
        ],
    )


@lru_cache(maxsize=1024)
def _read(text: str) -> Plan:
    return read_plan(text)
