"""The budgets of a ledger: every version of each, what is added to their limits, and the time zones of tenants."""

import logging
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, NamedTuple

from psycopg.types.json import Jsonb

from spanmeter.metering.budgets.book import BudgetBook, Increase
from spanmeter.metering.budgets.budget import OF_TENANT, PRICE, Budget, BudgetError
from spanmeter.metering.budgets.documents import as_document, read_budget
from spanmeter.metering.budgets.windows import zone_named
from spanmeter.storage import statements
from spanmeter.storage.budget_counting import be_alone, recount
from spanmeter.storage.connection import Connection, database_errors
from spanmeter.storage.plans import read_plan_book
from spanmeter.storage.price_budgets import check_price_budgets

logger = logging.getLogger(__name__)

COUNTED_BY: Final = ("scope", "metric", "currency", "window", "timezone", "unpriced")
"""Members of a definition that decide what is counted; with another one the ledger is counted anew."""

_SQL = statements.load("budgets")


class BudgetVersion(NamedTuple):
    """A definition as it was set; None where the budget was removed."""

    version: int
    definition: Mapping[str, Any] | None
    set_at: datetime
    set_by: str
    login: str


def book_version(connection: Connection) -> str:
    """Another one whenever anything was laid down since."""
    with database_errors():
        state = connection.execute(_SQL["state"]).fetchone()
    return ".".join("0" if each is None else str(each) for each in state or ())


def read_book(connection: Connection) -> BudgetBook:
    """All budgets as they are now. One that this release cannot read is logged and left out."""
    version = book_version(connection)
    with database_errors():
        defined = connection.execute(_SQL["in_force"]).fetchall()
        zones = _zones(connection)
        increases = [Increase._make(row) for row in connection.execute(_SQL["increases"])]
    budgets = {name: budget for name, each in defined if (budget := _read(name, each)) is not None}
    return BudgetBook(version, budgets, zones, increases)


def set_budget(connection: Connection, budget: Budget, set_by: str) -> bool:
    """Put the budget in force, for what was used of its windows until now too; whether that is anything new.

    Raises BudgetError where it is on price, and a plan does not tell that call by call; DatabaseUnavailable.
    """
    definition = as_document(budget)
    with database_errors(), connection.transaction():
        be_alone(connection)
        before = _definition(connection, budget.name)
        if before == definition:
            return False
        values = {"budget": budget.name, "definition": Jsonb(definition), "set_by": set_by}
        connection.execute(_SQL["add_version"], values)
        if budget.metric == PRICE:
            check_price_budgets(connection, read_plan_book(connection))
        if before is None or any(before.get(each) != definition[each] for each in COUNTED_BY):
            _count_anew(connection, budget.name)
    return True


def remove_budget(connection: Connection, name: str, set_by: str) -> bool:
    """Let a budget hold no more; whether there was one. Raises DatabaseUnavailable."""
    with database_errors(), connection.transaction():
        be_alone(connection)
        if _definition(connection, name) is None:
            return False
        values = {"budget": name, "definition": None, "set_by": set_by}
        connection.execute(_SQL["add_version"], values)
        connection.execute(_SQL["drop_counters"], (name,))
        connection.execute(_SQL["drop_leases"], (name,))
    return True


def budget_history(connection: Connection, name: str) -> list[BudgetVersion]:
    """Every version of a budget, the latest first."""
    with database_errors():
        return [BudgetVersion._make(row) for row in connection.execute(_SQL["history"], (name,))]


def set_time_zone(connection: Connection, tenant: str, zone: str, set_by: str) -> bool:
    """Say where a tenant's days begin, for budgets in the tenant's time zone; whether that is anything new.

    Raises BudgetError for what is no time zone, DatabaseUnavailable.
    """
    try:
        zone_named(zone)
    except ValueError as error:
        raise BudgetError(str(error)) from None
    with database_errors(), connection.transaction():
        be_alone(connection)
        if _zones(connection).get(tenant) == zone:
            return False
        connection.execute(_SQL["add_zone"], {"tenant": tenant, "zone": zone, "set_by": set_by})
        for budget in read_book(connection).budgets.values():
            if budget.timezone == OF_TENANT:
                _count_anew(connection, budget.name)
    return True


def increase(
    connection: Connection,
    budget: str,
    counter: str | None,
    amount: Decimal,
    expires_at: datetime,
    added_by: str,
    reason: str | None = None,
) -> int:
    """Add an amount to the limit of one counter of a budget, or of each, until a moment; the increase's number.

    Raises BudgetError where there is no such budget, DatabaseUnavailable.
    """
    values = {
        "budget": budget,
        "counter": counter,
        "amount": amount,
        "expires_at": expires_at,
        "added_by": added_by,
        "reason": reason,
    }
    if amount <= 0:
        raise BudgetError("an increase is more than 0")
    with database_errors():
        if _definition(connection, budget) is None:
            raise BudgetError(f"there is no budget {budget!r}: see `spanmeter budget list`")
        row = connection.execute(_SQL["add_increase"], values).fetchone()
    if row is None:
        raise AssertionError("an INSERT of one row returns it")
    return int(row[0])


def _zones(connection: Connection) -> dict[str, str]:
    return dict(connection.execute(_SQL["zones"]).fetchall())


def _count_anew(connection: Connection, name: str) -> None:
    connection.execute(_SQL["drop_counters"], (name,))
    connection.execute(_SQL["drop_leases"], (name,))
    recount(connection, read_book(connection), name)


def _definition(connection: Connection, name: str) -> Mapping[str, Any] | None:
    row = connection.execute(_SQL["definition"], (name,)).fetchone()
    return None if row is None else row[0]


def _read(name: str, definition: Mapping[str, Any]) -> Budget | None:
    try:
        return read_budget(name, definition)
    except BudgetError as error:
        logger.error("a budget does not hold, this release cannot read it: %s", error)
        return None
