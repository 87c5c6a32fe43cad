"""A database session made ready for writing: durable commits, bounded waits, staging tables."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from spanmeter.metering.usage_event import UsageEvent
from spanmeter.storage import statements
from spanmeter.storage.connection import connect, database_errors
from spanmeter.storage.rejected import RejectedSpan, as_row
from spanmeter.storage.staging import Staging
from spanmeter.storage.usage_json import UsageJsonDumper

_REJECTED: Final = (
    "payload_sha256",
    "reason",
    "detail",
    "trace_id",
    "span_id",
    "tenant_id",
    "payload",
)

_SQL = statements.load("ledger")


class WriterSession:
    """One connection that commits events and rejected spans.

    Opening it raises DatabaseUnavailable; using it, what psycopg raises.
    """

    def __init__(
        self, conninfo: str, *, statement_timeout: timedelta, lock_timeout: timedelta
    ) -> None:
        self.connection = connect(conninfo)
        try:
            with database_errors():
                self._prepare(statement_timeout, lock_timeout)
        except BaseException:
            self.connection.close()
            raise

    def _prepare(self, statement_timeout: timedelta, lock_timeout: timedelta) -> None:
        timeouts = {
            "statement_timeout": _setting(statement_timeout),
            "lock_timeout": _setting(lock_timeout),
        }
        self.connection.execute(_SQL["prepare_session"], timeouts)
        unsafe = self.connection.execute(_SQL["unsafe_settings"]).fetchall()
        self.unsafe_settings: Sequence[str] = [name for (name,) in unsafe]
        """The server's settings under which a commit may not survive a power failure."""
        self.connection.adapters.register_dumper(dict, UsageJsonDumper)
        self._events = Staging(self.connection, "usage_events", UsageEvent._fields, "insert_events")
        self._rejected = Staging(self.connection, "rejected_spans", _REJECTED, "insert_rejected")

    def commit(
        self, events: Sequence[UsageEvent], rejected: Sequence[RejectedSpan]
    ) -> tuple[int, int]:
        """Commit both in one transaction and return how many of each were new."""
        inserted = kept = 0
        with self.connection.transaction():
            if events:
                inserted = self._events.add(self.connection, events)
            if rejected:
                kept = self._rejected.add(self.connection, map(as_row, rejected))
        return inserted, kept


def _setting(timeout: timedelta) -> str:
    return f"{timeout // timedelta(milliseconds=1)}ms"
