"""The log of access: changes of keys, which the database writes itself, and attempts that were refused."""

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from spanmeter.storage import statements
from spanmeter.storage.connection import Connection

_SQL = statements.load("access_log")


class RefusedAttempts(NamedTuple):
    """Attempts of one kind, from one peer; of the key that was shown no more than its id."""

    reason: str
    key_id: str | None
    peer: str
    attempts: int
    since: datetime


class LogEntry(NamedTuple):
    """One entry of the log; `detail` is of changes, `peer` and `reason` of refusals."""

    logged_at: datetime
    event: str
    key_id: str | None
    actor: str
    peer: str | None
    reason: str | None
    attempts: int
    since: datetime
    detail: str | None


def log_refused(connection: Connection, refused: Iterable[RefusedAttempts]) -> None:
    """Note attempts that were refused, all or none."""
    with connection.transaction(), connection.cursor() as cursor:
        cursor.executemany(_SQL["log_refused"], [each._asdict() for each in refused])


def log_entries(
    connection: Connection, *, since: datetime | None, key_id: str | None, most: int
) -> list[LogEntry]:
    """What was changed and refused `since`, the latest first, `most` entries at most."""
    bounds = {"since": since, "key_id": key_id, "most": most}
    return [LogEntry._make(row) for row in connection.execute(_SQL["entries"], bounds)]
