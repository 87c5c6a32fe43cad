"""Alerts: what is not over, what was, and one with its cause and figures."""

from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from fastapi import APIRouter, Request
from fastapi.responses import Response

from spanmeter.console.web.api.alerts import the_alert
from spanmeter.console.web.asked_period import Asked
from spanmeter.console.web.rendering import page
from spanmeter.console.web.views import OperatorView
from spanmeter.metering.alerts.wording import about
from spanmeter.storage.alert_deliveries import delivery_history
from spanmeter.storage.alert_rules import alert_rules_in_force
from spanmeter.storage.alerts import fired

router = APIRouter()

_MOST: Final = 500
_MESSAGES: Final = 1000


@router.get("/alerts")
def alerts(request: Request, view: OperatorView, asked: Asked) -> Response:
    """What is open now, and what fired in the period."""
    rules = alert_rules_in_force(view.connection)
    history = fired(view.connection, asked.since, _MOST, open_only=False)
    return page(
        request,
        "alerts.html",
        asked=asked,
        open=fired(view.connection, asked.since, _MOST, open_only=True),
        history=[each for each in history if each.fired_at < asked.until and each.resolved_at],
        about=about,
        rules=rules,
    )


@router.get("/alerts/{alert_id}")
def alert(request: Request, view: OperatorView, alert_id: UUID) -> Response:
    """One alert: what was found, by which figures, and who was told."""
    found = the_alert(view, alert_id)
    since = min(found.alert.fired_at, datetime.now(UTC)) - timedelta(minutes=1)
    messages = delivery_history(view.connection, since, _MESSAGES)
    return page(
        request,
        "alert.html",
        detail=found,
        alert=found.alert,
        about=about,
        messages=[each for each in messages if each.alert_id == str(alert_id)],
    )
