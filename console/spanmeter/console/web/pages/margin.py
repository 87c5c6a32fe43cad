"""What tenants pay beside what they cost, the lowest margin first."""

from collections.abc import Collection, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Annotated, Final, NamedTuple

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response

from spanmeter.console.margins import BY_TENANT
from spanmeter.console.web.api.margin import (
    MarginBy,
    MarginRow,
    MonthAsked,
    the_dimension,
    the_month,
)
from spanmeter.console.web.api.margin import rows as summed
from spanmeter.console.web.csv_files import csv_file
from spanmeter.console.web.margins_held import AllMargins, MarginsAsked
from spanmeter.console.web.principals import Operator, operator
from spanmeter.console.web.problems import Problem
from spanmeter.console.web.rendering import page
from spanmeter.console.web.services import Services, services_of
from spanmeter.console.web.worked_out import PATIENCE, BeingWorkedOut
from spanmeter.metering.plans.billing_periods import following
from spanmeter.metering.reconciliation.waterfall import total

router = APIRouter()

TheServices = Annotated[Services, Depends(services_of)]
AnOperator = Annotated[Operator, Depends(operator)]

CHOICES: Final = ("tenant", "plan", "account_type", "feature", "model")
_NOTHING: Final = AllMargins((), datetime.min.replace(tzinfo=UTC), ())
"""While there is no answer yet."""

_COLUMNS: Final = tuple(MarginRow.model_fields)
_ON_A_PAGE: Final = 50


class Sums(NamedTuple):
    """What all of a currency pay and cost; `negative` of them cost more than they pay."""

    currency: str
    revenue: Decimal
    cost: Decimal
    negative: int
    unknown: int

    @property
    def margin(self) -> Decimal:
        """Revenue less cost, of those whose revenue is known."""
        return self.revenue - self.cost


@router.get("/margin")
def margin(
    request: Request,
    services: TheServices,
    _: AnOperator,
    month: MonthAsked = None,
    by: MarginBy = "tenant",
    search: Annotated[str, Query(max_length=200)] = "",
    start: Annotated[int, Query(ge=0, le=10_000_000)] = 0,
) -> Response:
    """Revenue, cost and margin of a month by tenant, plan or segment."""
    asked, what = the_month(month), the_dimension(by)
    known = _known(services, asked, what)
    working = known.steps if isinstance(known, BeingWorkedOut) else None
    told = _NOTHING if isinstance(known, BeingWorkedOut) else known
    rows = summed(told.found, asked, what)
    found = [each for each in rows if search.lower() in (each.name or "").lower()]
    shown = found[start : start + _ON_A_PAGE]
    return page(
        request,
        "margin.html",
        month=asked,
        before=following(asked, -1),
        after=following(asked) if asked < the_month(None) else None,
        by=by,
        choices=CHOICES,
        working=working,
        as_of=told.as_of,
        troubles=told.troubles,
        sums=_sums(rows),
        found=shown,
        greatest=max((max(each.revenue or 0, each.cost) for each in shown), default=0),
        count=len(found),
        start=start,
        following=start + _ON_A_PAGE if len(found) > start + _ON_A_PAGE else None,
        search=search,
    )


@router.get("/margin.csv")
def margin_csv(
    services: TheServices, _: AnOperator, month: MonthAsked = None, by: MarginBy = "tenant"
) -> Response:
    """The same, exact, for a spreadsheet."""
    asked, what = the_month(month), the_dimension(by)
    known = _known(services, asked, what)
    if isinstance(known, BeingWorkedOut):
        raise Problem.conflict(str(known))
    cells = [
        [getattr(each, name) for name in _COLUMNS] for each in summed(known.found, asked, what)
    ]
    return csv_file("margin.csv", list(_COLUMNS), cells)


def by_tenant(services: Services, month: date) -> AllMargins | None:
    """Each tenant's margin of a month; None: it is being worked out."""
    known = _known(services, month, BY_TENANT)
    return None if isinstance(known, BeingWorkedOut) else known


def of_tenants(
    known: AllMargins, month: date, names: Collection[str | None]
) -> dict[str, MarginRow]:
    """Those of some tenants, by name."""
    wanted = [each for each in known.found if each.tenant_id in names]
    return {each.name: each for each in summed(wanted, month, BY_TENANT) if each.name}


def _known(services: Services, month: date, by: str) -> AllMargins | BeingWorkedOut:
    try:
        return services.margins.read(MarginsAsked(month, by), PATIENCE)
    except BeingWorkedOut as working:
        return working


def _sums(rows: Sequence[MarginRow]) -> list[Sums]:
    """By currency, the greatest cost first."""
    currencies = {each.currency for each in rows}
    told = [
        _of_currency(each, [row for row in rows if row.currency == each]) for each in currencies
    ]
    return sorted(told, key=lambda each: -each.cost)


def _of_currency(currency: str, rows: Sequence[MarginRow]) -> Sums:
    known = [each for each in rows if each.revenue is not None]
    return Sums(
        currency,
        total(each.revenue or Decimal() for each in known),
        total(each.cost for each in known),
        sum(each.negative for each in rows),
        len(rows) - len(known),
    )
