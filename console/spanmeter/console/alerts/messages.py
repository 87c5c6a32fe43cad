"""What is sent about an alert: one JSON document per event, from which each channel makes its own form."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from spanmeter.metering.alerts.finding import Finding
from spanmeter.storage.alerts import Alert, contributor_as_text

_VERBS: Final = {"fired": "", "resolved": "Resolved: ", "test": "Test: "}


def fired_payload(finding: Finding) -> str:
    """What is told when it is found."""
    return _payload(
        "alert.fired",
        {
            **_about(finding.rule, finding.kind, finding.cause, finding.subject),
            "id": str(finding.alert_id),
            "title": finding.title,
            "message": finding.message,
            "window": [each.isoformat() for each in finding.window],
            "figures": dict(finding.figures),
            "contributors": [contributor_as_text(each) for each in finding.contributors],
        },
    )


def resolved_payload(alert: Alert, resolved_at: datetime) -> str:
    """What is told when it is over."""
    return _payload(
        "alert.resolved",
        {
            **_about(alert.rule, alert.kind, alert.cause, alert.subject),
            "id": str(alert.alert_id),
            "title": alert.title,
            "message": f"It is over since {resolved_at.astimezone(UTC):%Y-%m-%d %H:%M} UTC. {alert.message}",
            "window": [alert.window_since.isoformat(), alert.window_until.isoformat()],
            "fired_at": alert.fired_at.isoformat(),
            "resolved_at": resolved_at.isoformat(),
        },
    )


def test_payload(channel: str) -> str:
    """What `spanmeter alerts test` sends."""
    return _payload(
        "alert.test",
        {
            **_about(None, "test", None, {}),
            "title": f"channel {channel} works",
            "message": "This message was asked for with `spanmeter alerts test`. Nothing has happened.",
        },
    )


class Text(NamedTuple):
    """A payload for people."""

    title: str
    body: str


def as_text(payload: str) -> Text:
    """The same as a title and a body."""
    document = json.loads(payload)
    data = document["data"]
    event = str(document["type"]).removeprefix("alert.")
    lines = [data["message"]]
    if data.get("rule"):
        lines += ["", f"rule {data['rule']}, alert {data['id']}"]
    return Text(f"[spanmeter] {_VERBS[event]}{data['title']}", "\n".join(lines))


def _about(
    rule: str | None, kind: str, cause: str | None, subject: Mapping[str, str | None]
) -> dict[str, Any]:
    return {"rule": rule, "kind": kind, "cause": cause, "subject": dict(subject)}


def _payload(type_: str, data: Mapping[str, Any]) -> str:
    # The three keys that Standard Webhooks recommend: github.com/standard-webhooks, "Payload structure".
    document = {"type": type_, "timestamp": datetime.now(UTC).isoformat(), "data": data}
    return json.dumps(document, ensure_ascii=False)
