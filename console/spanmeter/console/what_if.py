"""What usage would have come to otherwise: by another plan, another markup, or of other models. Nothing changes."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from itertools import chain
from typing import NamedTuple

import click

from spanmeter.console.failures import UnusableSetting
from spanmeter.console.listing import Column, Listing, Value
from spanmeter.metering.call_cost import CallCosts
from spanmeter.metering.called import Called
from spanmeter.metering.costing import EXACT, NO_MONEY, priced_quantities
from spanmeter.metering.plans import plan_values
from spanmeter.metering.plans.event_usage import amounts_of, values_of
from spanmeter.metering.plans.plan import Plan, PlanVersion
from spanmeter.metering.plans.plan_book import Assignment, PlanBook
from spanmeter.metering.plans.plan_file import PlanError, read_plan
from spanmeter.metering.statements.charging import charge
from spanmeter.metering.statements.course import Course
from spanmeter.metering.statements.statement import Charged
from spanmeter.metering.statements.usage import UsageItem, Wanted
from spanmeter.metering.tokens import Tokens
from spanmeter.metering.usage_event import UsageEvent
from spanmeter.storage.booked_events import of_model
from spanmeter.storage.connection import Connection
from spanmeter.storage.plans import read_plan_book
from spanmeter.storage.rates import read_book
from spanmeter.storage.statement_usage import (
    Asked,
    has_included,
    read_actions,
    read_usage,
    tenants_between,
)

_COLUMNS = (
    Column("tenant_id", "tenant"),
    Column("plan", "plan now", "(none)"),
    Column("price", "price now", "no plan"),
    Column("cost", "cost now"),
    Column("margin", "margin now"),
    Column("new_price", "price then", "no plan"),
    Column("new_cost", "cost then"),
    Column("new_margin", "margin then"),
    Column("difference", "price differs by"),
    Column("currency", "currency"),
)

_ALWAYS = datetime(1, 1, 2, tzinfo=UTC)


class Supposed(NamedTuple):
    """What is supposed: another plan for everybody, or a markup; calls of some models as if they had been of others."""

    plan: Plan | None
    markup: Plan | None
    models: Mapping[str, str]


def markup_plan(percent: str) -> Plan:
    """A plan of nothing but a markup on the cost, in US dollars. Raises `UnusableSetting`."""
    try:
        plan_values.percentage(percent, "--markup")
        return read_plan(
            f'plan = "markup"\ncurrency = "USD"\n[[charge]]\nname = "usage"\nmarkup = "{percent}"\n'
        )
    except PlanError as error:
        raise UnusableSetting(str(error)) from error


def replaced_models(given: Sequence[str]) -> dict[str, str]:
    """`A=B` as A to B."""
    pairs = [each.partition("=") for each in given]
    if wrong := [one for one, _, other in pairs if not one or not other]:
        raise click.BadParameter(f"{wrong[0]!r}: write A=B", param_hint="--model")
    return {one: other for one, _, other in pairs}


def what_if(
    connection: Connection,
    supposed: Supposed,
    tenant: str | None,
    since: datetime,
    until: datetime,
) -> Listing:
    """Price, cost and margin of each tenant, as they are and as they would be, fees for the whole time included.

    What tenants were granted by themselves is left out of both.
    """
    book = read_plan_book(connection)
    costs = CallCosts(read_book(connection).rates()) if supposed.models else None
    tenants = [tenant] if tenant else tenants_between(connection, since.date(), until.date())
    rows: list[Sequence[Value]] = []
    for each in tenants:
        asked = Asked(each, since, until)
        now = _charged(connection, asked, book)
        then_book = _supposed_book(supposed, each) or book
        changes = _Substitution(connection, asked, supposed.models, costs)
        then = _charged(connection, asked, then_book, changes)
        rows.append(_row(each, book, now, then, until))
    notes = [] if rows else ["Nothing was used in this time."]
    if any(row[2] is None or row[5] is None for row in rows):
        notes.append(
            "Tenants without a plan have no price: `spanmeter plan default` gives them one."
        )
    return Listing(columns=_COLUMNS, rows=rows, about={"since": since, "until": until}, notes=notes)


def _supposed_book(supposed: Supposed, tenant: str) -> PlanBook | None:
    plan = supposed.plan or supposed.markup
    if plan is None:
        return None
    version = PlanVersion(plan, 0, _ALWAYS, _ALWAYS)
    return PlanBook([version], [Assignment(tenant, plan.name, _ALWAYS, _ALWAYS)])


class _Substitution:
    """The difference that it makes if calls of some models had been of others: one taken off, one added."""

    def __init__(
        self,
        connection: Connection,
        asked: Asked,
        models: Mapping[str, str],
        costs: CallCosts | None,
    ) -> None:
        self._connection, self._asked, self._models, self._costs = connection, asked, models, costs

    def items(self, wanted: Wanted) -> Iterator[UsageItem]:
        if self._costs is None:
            return
        tenant, since, until, _ = self._asked
        for model, other in self._models.items():
            for booked in of_model(self._connection, tenant, model, since, until):
                event = booked.event
                yield _item(event, wanted, -1)
                yield _item(_costed(event, other, self._costs), wanted, 1)


def _costed(event: UsageEvent, model: str, costs: CallCosts) -> UsageEvent:
    """The same call of another model; `provider/model` is of another provider, too."""
    provider, _, name = model.rpartition("/")
    other = event._replace(
        provider=provider or event.provider, request_model=name, response_model=None
    )
    called = Called._make(getattr(other, each) for each in Called._fields)
    tokens = Tokens._make(getattr(other, each) for each in Tokens._fields)
    counted = tokens.reported or bool(other.quantities)
    quantities = priced_quantities(tokens, other.quantities) if counted else {}
    cost = costs.of(called, quantities, other.time, by_model=False, tenant=other.tenant_id)
    return other._replace(cost=cost.cost.amount, currency=cost.currency)


def _item(event: UsageEvent, wanted: Wanted, sign: int) -> UsageItem:
    values, amounts = values_of(event), amounts_of(event)
    factor = Decimal(sign)
    return UsageItem(
        event.time,
        tuple(values.get(column) for column in wanted.columns),
        event.billable_state,
        event.currency,
        sign,
        sign * int(event.cost is None),
        EXACT.multiply(factor, event.cost or NO_MONEY),
        tuple(EXACT.multiply(factor, amounts.get(unit, 0)) for unit in wanted.units),
    )


def _charged(
    connection: Connection, asked: Asked, book: PlanBook, changes: _Substitution | None = None
) -> Charged:
    course = Course(book, asked.tenant_id, asked.since, asked.until)
    wanted = course.wanted(included_usage=has_included(connection, asked))
    usage: Iterable[UsageItem] = read_usage(connection, asked, wanted)
    if changes is not None:
        usage = chain(usage, changes.items(wanted))
    return charge(course, wanted, usage, read_actions(connection, asked, wanted))


def _row(
    tenant: str, book: PlanBook, now: Charged, then: Charged, until: datetime
) -> Sequence[Value]:
    version = book.in_force(tenant, until)
    currency = now.currency or then.currency or "USD"
    old_price = now.amount if now.currency == currency else None
    new_price = then.amount if then.currency == currency else None
    old_cost = now.cost.get(currency, NO_MONEY)
    new_cost = then.cost.get(currency, NO_MONEY)
    return (
        tenant,
        None if version is None else version.name,
        *(old_price, old_cost, _less(old_price, old_cost)),
        *(new_price, new_cost, _less(new_price, new_cost)),
        None if old_price is None else _less(new_price, old_price),
        currency,
    )


def _less(one: Decimal | None, other: Decimal) -> Decimal | None:
    return None if one is None else EXACT.subtract(one, other)
