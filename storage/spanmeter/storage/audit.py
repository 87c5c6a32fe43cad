"""What no constraint of the database sees to: reversals, further descriptions, guards, records that never came."""

from datetime import UTC, datetime
from typing import NamedTuple

from spanmeter.storage import statements
from spanmeter.storage.connection import Connection

_SQL = statements.load("audit")


class Missing(NamedTuple):
    """A process of which numbered records did not arrive; some of them it gave up itself."""

    producer_id: str
    service_name: str | None
    missing: int
    dropped: int


def uneven_reversals(connection: Connection, since: datetime, until: datetime) -> list[str]:
    """The rows of a period that were superseded, and still count something."""
    return _named(connection, "uneven_reversals", since, until)


def counting_duplicates(connection: Connection, since: datetime, until: datetime) -> list[str]:
    """The rows of a period that describe a call which another row counts, and count something themselves."""
    return _named(connection, "counting_duplicates", since, until)


def disarmed(connection: Connection) -> list[str]:
    """The triggers that keep the ledger append-only and are not at work, as TABLE.TRIGGER."""
    return [name for (name,) in connection.execute(_SQL["disarmed"])]


def missing_records(
    connection: Connection, since: datetime | None, until: datetime | None
) -> list[Missing]:
    """The processes heard of in a period that records are missing of, most first."""
    asked = {"since": since, "until": until}
    return [Missing._make(row) for row in connection.execute(_SQL["missing_records"], asked)]


def _named(connection: Connection, name: str, since: datetime, until: datetime) -> list[str]:
    rows = connection.execute(_SQL[name], {"since": since, "until": until})
    return [
        f"{trace_id.hex()}:{span_id.hex()}:{time.astimezone(UTC).isoformat()}"
        for trace_id, span_id, time in rows
    ]
