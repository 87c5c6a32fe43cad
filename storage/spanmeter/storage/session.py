"""A database session made ready for writing: durable commits, bounded waits, staging tables."""

from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Final, Literal, NamedTuple

from spanmeter.storage import statements
from spanmeter.storage.calls import MustGoAlone
from spanmeter.storage.connection import connect, database_errors
from spanmeter.storage.copying import prepare_copying
from spanmeter.storage.metered import Metered, quarantined_span
from spanmeter.storage.producers import Producer, add_producers
from spanmeter.storage.rejected import RejectedSpan, as_row
from spanmeter.storage.staged_events import Added, StagedEvents, has_foreign
from spanmeter.storage.staging import Staging

_REJECTED: Final = (
    "payload_sha256",
    "reason",
    "detail",
    "trace_id",
    "span_id",
    "tenant_id",
    "payload",
    "key_id",
)

NOTHING: Final = Added(0, 0, {})

Durable = Literal["now", "later", "all"]
"""When a commit is durable: when it returns; with a later one for "all"; with all those before it."""

_DURABLE: Final = {"later": "commit_later", "all": "commit_all"}

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
        prepare_copying(self.connection.adapters)
        self._events = StagedEvents(self.connection)
        self._rejected = Staging(self.connection, "rejected_spans", _REJECTED, "insert_rejected")

    def commit(
        self,
        batch: Sequence[Metered],
        rejected: Sequence[RejectedSpan],
        producers: Mapping[str, Producer],
        durable: Durable = "now",
    ) -> Committed:
        """Commit all of it in one transaction."""
        foreign = has_foreign([metered.event for metered in batch])
        try:
            with self._transaction(durable):
                return self._add(batch, rejected, producers, foreign=foreign, alone=foreign)
        except MustGoAlone:
            with self._transaction(durable):
                return self._add(batch, rejected, producers, foreign=foreign, alone=True)

    def refusals(self, batch: Sequence[Metered]) -> dict[int, str]:
        """The places of those that are refused for what they hold, and why; nothing is committed (see `refusals`)."""
        return self._events.refusals([metered.event for metered in batch])

    @contextmanager
    def _transaction(self, durable: Durable) -> Generator[None]:
        with self.connection.transaction():
            if durable in _DURABLE:
                self.connection.execute(_SQL[_DURABLE[durable]])
            yield

    def _add(
        self,
        batch: Sequence[Metered],
        rejected: Sequence[RejectedSpan],
        producers: Mapping[str, Producer],
        *,
        foreign: bool,
        alone: bool,
    ) -> Committed:
        added, kept = NOTHING, 0
        if batch:
            events = [metered.event for metered in batch]
            added = self._events.add(events, foreign=foreign, alone=alone)
        spans = [
            *rejected,
            *(quarantined_span(batch[at], reason) for at, reason in added.quarantined.items()),
        ]
        if spans:
            self._rejected.stage(map(as_row, spans), _REJECTED)
            kept = self._rejected.insert()
        if producers:
            add_producers(self.connection, producers)
        return Committed(added, kept)


def _setting(timeout: timedelta) -> str:
    return f"{timeout // timedelta(milliseconds=1)}ms"
