"""Alerts, messages and versions of the rules as listings; one alert in full."""

import textwrap
from collections.abc import Iterable
from typing import Final

from spanmeter.console.listing import Column, Listing, Value
from spanmeter.metering.alerts.wording import about, moment, name
from spanmeter.storage.alert_deliveries import Told
from spanmeter.storage.alert_rules import AlertRulesVersion
from spanmeter.storage.alerts import Alert, AlertDetail

_ALERTS: Final = (
    Column("fired_at", "fired at"),
    Column("resolved_at", "resolved at", missing="open"),
    Column("rule", "rule"),
    Column("kind", "kind"),
    Column("cause", "cause"),
    Column("about", "about"),
    Column("title", "title"),
    Column("alert_id", "alert"),
)
_MESSAGES: Final = (
    Column("at", "at"),
    Column("channel", "channel"),
    Column("event", "event"),
    Column("title", "title"),
    Column("attempt", "attempt"),
    Column("outcome", "outcome", missing="waiting"),
    Column("status", "status"),
    Column("detail", "detail"),
    Column("again_at", "again at"),
    Column("delivery_id", "message"),
    Column("alert_id", "alert"),
)
_RULES: Final = (
    Column("version", "version"),
    Column("set_at", "set at"),
    Column("set_by", "by"),
    Column("login", "login"),
    Column("note", "note"),
)


def alerts_listing(alerts: Iterable[Alert]) -> Listing:
    """One row for each."""
    rows: list[tuple[Value, ...]] = [
        (
            *(each.fired_at, each.resolved_at, each.rule, each.kind, each.cause),
            *(about(each.subject), each.title, str(each.alert_id)),
        )
        for each in alerts
    ]
    return Listing(columns=_ALERTS, rows=rows, notes=[] if rows else ["There is none."])


def messages_listing(messages: Iterable[Told]) -> Listing:
    """One row for each attempt, or message that waits for its first."""
    rows: list[tuple[Value, ...]] = [
        (
            *(each.began_at or each.stored_at, each.channel, each.event, each.title),
            *(each.attempt, each.outcome, each.status, each.detail, each.again_at),
            *(each.delivery_id, each.alert_id),
        )
        for each in messages
    ]
    return Listing(columns=_MESSAGES, rows=rows, notes=[] if rows else ["Nothing was sent."])


def rules_listing(versions: Iterable[AlertRulesVersion]) -> Listing:
    """One row for each version."""
    rows: list[tuple[Value, ...]] = [
        (each.version, each.set_at, each.set_by, each.login, each.note) for each in versions
    ]
    notes = [] if rows else ["None was set: the rules of this release are in force."]
    return Listing(columns=_RULES, rows=rows, notes=notes)


def alert_in_full(detail: AlertDetail) -> str:
    """Everything that is known of an alert, for people."""
    alert = detail.alert
    over = "open" if alert.resolved_at is None else f"over since {moment(alert.resolved_at)}"
    facts = {
        "alert": str(alert.alert_id),
        "rule": f"{alert.rule} ({alert.kind}) of {detail.rules_version}",
        "about": about(alert.subject),
        "fired": f"{moment(alert.fired_at)}, {over}",
        **({"cause": alert.cause} if alert.cause else {}),
        **{key.replace("_", " "): value for key, value in detail.figures.items()},
        **{
            f"adding {place}": f"{name(each['name'])}: {each['actual']} instead of {each['expected']}"
            for place, each in enumerate(detail.contributors, 1)
        },
    }
    width = max(map(len, facts))
    lines = [f"{key:{width}}  {value}" for key, value in facts.items()]
    return "\n".join([alert.title, "", *textwrap.wrap(alert.message, 100), "", *lines, ""])
