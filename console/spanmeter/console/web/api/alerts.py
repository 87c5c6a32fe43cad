"""`/v1/alerts`: what was found, what came of it, and who was told."""

from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field

from spanmeter.console.web.asked_period import Asked
from spanmeter.console.web.paging import Cursor, Limit, Page, page_of, read
from spanmeter.console.web.problems import Problem, documented
from spanmeter.console.web.views import OperatorView, View
from spanmeter.storage.alert_deliveries import Told, delivery_history
from spanmeter.storage.alert_rules import alert_rules_history, alert_rules_in_force
from spanmeter.storage.alerts import Alert as Kept
from spanmeter.storage.alerts import AlertDetail, alerts_named, fired

router = APIRouter(tags=["alerts"])

MOST = 10_000
"""Alerts that are looked through: more than anybody reads."""


class Alert(BaseModel):
    """Something that was found."""

    alert_id: UUID
    rule: str
    kind: str
    about: dict[str, Any] = Field(description="Whom it is about, by dimension; empty: everybody.")
    since: datetime = Field(description="The window that was judged.")
    until: datetime
    cause: str | None
    title: str
    message: str
    fired_at: datetime
    resolved_at: datetime | None = Field(description="Null: it is open.")


AlertsPage = Page[Alert]


class AlertInFull(Alert):
    """An alert with its figures, who adds most to them, and the rules that asked."""

    figures: dict[str, str]
    contributors: list[dict[str, str]]
    rules_version: str


class Message(BaseModel):
    """An attempt to tell somebody, or a message that waits for its first."""

    delivery_id: UUID
    alert_id: UUID | None = Field(description="Null: a test.")
    stored_at: datetime
    event: str = Field(description="fired, resolved or test.")
    channel: str
    title: str | None
    attempt: int | None
    began_at: datetime | None
    outcome: str | None = Field(description="delivered, failed or given_up. Null: it waits.")
    status: int | None = Field(description="What a webhook answered.")
    detail: str | None
    again_at: datetime | None


class Messages(BaseModel):
    """Messages, the latest first."""

    data: list[Message]


class AlertRulesVersion(BaseModel):
    """One version of the rules, as it was set."""

    version: str
    text: str
    set_at: datetime
    set_by: str
    note: str | None


class AlertRules(BaseModel):
    """The rules in force, and every version that was set, the latest first."""

    in_force: str
    text: str = Field(description="As a file that `spanmeter alerts set` takes.")
    data: list[AlertRulesVersion]


@router.get("/alerts", responses=documented())
def alerts(
    request: Request,
    view: OperatorView,
    asked: Asked,
    open_only: Annotated[  # noqa: FBT002
        bool, Query(alias="open", description="Those that are not over, whenever they fired.")
    ] = False,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> AlertsPage:
    """What was found in the period, or is not over; the latest first."""
    found = fired(view.connection, asked.since, MOST, open_only=open_only)
    rows = [each for each in found if open_only or each.fired_at < asked.until]
    if (after := read(cursor, datetime.fromisoformat, UUID)) is not None:
        rows = [each for each in rows if _place(each) > _after(*after)]
    shown, following = page_of(
        request, rows[: limit + 1], limit, lambda each: (each.fired_at, each.alert_id)
    )
    return AlertsPage(data=[_shown(each) for each in shown], next=following)


@router.get("/alerts/{alert_id}", responses=documented(HTTPStatus.NOT_FOUND))
def alert(view: OperatorView, alert_id: UUID) -> AlertInFull:
    """One alert, with its figures."""
    found = the_alert(view, alert_id)
    return AlertInFull(
        **_facts(found.alert),
        figures=dict(found.figures),
        contributors=[dict(each) for each in found.contributors],
        rules_version=found.rules_version,
    )


@router.get("/alert-messages", responses=documented())
def messages(
    view: OperatorView, asked: Asked, limit: Annotated[int, Query(ge=1, le=1000)] = 100
) -> Messages:
    """Who was told what since the beginning of the period, with every attempt."""
    return Messages(
        data=[_message(each) for each in delivery_history(view.connection, asked.since, limit)]
    )


@router.get("/alert-rules", responses=documented())
def alert_rules(view: OperatorView) -> AlertRules:
    """What is worth a message; without any that were set, the rules of the release."""
    in_force = alert_rules_in_force(view.connection)
    return AlertRules(
        in_force=in_force.version,
        text=in_force.text,
        data=[
            AlertRulesVersion(
                version=each.version,
                text=each.text,
                set_at=each.set_at,
                set_by=each.set_by,
                note=each.note,
            )
            for each in alert_rules_history(view.connection)
        ],
    )


def the_alert(view: View, alert_id: UUID) -> AlertDetail:
    """The alert of this id. Raises Problem 404."""
    found = alerts_named(view.connection, str(alert_id))
    if not found:
        raise Problem.not_found("there is no alert of this id")
    return found[0]


def _shown(alert: Kept) -> Alert:
    return Alert(**_facts(alert))


def _facts(alert: Kept) -> dict[str, Any]:
    return {
        **{name: getattr(alert, name) for name in Alert.model_fields if hasattr(alert, name)},
        "about": dict(alert.subject),
        "since": alert.window_since,
        "until": alert.window_until,
    }


def _message(told: Told) -> Message:
    return Message.model_validate(told._asdict())


def _place(alert: Kept) -> tuple[float, str]:
    return -alert.fired_at.timestamp(), str(alert.alert_id)


def _after(fired_at: datetime, alert_id: UUID) -> tuple[float, str]:
    aware = fired_at if fired_at.tzinfo else fired_at.replace(tzinfo=UTC)
    return -aware.timestamp(), str(alert_id)
