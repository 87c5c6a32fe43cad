"""A tenant's statement of a month, and the plans that statements go by."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request
from fastapi.responses import Response

from spanmeter.console.web.api.margin import MonthAsked
from spanmeter.console.web.api.plans import in_force
from spanmeter.console.web.csv_files import csv_file
from spanmeter.console.web.rendering import page
from spanmeter.console.web.statements import TenantStatements, Told
from spanmeter.console.web.views import OperatorView
from spanmeter.metering.plans.billing_periods import following, month_named
from spanmeter.storage.tenant_statements import Statements

router = APIRouter()

_COLUMNS = ("kind", "name", "plan", "unit", "calls", "quantity", "price", "amount", "rounded")


def _statements(
    view: OperatorView, tenant: Annotated[str, Path(max_length=1024, pattern=r"^[^\x00]+$")]
) -> TenantStatements:
    return TenantStatements(Statements(view.connection), tenant, cost=True)


OfTenant = Annotated[TenantStatements, Depends(_statements, scope="function")]


@router.get("/plans")
def plans(request: Request, view: OperatorView) -> Response:
    """The plans in force, and how many tenants have each."""
    return page(request, "plans.html", plans=in_force(view))


@router.get("/statements/{tenant:path}/statement.csv")
def statement_csv(kept: OfTenant, month: MonthAsked = None) -> Response:
    """The lines of a statement, exact, for a spreadsheet."""
    return lines_csv(kept.told(kept.month if month is None else month_named(month)))


@router.get("/statements/{tenant:path}")
def statement(request: Request, kept: OfTenant, month: MonthAsked = None) -> Response:
    """What a tenant owes for a month, line by line, beside what its usage costs."""
    asked = kept.month if month is None else month_named(month)
    return page(
        request,
        "statement.html",
        tenant=kept.tenant,
        month=asked,
        before=following(asked, -1),
        after=following(asked) if asked < kept.month else None,
        told=kept.told(asked),
        closed=list(reversed(kept.closed())),
    )


def lines_csv(told: Told) -> Response:
    """The lines of a statement as a file."""
    cells = [[line[name] for name in _COLUMNS] for line in told.document["lines"]]
    return csv_file(f"statement-{told.document['period']}.csv", list(_COLUMNS), cells)
