"""The overview: what everything costs, where it goes, and what needs a look."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from spanmeter.console.web.asked_period import Asked
from spanmeter.console.web.breakdown import lines
from spanmeter.console.web.concentration import concentration
from spanmeter.console.web.health import read_health
from spanmeter.console.web.rendering import page
from spanmeter.console.web.sheet import Sheet, total_before
from spanmeter.console.web.views import OperatorView
from spanmeter.storage.alerts import fired
from spanmeter.storage.budget_approvals import approvals

router = APIRouter()

Currency = Annotated[str | None, Query(pattern="^[A-Z]{3}$")]

_SHOWN = 8
_ALERTS = 100


@router.get("/")
def overview(
    request: Request, view: OperatorView, asked: Asked, currency: Currency = None
) -> Response:
    """What everything costs."""
    sheet = Sheet.read(view, "model", asked, currency)
    now, before = sheet.totals(), sheet.before()
    tenants = lines(view, "tenant_id", asked, now.currency, compared=True)
    return page(
        request,
        "overview.html",
        asked=asked,
        totals=now,
        before=total_before(sheet, before),
        trend=sheet.trend(),
        chart=sheet.chart(),
        tenants=[line for line in tenants if line.name is not None][:_SHOWN],
        active=sum(line.name is not None for line in tenants),
        unattributed=next((line for line in tenants if line.name is None), None),
        features=lines(view, "feature", asked, now.currency, compared=True)[:_SHOWN],
        models=sheet.lines(before)[:_SHOWN],
        spread=concentration(tenants),
        health=read_health(view.connection),
        alerts=fired(view.connection, asked.since, _ALERTS, open_only=True),
        waiting=len(approvals(view.connection)),
    )
