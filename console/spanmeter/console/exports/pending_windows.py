"""Which hours or days of a target are to be looked at: what is over, and has changed since it was last looked at."""

from datetime import datetime, timedelta
from typing import Final

from spanmeter.console.exports.configuration import Configured
from spanmeter.storage import exports
from spanmeter.storage.connection import Connection
from spanmeter.storage.exported_usage import ACTIONS, changed_windows
from spanmeter.storage.exports import Planned

LONGEST_COMMIT: Final = timedelta(hours=1)
"""How long a transaction that books rows may take and still be looked for: they tell when it began."""


def pending_windows(
    connection: Connection, configured: Configured, until: datetime
) -> list[datetime]:
    """Windows that rows were booked in since the last time, those that are over only now, and those of which it was not
    known, or became known since, what the target has."""
    kept = exports.planned(connection, configured.name)
    since = configured.since
    looked = None
    if kept is not None and (kept.mapping_sha256, kept.since) == (configured.digest, since):
        looked = kept.planned_at
    found = _changed(connection, configured, since, until, looked)
    if looked is not None and kept is not None and kept.planned_until < until:
        found += _changed(connection, configured, max(since, kept.planned_until), until, None)
    found += exports.unsettled_windows(connection, configured.name)
    return sorted({each for each in found if since <= each < until})


def save_looked(
    connection: Connection, configured: Configured, until: datetime, begun: datetime
) -> None:
    """Keep that all before `until` is planned, of what was booked before `begun`."""
    kept = Planned(
        configured.name, configured.kind, configured.digest, configured.since, until, begun
    )
    exports.save_planned(connection, kept)


def _changed(
    connection: Connection,
    configured: Configured,
    since: datetime,
    until: datetime,
    looked: datetime | None,
) -> list[datetime]:
    if since >= until:
        return []
    actions = any(meter.measured.measure == ACTIONS for meter in configured.meters)
    booked_since = None if looked is None else looked - LONGEST_COMMIT
    return changed_windows(
        connection, configured.period, since, until, booked_since, actions=actions
    )
