"""The one way into the ledger: a batch of usage events becomes rows, each once and durable."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from types import TracebackType
from typing import Final, NamedTuple, Self

import psycopg

from spanmeter.metering.usage_event import UsageEvent
from spanmeter.storage import faults
from spanmeter.storage.connection import unavailable
from spanmeter.storage.rejected import RejectedSpan
from spanmeter.storage.session import WriterSession

logger = logging.getLogger(__name__)

REFUSED: Final = "refused_by_database"
"""`reason` of the rejected spans whose event PostgreSQL would not take."""

_ATTEMPTS: Final = 3


class Metered(NamedTuple):
    """A usage event and the span it came from.

    `payload` makes the span's replayable form (see RejectedSpan); it is called only if PostgreSQL
    refuses the event.
    """

    event: UsageEvent
    payload: Callable[[], bytes]


@dataclass(frozen=True, slots=True)
class Refused:
    """The event at `index` of the batch is not booked; its span is kept in `rejected_spans`."""

    index: int
    detail: str


@dataclass(frozen=True, slots=True)
class Written:
    """What became of a batch, durably: `inserted + duplicates + len(refused)` is its length.

    `rejected` counts the rejected spans that were not kept before, those of `refused` included.
    """

    inserted: int
    duplicates: int
    rejected: int
    refused: tuple[Refused, ...]


class LedgerWriter:
    """Writes batches over one connection of its own, made when needed and again after it broke.

    Not thread-safe: one writer per thread.
    """

    def __init__(
        self,
        conninfo: str,
        *,
        statement_timeout: timedelta = timedelta(seconds=30),
        lock_timeout: timedelta = timedelta(seconds=10),
    ) -> None:
        self._conninfo = conninfo
        self._statement_timeout = statement_timeout
        self._lock_timeout = lock_timeout
        self._session: WriterSession | None = None
        self._warned = False

    def write(self, batch: Sequence[Metered], rejected: Sequence[RejectedSpan] = ()) -> Written:
        """Book `batch` and keep `rejected`, durably. Writing any of it again changes nothing.

        It is one transaction, unless PostgreSQL refuses a row: then the batch is halved until that
        row stands alone, and its span joins `rejected`. Raises DatabaseUnavailable when the
        database cannot take it now; a part may be booked by then, so write all of it again.
        """
        if not batch and not rejected:
            return Written(0, 0, 0, ())
        refused: list[Refused] = []
        try:
            inserted, kept = self._commit(batch, rejected)
        except faults.BatchRefused:
            inserted = self._book(batch, 0, refused)
            spans = [_rejection(batch[each.index], each) for each in refused]
            _, kept = self._commit((), [*rejected, *spans])
        duplicates = len(batch) - inserted - len(refused)
        return Written(inserted, duplicates, kept, tuple(refused))

    def close(self) -> None:
        """Close the connection, if there is one; a later `write` opens another."""
        session, self._session = self._session, None
        if session is not None:
            session.connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _book(self, batch: Sequence[Metered], start: int, refused: list[Refused]) -> int:
        try:
            return self._commit(batch, ())[0]
        except faults.BatchRefused as error:
            if len(batch) == 1:
                refused.append(Refused(start, str(error)))
                return 0
        middle = len(batch) // 2
        first = self._book(batch[:middle], start, refused)
        return first + self._book(batch[middle:], start + middle, refused)

    def _commit(
        self, batch: Sequence[Metered], rejected: Sequence[RejectedSpan]
    ) -> tuple[int, int]:
        events = [metered.event for metered in batch]
        attempts = _ATTEMPTS
        while True:
            session = self._open()
            attempts -= 1
            try:
                return session.commit(events, rejected)
            except faults.DRIVER_ERRORS as error:
                raise faults.BatchRefused(error) from error
            except psycopg.Error as error:
                if faults.blames_batch(error, len(batch)):
                    raise faults.BatchRefused(error) from error
                again = attempts > 0 and faults.passes_on_retry(error, session.connection)
                if session.connection.closed or not again:
                    # The next connection may lead to a server that can: a new primary, say.
                    self.close()
                if not again:
                    raise unavailable(error) from error

    def _open(self) -> WriterSession:
        if self._session is None:
            self._session = WriterSession(
                self._conninfo,
                statement_timeout=self._statement_timeout,
                lock_timeout=self._lock_timeout,
            )
            self._warn_once(self._session.unsafe_settings)
        return self._session

    def _warn_once(self, unsafe: Sequence[str]) -> None:
        if unsafe and not self._warned:
            self._warned = True
            logger.warning(
                "the database runs with %s off: a power failure can lose acknowledged rows",
                " and ".join(unsafe),
            )


def _rejection(metered: Metered, refused: Refused) -> RejectedSpan:
    event, payload = metered
    return RejectedSpan(
        REFUSED, refused.detail, event.trace_id, event.span_id, event.tenant_id, payload()
    )
