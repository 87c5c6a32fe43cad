"""Tenants by cost, and one of them: what it used, who of its users is heavy, and what it is shown."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Annotated, Final
from urllib.parse import quote

from fastapi import APIRouter, Depends, Path, Query, Request
from fastapi.responses import RedirectResponse, Response

from spanmeter.console.web.asked_period import Asked
from spanmeter.console.web.breakdown import Line, lines, totals
from spanmeter.console.web.concentration import concentration
from spanmeter.console.web.details import DetailsAsked
from spanmeter.console.web.forms import SentForm
from spanmeter.console.web.limits import EVERYTHING, TenantLimit, limits_of
from spanmeter.console.web.pages.margin import by_tenant, of_tenants
from spanmeter.console.web.pages.overview import Currency
from spanmeter.console.web.principals import Operator, administrator, operator
from spanmeter.console.web.rendering import page
from spanmeter.console.web.services import Services, services_of
from spanmeter.console.web.sheet import Sheet, total_before
from spanmeter.console.web.statements_asked import AskedStatements, Beside
from spanmeter.console.web.views import OperatorView, View
from spanmeter.storage.console_access import set_tenant_view, tenant_view
from spanmeter.storage.errors import DatabaseUnavailable

router = APIRouter()

TenantPath = Annotated[str, Path(max_length=1024, pattern=r"^[^\x00]+$")]

_ON_A_PAGE: Final = 50
_SHOWN: Final = 10
_PREVIEW: Final = timedelta(minutes=15)


@router.get("/tenants")
def tenants(
    request: Request,
    services: Annotated[Services, Depends(services_of)],
    _: Annotated[Operator, Depends(operator)],
    asked: Asked,
    search: Annotated[str, Query(max_length=200)] = "",
    start: Annotated[int, Query(ge=0, le=10_000_000)] = 0,
    currency: Currency = None,
) -> Response:
    """All tenants, greatest cost first, with their margin of this month."""
    month = datetime.now(UTC).date().replace(day=1)
    known_margins = by_tenant(services, month)
    with services.snapshot() as connection:
        view = View.of_all(connection)
        now = totals(view, asked, currency)
        known = lines(view, "tenant_id", asked, now.currency, compared=True)
    found = [each for each in known if search.lower() in _name(each).lower()]
    shown = found[start : start + _ON_A_PAGE]
    names = {each.name for each in shown}
    margins = None if known_margins is None else of_tenants(known_margins, month, names)
    return page(
        request,
        "tenants.html",
        asked=asked,
        totals=now,
        found=shown,
        count=len(found),
        start=start,
        following=start + _ON_A_PAGE if len(found) > start + _ON_A_PAGE else None,
        search=search,
        spread=concentration(known),
        margins=margins,
        margin_month=f"{month:%b}",
    )


@router.get("/tenants/{tenant:path}/preview")
def preview(
    tenant: TenantPath,
    services: Annotated[Services, Depends(services_of)],
    _: Annotated[Operator, Depends(operator)],
) -> Response:
    """The tenant's own page, as the tenant sees it."""
    token = services.tokens.for_tenant(tenant, _PREVIEW)
    return RedirectResponse(f"/embed?token={token}", HTTPStatus.SEE_OTHER)


@router.post("/tenants/{tenant:path}/view")
def set_view(
    tenant: TenantPath,
    form: SentForm,
    services: Annotated[Services, Depends(services_of)],
    who: Annotated[Operator, Depends(administrator)],
) -> Response:
    """Lay down what the tenant is shown."""
    with services.changing() as connection:
        set_tenant_view(
            connection,
            tenant,
            shows_models="models" in form,
            shows_cost="cost" in form,
            set_by=who.name,
        )
    return RedirectResponse(f"/tenants/{quote(tenant, safe='')}#shown", HTTPStatus.SEE_OTHER)


def _limits(
    tenant: TenantPath,
    services: Annotated[Services, Depends(services_of)],
    _: Annotated[Operator, Depends(operator)],
) -> list[TenantLimit] | None:
    """What limits the tenant; None: it cannot be counted now. Before the view, so that a request has one connection."""
    try:
        with services.changing() as connection:
            return limits_of(connection, tenant, EVERYTHING)
    except DatabaseUnavailable:
        return None


def _statement(
    tenant: TenantPath,
    services: Annotated[Services, Depends(services_of)],
    _: Annotated[Operator, Depends(operator)],
) -> Beside:
    """The tenant's statement to date."""
    return AskedStatements(services, tenant, own=False).beside()


@router.get("/tenants/{tenant:path}")
def tenant_page(
    request: Request,
    services: Annotated[Services, Depends(services_of)],
    limits: Annotated[list[TenantLimit] | None, Depends(_limits)],
    statement: Annotated[Beside, Depends(_statement)],
    view: OperatorView,
    tenant: TenantPath,
    asked: Asked,
    currency: Currency = None,
) -> Response:
    """One tenant."""
    of_it = replace(view, tenant=tenant)
    sheet = Sheet.read(of_it, "feature", asked, currency)
    now, before = sheet.totals(), sheet.before()
    known = services.details.at_once(
        DetailsAsked(tenant, own=False, period=asked, currency=now.currency)
    )
    return page(
        request,
        "tenant.html",
        tenant=tenant,
        asked=asked,
        totals=now,
        before=total_before(sheet, before),
        trend=sheet.trend(),
        chart=sheet.chart(),
        features=sheet.lines(before)[:_SHOWN],
        models=lines(of_it, "model", asked, now.currency, compared=True)[:_SHOWN],
        details=known,
        most=_SHOWN,
        shown=tenant_view(view.connection, tenant),
        limits=limits,
        told=statement.told,
        working=statement.working,
    )


def _name(line: Line) -> str:
    return line.name or "(unattributed)"
