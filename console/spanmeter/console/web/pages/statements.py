"""A tenant's statement of a month, and the plans that statements go by."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request
from fastapi.responses import Response

from spanmeter.console.web.api.margin import MonthAsked, the_month
from spanmeter.console.web.api.plans import in_force
from spanmeter.console.web.csv_files import csv_file
from spanmeter.console.web.principals import Operator, operator
from spanmeter.console.web.rendering import page
from spanmeter.console.web.services import Services, services_of
from spanmeter.console.web.statements import Told
from spanmeter.console.web.statements_asked import AskedStatements
from spanmeter.console.web.views import OperatorView

router = APIRouter()

_COLUMNS = ("kind", "name", "plan", "unit", "calls", "quantity", "price", "amount", "rounded")


def _of_tenant(
    tenant: Annotated[str, Path(max_length=1024, pattern=r"^[^\x00]+$")],
    services: Annotated[Services, Depends(services_of)],
    _: Annotated[Operator, Depends(operator)],
) -> AskedStatements:
    return AskedStatements(services, tenant, own=False)


OfTenant = Annotated[AskedStatements, Depends(_of_tenant)]


@router.get("/plans")
def plans(request: Request, view: OperatorView) -> Response:
    """The plans in force, and how many tenants have each."""
    return page(request, "plans.html", plans=in_force(view))


@router.get("/statements/{tenant:path}/statement.csv")
def statement_csv(kept: OfTenant, month: MonthAsked = None) -> Response:
    """The lines of a statement, exact, for a spreadsheet."""
    return lines_csv(kept.told(month))


@router.get("/statements/{tenant:path}")
def statement(request: Request, kept: OfTenant, month: MonthAsked = None) -> Response:
    """What a tenant owes for a month, line by line, beside what its usage costs."""
    told = kept.at_once(month)
    shown = the_month(month) if told is None else told.month
    return page(request, "statement.html", tenant=kept.tenant, told=told, month=shown)


def lines_csv(told: Told) -> Response:
    """The lines of a statement as a file."""
    cells = [[line[name] for name in _COLUMNS] for line in told.document["lines"]]
    return csv_file(f"statement-{told.document['period']}.csv", list(_COLUMNS), cells)
