"""`/v1/events`: single rows of the ledger, and one of them explained."""

from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request
from pydantic import BaseModel, Field

from spanmeter.console.explaining import explained_event
from spanmeter.console.web.asked_period import Asked
from spanmeter.console.web.events import EventRow, EventsAsked, list_events
from spanmeter.console.web.money import Money
from spanmeter.console.web.paging import Cursor, Limit, Page, page_of, read
from spanmeter.console.web.problems import Problem, documented
from spanmeter.console.web.services import Services, services_of
from spanmeter.console.web.views import AnyView, OperatorView, View
from spanmeter.storage.booked_events import BookedEvent, find
from spanmeter.storage.rules import RuleBook

router = APIRouter(tags=["events"])

Only = Annotated[
    str | None, Query(max_length=1024, pattern=r"^[^\x00]*$", description="Only where it is this.")
]


class Event(BaseModel):
    """One request to a provider, as it was booked. What a tenant is not shown is null."""

    event: str = Field(description="Its name, for /v1/events/{event}: TRACE:SPAN.")
    time: datetime = Field(description="When the call began.")
    tenant: str | None = Field(description="Null: unattributed.")
    workspace: str | None
    project: str | None
    user: str | None
    feature: str | None
    workflow: str | None
    action: str | None
    label: str | None
    idempotency_key: str | None
    account_type: str | None
    environment: str | None
    dimensions: dict[str, Any]
    service: str | None
    callsite: str | None
    provider: str | None
    operation: str | None
    model: str | None
    status: str
    error_type: str | None
    duration: float | None = Field(description="Seconds.")
    input_tokens: int | None
    cache_read_input_tokens: int | None
    cache_write_input_tokens: int | None
    output_tokens: int | None
    reasoning_output_tokens: int | None
    usage_source: str | None
    billable_state: str
    cost: Money | None = Field(description="Null: unpriced, or not shown.")
    currency: str
    cost_quality: str | None
    described_elsewhere: bool = Field(description="Another row counts this call.")


EventsPage = Page[Event]


@router.get("/events", responses=documented())
def events(
    request: Request,
    view: AnyView,
    asked: Asked,
    feature: Only = None,
    user: Only = None,
    model: Only = None,
    provider: Only = None,
    status: Annotated[
        str | None, Query(pattern="^(ok|error|timeout|cancelled)$", description="How it ended.")
    ] = None,
    callsite: Only = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> EventsPage:
    """Rows of usage, the latest first."""
    filters = {
        "feature": feature,
        "user_id": user,
        "model": model,
        "provider": provider,
        "status": status,
        "callsite": callsite,
    }
    only = {name: value for name, value in filters.items() if value is not None}
    after = read(cursor, aware, bytes.fromhex, bytes.fromhex)
    rows = list_events(view, EventsAsked(asked, only, limit + 1, after))
    shown, following = page_of(request, rows, limit, key_of)
    return EventsPage(data=[_event(row) for row in shown], next=following)


@router.get("/events/{event}", responses=documented(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT))
def explanation(
    view: OperatorView,
    services: Annotated[Services, Depends(services_of)],
    event: Annotated[
        str,
        Path(
            max_length=1024,
            pattern=r"^[^\x00/]+$",
            description="TRACE:SPAN in hex, with :TIME where that is several; or the provider's id of the response.",
        ),
    ],
) -> dict[str, Any]:
    """One row explained: what it cost and by which rate, whose it is and why, what corrects it."""
    return dict(explained(view, services, event))


def explained(view: View, services: Services, name: str) -> dict[str, Any]:
    """The explanation of the row of this name. Raises Problem 404 and 409."""
    booked = the_event(view, name)
    known = services.rates.read(view.connection)
    return dict(explained_event(view.connection, booked, known, RuleBook(view.connection)))


def the_event(view: View, name: str) -> BookedEvent:
    """The row of this name. Raises Problem 404 and 409."""
    found = find(view.connection, name)
    if not found:
        raise Problem.not_found("no row of the ledger is known by this name")
    if len(found) > 1:
        names = ", ".join(each.name for each in found[:10])
        raise Problem(HTTPStatus.CONFLICT, f"several rows have this name; say which: {names}")
    return found[0]


def key_of(row: EventRow) -> tuple[str, str, str]:
    """Where the row stands in the list, as a cursor holds it."""
    return row.time.isoformat(), row.trace_id.hex(), row.span_id.hex()


def aware(text: str) -> datetime:
    """A moment in a cursor. Raises ValueError."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None or not 1900 < moment.year < 9000:
        raise ValueError("a moment has an offset")
    return moment


def _event(row: EventRow) -> Event:
    told = row._asdict()
    for column, short in (
        ("tenant_id", "tenant"),
        ("workspace_id", "workspace"),
        ("project_id", "project"),
        ("user_id", "user"),
        ("service_name", "service"),
    ):
        told[short] = told.pop(column)
    return Event.model_validate({**told, "event": row.event})
