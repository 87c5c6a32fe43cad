"""What tenants are charged, as budgets on price count it: each call by the plan that was in force then."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from functools import cache
from typing import Any, Final, NamedTuple

from psycopg import sql

from spanmeter.metering import attributes as names
from spanmeter.metering.budgets.amounts import Usage
from spanmeter.metering.budgets.book import BudgetBook
from spanmeter.metering.budgets.budget import Budget
from spanmeter.metering.budgets.scopes import EACH
from spanmeter.metering.plans import charge_units
from spanmeter.metering.plans.plan import Plan
from spanmeter.metering.plans.plan_book import PlanBook
from spanmeter.metering.plans.price_of import Chargeable, priced
from spanmeter.storage import statements
from spanmeter.storage.budget_usage import Chosen, Drawn, dimension, quantity
from spanmeter.storage.connection import Connection
from spanmeter.storage.plans import read_plan_book
from spanmeter.storage.reports import dimension as column_of

_FIXED: Final = 10
"""Columns of a row before those that are selected."""

_SQL = statements.load("budget_counting")


class _Wanted(NamedTuple):
    """What has to be read: the dimensions of scopes, columns that plans look at, units that they charge for."""

    dimensions: Sequence[str]
    columns: Sequence[str]
    units: Sequence[str]
    by_call: bool


def read_prices(connection: Connection, book: BudgetBook, chosen: Chosen) -> Iterator[Drawn]:
    """What the budgets of a book, all on price, count. Raises PlanError where this release cannot read a plan."""
    plans = read_plan_book(connection)
    wanted = _wanted(book, plans)
    in_force = cache(plans.in_force)
    values = {**chosen.bounds, "cuts": _cuts(plans), "tenants": _tenants(book.budgets.values())}
    for row in connection.execute(_query(wanted, chosen), values).fetchall():
        version = in_force(row[3], row[0])
        if version is not None:
            yield _drawn(row, wanted, version.plan)


def plans_changed(connection: Connection) -> bool:
    """Whether plans have changed since this was asked before; then what was counted by them is counted anew."""
    return connection.execute(_SQL["take_plan_changes"]).rowcount > 0


def _wanted(book: BudgetBook, plans: PlanBook) -> _Wanted:
    found = [version.plan for version in plans.versions]
    charged = {unit for plan in found for unit in plan.units}
    units = {part for unit in charged for part in (unit, *charge_units.within(unit))}
    by_call = any(charge.by_call for plan in found for charge in plan.charges)
    if by_call:
        units.add("input_tokens")
    return _Wanted(
        book.scopes.dimensions,
        sorted({column for plan in found for column in plan.columns()}),
        sorted(units - {charge_units.TOKENS}),
        by_call,
    )


def _cuts(plans: PlanBook) -> list[datetime]:
    """The moments at which some price changes: usage before one is not added to usage after it."""
    return sorted(
        {each.effective_from for each in plans.versions}
        | {each.effective_from for each in plans.assignments}
    )


def _tenants(budgets: Iterable[Budget]) -> list[str] | None:
    """Those that the budgets are for; None: any."""
    found: set[str] = {each.scope.get(names.TENANT_ID, EACH) for each in budgets}
    return None if EACH in found else list(found)


def _query(wanted: _Wanted, chosen: Chosen) -> sql.Composed:
    by = [*map(dimension, wanted.dimensions), *map(column_of, wanted.columns)]
    listed = [*by, *map(_unit, wanted.units)]
    first = _FIXED + 1
    # Grouped by position: an expression with a value in it would not equal its twin.
    places = [*range(2, 6), *range(first, first + len(by))]
    grouped: list[sql.Composable] = [sql.Literal(place) for place in places]
    if wanted.by_call:
        grouped.append(sql.Identifier("input_tokens"))
    return _SQL["prices"].format(
        selected=sql.Composed([sql.SQL(", {}").format(each) for each in listed]),
        chosen=_SQL[chosen.condition],
        grouped=sql.SQL(", ").join(grouped),
    )


def _unit(unit: str) -> sql.Composable:
    if unit in charge_units.COLUMNS:
        return sql.SQL("coalesce(sum({}), 0)").format(sql.Identifier(unit))
    return quantity(unit)


def _drawn(row: Sequence[Any], wanted: _Wanted, plan: Plan) -> Drawn:
    _, currency, leases, _, state, minute, cost, *counts = row[:_FIXED]
    unpriced, unpriced_in, unpriced_out = map(int, counts)
    selected = iter(row[_FIXED:])
    dimensions: dict[str, str | None] = {name: next(selected) for name in wanted.dimensions}
    values: Mapping[str, object] = {column: next(selected) for column in wanted.columns}
    amounts: Mapping[str, Decimal] = dict(zip(wanted.units, selected, strict=True))
    found = priced(Chargeable(values, amounts, state, currency, cost), plan)
    # What a markup is for and has no cost yet counts at the budget's own rate.
    stood_in = found.marked_up and currency == plan.currency
    usage = Usage(
        minute=minute,
        dimensions=dimensions,
        currency=plan.currency,
        price=found.amount,
        unpriced_requests=unpriced * stood_in,
        unpriced_input_tokens=unpriced_in * stood_in,
        unpriced_output_tokens=unpriced_out * stood_in,
    )
    return Drawn(usage, leases.split() if leases else ())
