"""Calls that did not fit into a budget whose action is `approve`, and what was decided about them."""

from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from spanmeter.metering.budgets.budget import BudgetError
from spanmeter.storage import statements
from spanmeter.storage.budgets import increase
from spanmeter.storage.connection import Connection, database_errors

_SQL = statements.load("budget_approvals")


class Approval(NamedTuple):
    """A request: `amount` is what the largest of the calls was estimated at. `decision` None: it is open."""

    approval_id: int
    budget: str
    counter: str
    amount: Decimal
    asked_at: datetime
    asked_by: str
    decision: str | None
    decided_at: datetime | None
    decided_by: str | None


def ask_for_approval(
    connection: Connection, budget: str, counter: str, amount: Decimal, asked_by: str
) -> None:
    """Keep that a call waits for somebody's approval; one request for each counter is open at a time."""
    values = {"budget": budget, "counter": counter, "amount": amount, "asked_by": asked_by}
    with database_errors():
        connection.execute(_SQL["ask"], values)


def approvals(connection: Connection, *, decided: bool = False) -> list[Approval]:
    """The requests that are open, or all, the latest first."""
    with database_errors():
        return [
            Approval._make(row) for row in connection.execute(_SQL["approvals"], {"all": decided})
        ]


def approve(
    connection: Connection, approval_id: int, amount: Decimal | None, until: datetime, by: str
) -> Decimal:
    """Raise the limit of the request's counter until a moment, by what was asked for or another amount; which it is.

    Raises BudgetError where no such request is open, DatabaseUnavailable.
    """
    with database_errors(), connection.transaction():
        budget, counter, asked = _open(connection, approval_id)
        added = asked if amount is None else amount
        reason = f"approval {approval_id}"
        number = increase(connection, budget, counter, added, until, by, reason)
        _decide(connection, approval_id, "approved", by, number)
    return added


def deny(connection: Connection, approval_id: int, by: str) -> None:
    """Turn a request down. Raises BudgetError where no such request is open, DatabaseUnavailable."""
    with database_errors(), connection.transaction():
        _open(connection, approval_id)
        _decide(connection, approval_id, "denied", by, None)


def _open(connection: Connection, approval_id: int) -> tuple[str, str, Decimal]:
    row = connection.execute(_SQL["open"], (approval_id,)).fetchone()
    if row is None:
        raise BudgetError(f"no request {approval_id} is open: see `spanmeter budget approvals`")
    budget, counter, amount = row
    return budget, counter, amount


def _decide(
    connection: Connection, approval_id: int, decision: str, by: str, increase_id: int | None
) -> None:
    values = {"approval": approval_id, "decision": decision, "by": by, "increase": increase_id}
    connection.execute(_SQL["decide"], values)
