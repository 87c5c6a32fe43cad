"""Margins: what tenants pay less what they cost, by tenant, by plan, or by any dimension."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Final

from spanmeter.console.billed_tenants import billed_tenants
from spanmeter.console.listing import Column, Listing, Value
from spanmeter.metering.allocation import allocate
from spanmeter.metering.costing import EXACT, NO_MONEY
from spanmeter.metering.statements.course import PLACES, TwoCurrencies
from spanmeter.storage.connection import Connection
from spanmeter.storage.errors import LedgerIncomplete
from spanmeter.storage.revenue import cost_by, imported_revenue
from spanmeter.storage.statement_usage import Asked
from spanmeter.storage.tenant_statements import Statements

BY_TENANT: Final = "tenant_id"
BY_PLAN: Final = "plan"

_EVERY: Final = 500
"""Tenants between two signs of life."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Margin:
    """One tenant's part of a segment, in one currency. `stated` is its statement's total, `imported` what else tells.

    Revenue is what was imported, where something was; else the statement.
    """

    tenant_id: str
    segment: object
    currency: str
    stated: Decimal | None
    imported: Decimal | None
    cost: Decimal

    @property
    def revenue(self) -> Decimal | None:
        """What it pays; None is not known."""
        return self.stated if self.imported is None else self.imported


def margins(
    connection: Connection,
    month: date,
    by: str = BY_TENANT,
    tenant: str | None = None,
    progress: Callable[[int], object] = lambda _: None,
    trouble: Callable[[str], object] = lambda _: None,
) -> Iterator[Margin]:
    """The margin of each tenant for the period that begins in a month, open or closed.

    By a dimension, a tenant's revenue is divided among its values as its cost is. A tenant whose statement cannot be
    worked out is told as a `trouble`. Raises UnknownDimension, DatabaseUnavailable.
    """
    statements = Statements(connection)
    imported = imported_revenue(connection, month)
    found = {tenant} if tenant else billed_tenants(connection, statements, month)
    found |= set() if tenant else {each for each, _ in imported}
    for count, each in enumerate(sorted(found), 1):
        try:
            yield from _of_tenant(connection, statements, each, month, by, imported)
        except (LedgerIncomplete, TwoCurrencies) as error:
            trouble(str(error))
        if count % _EVERY == 0:
            progress(count)


def margin_listing(found: Sequence[Margin], month: date, by: str) -> Listing:
    """The sums by what was asked for, the lowest margin first; who costs more than it pays is told."""
    sums: defaultdict[tuple[object, str], list[Margin]] = defaultdict(list)
    for each in found:
        sums[each.segment, each.currency].append(each)
    rows = sorted(
        (_row(segment, currency, parts) for (segment, currency), parts in sums.items()), key=_order
    )
    negative = [each for each in rows if each[-1]]
    notes = [
        f"{each[0] or 'nobody'} pays {each[3]:f} and costs {each[4]:f} {each[7]}."
        for each in negative
    ]
    if any(each[3] is None for each in rows):
        notes.append("Where no revenue is known there is no margin: neither a plan nor an import.")
    return Listing(columns=_columns(by), rows=rows, about={"month": f"{month:%Y-%m}"}, notes=notes)


def _columns(by: str) -> Sequence[Column]:
    return (
        Column(by, "tenant" if by == BY_TENANT else by.removeprefix("dimension:"), "(none)"),
        Column("stated", "statements", "no plan"),
        Column("imported", "imported"),
        Column("revenue", "revenue", "not known"),
        Column("cost", "cost"),
        Column("margin", "margin", "not known"),
        Column("margin_percent", "percent"),
        Column("currency", "currency"),
        Column("negative", "negative"),
    )


def _of_tenant(
    connection: Connection,
    statements: Statements,
    tenant: str,
    month: date,
    by: str,
    imported: dict[tuple[str, str], Decimal],
) -> Iterator[Margin]:
    statement = statements.of(tenant, month)
    own = statement.own
    currencies = {*own.cost, *(each for whose, each in imported if whose == tenant)}
    currencies |= {statement.currency} if statement.currency else set()
    if not (currencies and (statement.lines or own.cost or any(own.calls.values()))):
        currencies &= {each for whose, each in imported if whose == tenant}
    version = statements.book().in_force(tenant, own.until - timedelta(microseconds=1))
    for currency in sorted(currencies):
        whole = Margin(
            tenant_id=tenant,
            segment=tenant if by == BY_TENANT else None if version is None else version.plan.name,
            currency=currency,
            stated=statement.total if currency == statement.currency else None,
            imported=imported.get((tenant, currency)),
            cost=own.cost.get(currency, NO_MONEY),
        )
        if by in {BY_TENANT, BY_PLAN}:
            yield whole
        else:
            asked = Asked(tenant, own.since, own.until)
            yield from _divided(whole, cost_by(connection, asked, by))


def _divided(whole: Margin, costs: dict[tuple[object, str], Decimal]) -> Iterator[Margin]:
    """A tenant's margin by segment: revenue follows cost."""
    parts = {
        segment: cost for (segment, currency), cost in costs.items() if currency == whole.currency
    }
    weights = [max(cost, NO_MONEY) for cost in parts.values()]
    if not any(weights):
        yield replace(whole, segment=None)
        return
    stated, imported = _shares(whole.stated, weights), _shares(whole.imported, weights)
    for place, (segment, cost) in enumerate(parts.items()):
        yield replace(
            whole, segment=segment, stated=stated[place], imported=imported[place], cost=cost
        )


def _shares(amount: Decimal | None, weights: Sequence[Decimal]) -> Sequence[Decimal | None]:
    if amount is None:
        return [None for _ in weights]
    return [each.normalize(EXACT) for each in allocate(amount, weights, PLACES)]


def _row(segment: object, currency: str, parts: Sequence[Margin]) -> Sequence[Value]:
    revenue = _sum([each.revenue for each in parts])
    cost = _sum([each.cost for each in parts]) or NO_MONEY
    margin = None if revenue is None else EXACT.subtract(revenue, cost)
    percent = f"{100 * margin / revenue:.2f}" if margin is not None and revenue else None
    return (
        None if segment is None else str(segment),
        _sum([each.stated for each in parts]),
        _sum([each.imported for each in parts]),
        *(revenue, cost, margin, percent, currency),
        margin is not None and margin < 0,
    )


def _sum(amounts: Sequence[Decimal | None]) -> Decimal | None:
    known = [each for each in amounts if each is not None]
    total = NO_MONEY
    for each in known:
        total = EXACT.add(total, each)
    return total if known else None


def _order(row: Sequence[Value]) -> tuple[bool, Decimal, str]:
    margin = row[5]
    return margin is None, margin if isinstance(margin, Decimal) else NO_MONEY, str(row[0])
