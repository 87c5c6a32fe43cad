"""What limits a tenant, and what is left: of budgets that stop its calls, as far as it may be told."""

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Final, NamedTuple

from fastapi import Depends

from spanmeter.console.budget_scopes import short_scope
from spanmeter.console.web.budgets import is_money, unit_of, used
from spanmeter.console.web.services import Services, services_of
from spanmeter.console.web.views import OneTenant
from spanmeter.metering import attributes as names
from spanmeter.metering.budgets.budget import Budget
from spanmeter.metering.budgets.scopes import EACH, counter_of
from spanmeter.storage.budget_standing import Standing, counted_book, standings_of
from spanmeter.storage.connection import Connection
from spanmeter.storage.console_access import TenantView, tenant_view

_OF_MODELS: Final = (names.REQUEST_MODEL, names.PROVIDER_NAME)
_FOR_OPERATORS: Final = ("notify",)
"""Actions that stop nobody."""

EVERYTHING: Final = TenantView(shows_models=True, shows_cost=True)


class TenantLimit(NamedTuple):
    """One limit. `scope` is what it is for inside the tenant; amounts None: the tenant is not shown its cost.

    `used` is the part that is used, from 0 on; `held` is lent to calls that are under way.
    """

    budget: str
    scope: Mapping[str, str]
    window: str
    resets_at: datetime | None
    metric: str
    unit: str
    money: bool
    limit: Decimal | None
    spent: Decimal | None
    left: Decimal | None
    used: Decimal


def limits_of(connection: Connection, tenant: str, shown: TenantView) -> list[TenantLimit]:
    """What limits a tenant now, what is used most first. For a connection in autocommit. Raises DatabaseUnavailable."""
    book = counted_book(connection)
    asked = [
        (budget, _counter(budget, tenant))
        for budget in book.budgets.values()
        if _limits(budget, tenant) and _may_be_told(budget, shown)
    ]
    found = standings_of(connection, book, asked, datetime.now(UTC))
    return sorted((_limit(each, shown) for each in found), key=lambda each: -each.used)


def _limits(budget: Budget, tenant: str) -> bool:
    """Whether it limits the whole tenant, or a named part of it: not each of its users alone."""
    others = [value for name, value in budget.scope.items() if name != names.TENANT_ID]
    return budget.scope.get(names.TENANT_ID) in (tenant, EACH) and EACH not in others


def _may_be_told(budget: Budget, shown: TenantView) -> bool:
    of_models = any(name in budget.scope for name in _OF_MODELS)
    return budget.action not in _FOR_OPERATORS and (shown.shows_models or not of_models)


def _counter(budget: Budget, tenant: str) -> str:
    each = budget.scope[names.TENANT_ID] == EACH
    return counter_of({names.TENANT_ID: tenant} if each else {})


def _limit(standing: Standing, shown: TenantView) -> TenantLimit:
    budget = standing.budget
    scope = short_scope(budget.scope, standing.counter)
    told = shown.shows_cost or budget.metric != "cost"
    return TenantLimit(
        budget=budget.name,
        scope={name: value for name, value in scope.items() if name != "tenant"},
        window=budget.window.name,
        resets_at=standing.window.end,
        metric=budget.metric,
        unit=unit_of(budget),
        money=is_money(budget),
        limit=standing.limit if told else None,
        spent=standing.spent if told else None,
        left=standing.left if told else None,
        used=used(standing),
    )


def tenant_limits(
    services: Annotated[Services, Depends(services_of)], asked: OneTenant
) -> list[TenantLimit]:
    """Those of the tenant that is asked for, as whoever asks may see them."""
    tenant, own = asked
    with services.changing() as connection:
        return limits_of(connection, tenant, tenant_view(connection, tenant) if own else EVERYTHING)
