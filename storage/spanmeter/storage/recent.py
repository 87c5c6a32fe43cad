"""What the ledger took lately, and what is wrong with it: queries bounded in time, fast on a ledger of any size."""

from datetime import datetime
from typing import NamedTuple

from spanmeter.storage import statements
from spanmeter.storage.connection import Connection

_SQL = statements.load("recent")


class Gaps(NamedTuple):
    """Over some producers: records that did not arrive, records given up, and how many producers lack some."""

    missing: int
    dropped: int
    producers: int


class RecentUsage(NamedTuple):
    """Rows of usage. `unpriced` and `unattributed` are among those that count, `same_call` are the others."""

    rows: int
    unpriced: int
    unattributed: int
    same_call: int


class RecentRejected(NamedTuple):
    """Rejected spans of one reason: still open, and metered after all."""

    reason: str
    open: int
    redriven: int


def bound_session(connection: Connection) -> None:
    """Have every later statement of the connection give up after five seconds."""
    connection.execute(_SQL["bound_session"])


def recent_gaps(connection: Connection, since: datetime) -> Gaps:
    """Return what is missing of the producers heard of `since`."""
    return Gaps._make(_row(connection, "gaps", since))


def recent_usage(connection: Connection, since: datetime) -> RecentUsage:
    """Return how many calls that began `since` were booked."""
    return RecentUsage._make(_row(connection, "usage", since))


def recent_rejected(connection: Connection, since: datetime) -> list[RecentRejected]:
    """Return the spans rejected `since` by reason, the most frequent first."""
    rows = connection.execute(_SQL["rejected"], (since,)).fetchall()
    return [RecentRejected._make(row) for row in rows]


def _row(connection: Connection, name: str, since: datetime) -> tuple[int, ...]:
    row = connection.execute(_SQL[name], (since,)).fetchone()
    if row is None:
        raise AssertionError("an aggregate has one row")
    return row
