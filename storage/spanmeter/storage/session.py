"""A database session made ready for writing: durable commits, bounded waits, staging tables."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Final, NamedTuple

from spanmeter.metering.usage_event import UsageEvent
from spanmeter.storage import statements
from spanmeter.storage.calls import MustGoAlone
from spanmeter.storage.connection import connect, database_errors
from spanmeter.storage.metered import Metered, quarantined_span
from spanmeter.storage.producers import Producer, add_producers
from spanmeter.storage.rejected import RejectedSpan, as_row
from spanmeter.storage.staged_events import Added, StagedEvents, has_foreign
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

NOTHING: Final = Added(0, 0, {})

_SQL = statements.load("ledger")


class Committed(NamedTuple):
    """What became of the events, and how many rejected spans are new."""

    added: Added
    kept: int


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
        self._events = StagedEvents(self.connection)
        self._rejected = Staging(self.connection, "rejected_spans", _REJECTED, "insert_rejected")

    def commit(
        self,
        batch: Sequence[Metered],
        rejected: Sequence[RejectedSpan],
        producers: Mapping[str, Producer],
    ) -> Committed:
        """Commit all of it in one transaction."""
        events = [metered.event for metered in batch]
        foreign = has_foreign(events)
        try:
            return self._commit(batch, events, rejected, producers, foreign=foreign, alone=foreign)
        except MustGoAlone:
            return self._commit(batch, events, rejected, producers, foreign=foreign, alone=True)

    def _commit(
        self,
        batch: Sequence[Metered],
        events: Sequence[UsageEvent],
        rejected: Sequence[RejectedSpan],
        producers: Mapping[str, Producer],
        *,
        foreign: bool,
        alone: bool,
    ) -> Committed:
        added, kept = NOTHING, 0
        with self.connection.transaction():
            if events:
                added = self._events.add(events, foreign=foreign, alone=alone)
            spans = [
                *rejected,
                *(
                    quarantined_span(batch[place], reason)
                    for place, reason in added.quarantined.items()
                ),
            ]
            if spans:
                self._rejected.stage(map(as_row, spans), _REJECTED)
                kept = self._rejected.insert()
            if producers:
                add_producers(self.connection, producers)
        return Committed(added, kept)


def _setting(timeout: timedelta) -> str:
    return f"{timeout // timedelta(milliseconds=1)}ms"
