"""Alerts as they are kept: fired once for each rule, subject and window, and resolved once."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from psycopg.types.json import Jsonb

from spanmeter.metering.alerts.finding import Finding, Subject
from spanmeter.storage import statements
from spanmeter.storage.connection import Connection, database_errors

# "spanalrt" as a number: advisory locks of all programs share one namespace per database.
_LOCK: Final = int.from_bytes(b"spanalrt")

_SQL = statements.load("alerts")


class Alert(NamedTuple):
    """Something that was told; `resolved_at` is when it was over, None: it is not."""

    alert_id: UUID
    rule: str
    kind: str
    subject: Subject
    window_since: datetime
    window_until: datetime
    cause: str | None
    title: str
    message: str
    fired_at: datetime
    resolved_at: datetime | None


class AlertDetail(NamedTuple):
    """An alert with its numbers, who adds to them, and the version of the rules that asked."""

    alert: Alert
    figures: Mapping[str, str]
    contributors: Sequence[Mapping[str, str]]
    rules_version: str


def become_runner(connection: Connection) -> bool:
    """Whether this session is the one that runs the alerts of its ledger, for as long as it lasts."""
    with database_errors():
        return connection.execute(_SQL["run"], (_LOCK,)).fetchone() == (True,)


def fire(
    connection: Connection,
    finding: Finding,
    rules_version: str,
    tell: Callable[[Finding], object] = lambda _: None,
) -> bool:
    """Keep a finding, if it was not told in its window before and is not told still; return whether.

    `tell` stores the messages about it, in the same transaction. Raises DatabaseUnavailable.
    """
    values: dict[str, Any] = {
        **finding._asdict(),
        "alert_id": finding.alert_id,
        "subject": Jsonb(dict(finding.subject)),
        "window_since": finding.window.since,
        "window_until": finding.window.until,
        "figures": Jsonb(dict(finding.figures)),
        "contributors": Jsonb([contributor_as_text(each) for each in finding.contributors]),
        "rules_version": rules_version,
    }
    with database_errors(), connection.transaction():
        if connection.execute(_SQL["fire"], values).fetchone() is None:
            return False
        tell(finding)
        return True


def contributor_as_text(contributor: tuple[str, Any, Any]) -> dict[str, str]:
    """Its name, and its amounts as decimal digits."""
    name, actual, expected = contributor
    return {"name": name, "actual": f"{actual:f}", "expected": f"{expected:f}"}


def resolve(
    connection: Connection, alert: Alert, tell: Callable[[datetime], object] = lambda _: None
) -> bool:
    """Say that an alert is over; return whether nobody had said so. `tell` as in `fire`. Raises DatabaseUnavailable."""
    with database_errors(), connection.transaction():
        row = connection.execute(_SQL["resolve"], (alert.alert_id,)).fetchone()
        if row is None:
            return False
        tell(row[0])
        return True


def open_alerts(connection: Connection, rule: str) -> list[Alert]:
    """What a rule has told and is not over. Raises DatabaseUnavailable."""
    with database_errors():
        return [Alert._make(row) for row in connection.execute(_SQL["open"], (rule,))]


def orphaned_alerts(connection: Connection, rules: Sequence[str]) -> list[Alert]:
    """What is not over of any other than these rules. Raises DatabaseUnavailable."""
    with database_errors():
        return [
            Alert._make(row) for row in connection.execute(_SQL["open_of_others"], (list(rules),))
        ]


def fired(connection: Connection, since: datetime, most: int, *, open_only: bool) -> list[Alert]:
    """What was told since a moment, or is not over; the latest first. Raises DatabaseUnavailable."""
    asked = {"since": since, "most": most, "open_only": open_only}
    with database_errors():
        return [Alert._make(row) for row in connection.execute(_SQL["fired"], asked)]


def alerts_named(connection: Connection, beginning: str) -> list[AlertDetail]:
    """Up to two alerts whose ids begin so. Raises DatabaseUnavailable."""
    with database_errors():
        rows = connection.execute(_SQL["alert"], (beginning,)).fetchall()
    return [AlertDetail(Alert._make(row[:11]), *row[11:]) for row in rows]
