"""Which plans a budget on price cannot be counted by: those whose price of a call depends on more than the call."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Final

from spanmeter.metering import attributes as names
from spanmeter.metering.budgets.budget import PRICE, Budget, BudgetError
from spanmeter.metering.budgets.scopes import EACH
from spanmeter.metering.plans.plan import PlanVersion
from spanmeter.metering.plans.plan_book import PlanBook
from spanmeter.metering.plans.price_of import dependence

_EVER: Final = datetime(9999, 1, 1, tzinfo=UTC)

_ANYBODY: Final = ""
"""In place of a tenant that has no plan of its own."""


def check_prices(plans: PlanBook, budgets: Iterable[Budget]) -> None:
    """Raises BudgetError where a budget is on price, and such a plan is in force, now or later, for whom it is for."""
    now = datetime.now(UTC)
    for budget in budgets:
        if budget.metric == PRICE:
            for version in _versions(plans, budget, now):
                _check(budget, version)


def _check(budget: Budget, version: PlanVersion) -> None:
    if (reason := dependence(version.plan)) is not None:
        raise BudgetError(
            f"budget {budget.name!r} is on price, and plan {version.name} does not tell the price of a call by itself:"
            f" {reason}; budgets on cost hold with any plan"
        )


def _versions(plans: PlanBook, budget: Budget, now: datetime) -> Iterator[PlanVersion]:
    tenant = budget.scope.get(names.TENANT_ID, EACH)
    for whose in sorted({*plans.tenants(), _ANYBODY}) if tenant == EACH else [tenant]:
        for span in plans.spans(whose, now, _EVER):
            if span.version is not None:
                yield span.version
