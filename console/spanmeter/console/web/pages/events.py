"""Single rows of the ledger: the latest, and one explained."""

from typing import Annotated, Final

from fastapi import APIRouter, Depends, Path, Query, Request
from fastapi.responses import Response

from spanmeter.console.web.api.events import aware, explained, key_of
from spanmeter.console.web.asked_period import AskedPeriod, asked_period
from spanmeter.console.web.events import EventsAsked, list_events
from spanmeter.console.web.paging import Cursor, page_of, read
from spanmeter.console.web.rendering import page
from spanmeter.console.web.services import Services, services_of
from spanmeter.console.web.views import OperatorView

router = APIRouter()

_ON_A_PAGE: Final = 50
_FILTERS: Final = ("tenant", "feature", "model", "user", "status", "callsite")
_COLUMNS: Final = {"tenant": "tenant_id", "user": "user_id"}

Text = Annotated[str, Query(max_length=1024, pattern=r"^[^\x00]*$")]


def _lately(since: str = "24h", until: str | None = None) -> AskedPeriod:
    return asked_period(since, until)


@router.get("/events")
def events(
    request: Request,
    view: OperatorView,
    asked: Annotated[AskedPeriod, Depends(_lately, scope="function")],
    tenant: Text = "",
    feature: Text = "",
    model: Text = "",
    user: Text = "",
    status: Text = "",
    callsite: Text = "",
    cursor: Cursor = None,
) -> Response:
    """Rows of usage, the latest first."""
    given = dict(zip(_FILTERS, (tenant, feature, model, user, status, callsite), strict=True))
    only = {_COLUMNS.get(name, name): value for name, value in given.items() if value}
    after = read(cursor, aware, bytes.fromhex, bytes.fromhex)
    rows = list_events(view, EventsAsked(asked, only, _ON_A_PAGE + 1, after))
    shown, following = page_of(request, rows, _ON_A_PAGE, key_of)
    return page(request, "events.html", asked=asked, rows=shown, following=following, given=given)


@router.get("/events/{event}")
def event_page(
    request: Request,
    view: OperatorView,
    services: Annotated[Services, Depends(services_of)],
    event: Annotated[str, Path(max_length=1024, pattern=r"^[^\x00]+$")],
) -> Response:
    """One row: what it cost and why, whose it is and why."""
    return page(request, "event.html", told=explained(view, services, event))
