"""A database session made ready for writing: durable commits, bounded waits, staging tables."""

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from datetime import timedelta
from functools import partial
from types import MappingProxyType
from typing import Final, Literal, NamedTuple

from psycopg import Pipeline, Transaction, errors

from spanmeter.metering.usage_event import UsageEvent
from spanmeter.storage import statements
from spanmeter.storage.calls import MustGoAlone, lock_own_calls
from spanmeter.storage.connection import connect, database_errors
from spanmeter.storage.copying import prepare_copying
from spanmeter.storage.evaluations import Scored, add_evaluations
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

NONE_ADDED: Final = Added(0, 0, {})

Durable = Literal["now", "later", "all"]
"""When a commit is durable: when it returns; with a later one for "all"; with all those before it."""

_DURABLE: Final = {"later": "commit_later", "all": "commit_all"}

_SQL = statements.load("ledger")


class Beside(NamedTuple):
    """What is committed beside events."""

    rejected: Sequence[RejectedSpan] = ()
    producers: Mapping[str, Producer] = MappingProxyType({})
    evaluations: Sequence[Scored] = ()


NOTHING: Final = Beside()


class Committed(NamedTuple):
    """What became of the events, and how many rejected spans and evaluations are new."""

    added: Added
    kept: int
    evaluations: int


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
        beside: Beside = NOTHING,
        durable: Durable = "now",
    ) -> Committed:
        """Commit all of it in one transaction."""
        alone = foreign = has_foreign([metered.event for metered in batch])
        if batch and not foreign:
            try:
                return self._commit_own(batch, beside, durable)
            except errors.UniqueViolation:
                # Something is known. To begin anew costs little then, and a savepoint would cost as much every time.
                pass
            except MustGoAlone:
                alone = True
        try:
            with self._transaction(durable):
                add = partial(self._events.add, foreign=foreign, alone=alone)
                return self._add(batch, beside, add)
        except MustGoAlone:
            with self._transaction(durable):
                add = partial(self._events.add, foreign=foreign, alone=True)
                return self._add(batch, beside, add)

    def _commit_own(
        self,
        batch: Sequence[Metered],
        beside: Beside,
        durable: Durable,
    ) -> Committed:
        """Commit events of our own spans as new ones, unless there are other libraries'. Raises UniqueViolation where
        something is known, and MustGoAlone."""
        with ExitStack() as until_end:
            with self._pipeline():
                until_end.enter_context(self._transaction(durable))
                are_only_ours = lock_own_calls(self.connection)
            if are_only_ours():
                return self._add(batch, beside, self._events.add_new)
            add = partial(self._events.add, foreign=False, alone=False)
            return self._add(batch, beside, add)

    def refusals(self, batch: Sequence[Metered]) -> dict[int, str]:
        """The places of those that are refused for what they hold, and why; nothing is committed (see `refusals`)."""
        return self._events.refusals([metered.event for metered in batch])

    @contextmanager
    def _transaction(self, durable: Durable) -> Generator[None]:
        # Not by connection.transaction(), which would keep up the pipeline that it begins in.
        with Transaction(self.connection):
            if durable in _DURABLE:
                self.connection.execute(_SQL[_DURABLE[durable]])
            yield

    def _pipeline(self) -> AbstractContextManager[object]:
        """Statements are sent together, and answered at its end; one by one where libpq cannot, before 14."""
        return self.connection.pipeline() if Pipeline.is_supported() else nullcontext()

    def _add(
        self,
        batch: Sequence[Metered],
        beside: Beside,
        add: Callable[[Sequence[UsageEvent]], Added],
    ) -> Committed:
        added = add([metered.event for metered in batch]) if batch else NONE_ADDED
        kept = 0
        spans = [
            *beside.rejected,
            *(quarantined_span(batch[at], reason) for at, reason in added.quarantined.items()),
        ]
        if spans:
            self._rejected.stage(map(as_row, spans), _REJECTED)
            kept = self._rejected.insert()
        if beside.producers:
            add_producers(self.connection, beside.producers)
        scored = add_evaluations(self.connection, beside.evaluations) if beside.evaluations else 0
        return Committed(added, kept, scored)


def _setting(timeout: timedelta) -> str:
    return f"{timeout // timedelta(milliseconds=1)}ms"
