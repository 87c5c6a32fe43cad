"""Budgets as alerts are judged by them."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Final

from spanmeter.console.budget_scopes import scope_of
from spanmeter.metering.alerts.budgets import BudgetState
from spanmeter.storage.budget_standing import Standing, standings
from spanmeter.storage.connection import Connection

_MONEY: Final = ("cost", "price")
_PER_CENT: Final = Decimal(100)


def budget_states(connection: Connection, now: datetime) -> Sequence[BudgetState]:
    """Every counter of every budget in force, when all that is booked by now is counted. Raises DatabaseUnavailable."""
    return [_state(each) for each in standings(connection)]


def _state(standing: Standing) -> BudgetState:
    budget = standing.budget
    return BudgetState(
        name=budget.name,
        scope=scope_of(standing),
        since=standing.window.start,
        until=standing.window.end,
        unit=budget.currency if budget.metric in _MONEY else budget.metric,
        limit=standing.limit,
        spent=standing.spent,
        thresholds=[each / _PER_CENT for each in budget.thresholds],
        rolling=budget.window.length is not None,
    )
