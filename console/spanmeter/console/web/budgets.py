"""Budgets for whoever looks after them in the console: what is booked by now is counted before anything is shown."""

from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from http import HTTPStatus
from typing import Annotated, Any, Final

from fastapi import Depends

from spanmeter.console.web.principals import Operator, operator
from spanmeter.console.web.problems import Problem
from spanmeter.console.web.services import Services, services_of
from spanmeter.metering.budgets.budget import Budget, BudgetError
from spanmeter.metering.budgets.documents import read_budget
from spanmeter.metering.budgets.scopes import counter_of, dimension_named
from spanmeter.storage import budget_approvals
from spanmeter.storage.budget_approvals import Approval
from spanmeter.storage.budget_standing import Standing, standings
from spanmeter.storage.budgets import (
    BudgetVersion,
    budget_history,
    increase,
    remove_budget,
    set_budget,
)
from spanmeter.storage.connection import Connection

_MONEY: Final = ("cost", "price")


class Budgets:
    """The budgets of a ledger. What raises, beside DatabaseUnavailable: Problem 400, 404 and 409."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def standings(self, budget: str | None = None) -> list[Standing]:
        """Every counter, or those of one budget, as of now."""
        with self._services.changing() as connection:
            return standings(connection, budget=budget)

    def history(self, budget: str) -> Sequence[BudgetVersion]:
        """Every version of a budget in force, the latest first. Raises Problem 404."""
        with self._services.snapshot() as connection:
            found = budget_history(connection, budget)
        if not found or found[0].definition is None:
            raise _unknown(budget)
        return found

    def put(self, budget: str, members: Mapping[str, Any], by: str) -> bool:
        """Put a budget in force; whether that is anything new."""
        if any("\0" in name for name in (*members["scope"], *members["models"])):
            raise Problem.meaningless("no name has a NUL in it")
        with self._laying_down(HTTPStatus.BAD_REQUEST) as connection:
            return set_budget(connection, read_budget(budget, members), by)

    def remove(self, budget: str, by: str) -> None:
        """Let a budget hold no more. Raises Problem 404."""
        with self._services.changing() as connection:
            if not remove_budget(connection, budget, by):
                raise _unknown(budget)

    def increase(
        self,
        budget: str,
        amount: str,
        lasting: timedelta,
        *,
        of: Mapping[str, str],
        by: str,
        reason: str | None,
    ) -> datetime:
        """Add to the limit of one counter, or of each; until when. Raises Problem 404."""
        self.history(budget)
        until = datetime.now(UTC) + lasting
        with self._laying_down(HTTPStatus.BAD_REQUEST) as connection:
            added = _amount(amount)
            increase(connection, budget, _counter(of), added, until, by, reason or None)
        return until

    def approvals(self, *, decided: bool) -> list[Approval]:
        """The requests that are open, or all, the latest first."""
        with self._services.snapshot() as connection:
            return budget_approvals.approvals(connection, decided=decided)

    def approve(
        self, approval_id: int, amount: str | None, lasting: timedelta, by: str
    ) -> tuple[Decimal, datetime]:
        """Raise the limit that a request ran into; by how much, until when. Raises Problem 409 where none is open."""
        until = datetime.now(UTC) + lasting
        added = None if amount is None else _amount(amount)
        with self._laying_down(HTTPStatus.CONFLICT) as connection:
            return budget_approvals.approve(connection, approval_id, added, until, by), until

    def deny(self, approval_id: int, by: str) -> None:
        """Turn a request down. Raises Problem 409 where none is open."""
        with self._laying_down(HTTPStatus.CONFLICT) as connection:
            budget_approvals.deny(connection, approval_id, by)

    @contextmanager
    def _laying_down(self, refused: HTTPStatus) -> Generator[Connection]:
        try:
            with self._services.changing() as connection:
                yield connection
        except BudgetError as error:
            raise Problem(refused, str(error)) from error


def the_budgets(
    services: Annotated[Services, Depends(services_of)],
    _: Annotated[Operator, Depends(operator)],
) -> Budgets:
    """The budgets, for operators. Raises Problem 403."""
    return Budgets(services)


def unit_of(budget: Budget) -> str:
    """What its amounts are in: a currency, or what is counted."""
    return budget.currency if budget.metric in _MONEY else budget.metric.removeprefix("unit:")


def is_money(budget: Budget) -> bool:
    """Whether its amounts are money."""
    return budget.metric in _MONEY


def used(standing: Standing) -> Decimal:
    """The part of the limit that is spent; a limit of 0 is used up."""
    return standing.spent / standing.limit if standing.limit else Decimal(1)


def _amount(text: str) -> Decimal:
    amount = Decimal(text)
    if amount <= 0:
        raise Problem.meaningless("what is added is more than 0")
    return amount


def _counter(of: Mapping[str, str]) -> str | None:
    try:
        values = {dimension_named(name): value for name, value in of.items()}
    except ValueError as error:
        raise Problem.meaningless(str(error)) from error
    return counter_of(values) if values else None


def _unknown(budget: str) -> Problem:
    return Problem.not_found(f"there is no budget {budget!r} in force")
