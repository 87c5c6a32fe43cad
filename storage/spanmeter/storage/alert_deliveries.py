"""Messages about alerts: stored before they are sent, with every attempt and what came of it."""

from datetime import datetime
from typing import Literal, NamedTuple
from uuid import UUID

from spanmeter.storage import statements
from spanmeter.storage.connection import Connection, database_errors

Event = Literal["fired", "resolved", "test"]
Outcome = Literal["delivered", "failed", "given_up"]

_SQL = statements.load("alerts")


class Delivery(NamedTuple):
    """A message to one channel, and how often it was tried."""

    delivery_id: UUID
    alert_id: UUID | None
    event: Event
    channel: str
    payload: str
    stored_at: datetime
    attempts: int


class Attempt(NamedTuple):
    """One try: `status` is what a webhook answered, `again_at` when a failed one is followed by another."""

    delivery_id: UUID
    attempt: int
    began_at: datetime
    ended_at: datetime
    outcome: Outcome
    status: int | None
    detail: str | None
    again_at: datetime | None


class Told(NamedTuple):
    """An attempt with what it was to tell; what has no attempt yet waits."""

    stored_at: datetime
    event: Event
    channel: str
    rule: str | None
    title: str | None
    attempt: int | None
    began_at: datetime | None
    outcome: Outcome | None
    status: int | None
    detail: str | None
    again_at: datetime | None
    delivery_id: str
    alert_id: str | None


def store_delivery(
    connection: Connection, alert_id: UUID | None, event: Event, channel: str, payload: str
) -> UUID | None:
    """Store a message, in the transaction under way if there is one; None if it was stored before. Raises
    DatabaseUnavailable."""
    values = {"alert_id": alert_id, "event": event, "channel": channel, "payload": payload}
    with database_errors():
        row = connection.execute(_SQL["store_delivery"], values).fetchone()
    return None if row is None else row[0]


def due_deliveries(connection: Connection, most: int) -> list[Delivery]:
    """Messages to be sent now, the oldest first. Raises DatabaseUnavailable."""
    with database_errors():
        return [Delivery._make(row) for row in connection.execute(_SQL["due"], (most,))]


def next_delivery(connection: Connection) -> datetime | None:
    """When the next message is to be sent; None: none waits. Raises DatabaseUnavailable."""
    with database_errors():
        row = connection.execute(_SQL["next_due"]).fetchone()
    return None if row is None else row[0]


def keep_attempt(connection: Connection, attempt: Attempt) -> None:
    """Keep what came of an attempt. Raises DatabaseUnavailable."""
    with database_errors():
        connection.execute(_SQL["attempted"], attempt._asdict())


def delivery_history(connection: Connection, since: datetime, most: int) -> list[Told]:
    """Messages since a moment with their attempts, the latest first. Raises DatabaseUnavailable."""
    with database_errors():
        rows = connection.execute(_SQL["history"], {"since": since, "most": most})
        return [Told._make(row) for row in rows]
