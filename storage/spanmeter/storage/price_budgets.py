"""Budgets on price beside plans: none may be in force together where a call does not tell its price."""

from spanmeter.metering.budgets.budget import BudgetError
from spanmeter.metering.budgets.documents import read_budget
from spanmeter.metering.budgets.uncountable_prices import check_prices
from spanmeter.metering.plans.plan_book import PlanBook
from spanmeter.storage import statements
from spanmeter.storage.connection import Connection

_SQL = statements.load("budgets")


def check_price_budgets(connection: Connection, plans: PlanBook) -> None:
    """Raises BudgetError, which names the budget, the plan and why; within the transaction that lays either down."""
    found = connection.execute(_SQL["on_price"]).fetchall()
    try:
        budgets = [read_budget(name, definition) for name, definition in found]
    except BudgetError:
        # What this release cannot read does not hold.
        return
    check_prices(plans, budgets)
