"""`/v1/margin`: what tenants pay less what they cost."""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, Field

from spanmeter.console.margins import BY_PLAN, Margin, margin_listing
from spanmeter.console.web.api.statements import MONTH
from spanmeter.console.web.api.usage import SHORT
from spanmeter.console.web.margins_held import AllMargins, MarginsAsked, all_margins
from spanmeter.console.web.money import Money
from spanmeter.console.web.principals import Operator, operator
from spanmeter.console.web.problems import Problem, documented
from spanmeter.console.web.services import Services, services_of
from spanmeter.console.web.worked_out import BeingWorkedOut
from spanmeter.metering.plans.billing_periods import month_named
from spanmeter.storage.errors import UnknownDimension
from spanmeter.storage.reports import dimension

router = APIRouter(tags=["margin"])

_PATIENCE = 10.0
"""Seconds that a request waits for thousands of statements to be worked out."""

MonthAsked = Annotated[
    str | None, Query(pattern=MONTH, description="The month that periods begin in. Null: this one.")
]
MarginBy = Annotated[
    str,
    Query(
        max_length=200,
        pattern=r"^[^\x00]+$",
        description="tenant, plan, account_type, feature, dimension:NAME ...",
    ),
]


class MarginRow(BaseModel):
    """What one of them pays, less what it costs, in one currency."""

    name: str | None = Field(description="The tenant, plan or value. Null: it has none.")
    stated: Money | None = Field(description="Totals of statements. Null: no plan.")
    imported: Money | None = Field(description="What other systems say was paid.")
    revenue: Money | None = Field(description="What was imported, else the statements.")
    cost: Money
    margin: Money | None
    margin_percent: Money | None
    currency: str
    negative: bool = Field(description="It costs more than it pays.")


class Margins(BaseModel):
    """Margins of a month, the lowest first."""

    month: str
    as_of: datetime
    data: list[MarginRow]
    troubles: list[str] = Field(description="Whose could not be worked out, and why.")


@router.get("/margin", responses=documented())
def margin(
    services: Annotated[Services, Depends(services_of)],
    _: Annotated[Operator, Depends(operator)],
    month: MonthAsked = None,
    by: MarginBy = "tenant",
    tenant: Annotated[
        str | None, Query(max_length=1024, pattern=r"^[^\x00]+$", description="Only this tenant.")
    ] = None,
) -> Margins:
    """Revenue, cost and margin of a month. With thousands of tenants it may say 503: ask again, it is worked out."""
    asked, what = the_month(month), the_dimension(by)
    found = _found(services, MarginsAsked(asked, what), tenant)
    return Margins(
        month=f"{asked:%Y-%m}",
        as_of=found.as_of,
        data=rows(found.found, asked, what),
        troubles=list(found.troubles),
    )


def the_month(text: str | None) -> date:
    """The month that is asked for: its first day."""
    return datetime.now(UTC).date().replace(day=1) if text is None else month_named(text)


def the_dimension(by: str) -> str:
    """The ledger's name of what margins are asked by. Raises Problem 400."""
    name = SHORT.get(by, by)
    try:
        if name != BY_PLAN:
            dimension(name)
        return name
    except UnknownDimension as error:
        raise Problem.meaningless(str(error)) from error


def rows(found: Sequence[Margin], month: date, by: str) -> list[MarginRow]:
    """The sums by what was asked for, the lowest margin first."""
    listing = margin_listing(found, month, by)
    names = ["name", *(column.name for column in listing.columns[1:])]
    return [MarginRow.model_validate(dict(zip(names, row, strict=True))) for row in listing.rows]


def _found(services: Services, asked: MarginsAsked, tenant: str | None) -> AllMargins:
    if tenant is not None:
        with services.snapshot() as connection:
            return all_margins(connection, asked, lambda: None, tenant)
    try:
        return services.margins.read(asked, _PATIENCE)
    except BeingWorkedOut as error:
        again = {"Retry-After": "5"}
        raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, str(error), again) from error
