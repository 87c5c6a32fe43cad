"""The one way into the ledger: a batch of usage events becomes rows, each once and durable."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from types import MappingProxyType, TracebackType
from typing import Final, Self

import psycopg

from spanmeter.storage import faults
from spanmeter.storage.connection import unavailable
from spanmeter.storage.metered import (
    QUARANTINED,
    REFUSED,
    Metered,
    Refused,
    refused_span,
)
from spanmeter.storage.producers import Producer
from spanmeter.storage.rejected import RejectedSpan
from spanmeter.storage.session import Committed, Durable, WriterSession

logger = logging.getLogger(__name__)

_ATTEMPTS: Final = 3

_NOBODY: Final[Mapping[str, Producer]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Written:
    """What became of a batch, durably: `inserted + duplicates + len(refused)` is its length.

    `same_call` of the inserted are further descriptions of a call that another row counts. `rejected` counts the
    rejected spans that were not kept before, those of `refused` included.
    """

    inserted: int
    duplicates: int
    rejected: int
    refused: tuple[Refused, ...]
    same_call: int = 0


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

    def write(
        self,
        batch: Sequence[Metered],
        rejected: Sequence[RejectedSpan] = (),
        producers: Mapping[str, Producer] = _NOBODY,
    ) -> Written:
        """Book `batch`, keep `rejected`, and note the `producers`, durably. Writing any of it again changes nothing.

        It is one transaction, unless PostgreSQL refuses a row: then the batch is halved until that
        row stands alone, and its span joins `rejected`. Raises DatabaseUnavailable when the
        database cannot take it now; a part may be booked by then, so write all of it again.
        """
        if not batch and not rejected and not producers:
            return Written(0, 0, 0, ())
        parts: list[Committed] = []
        refused: list[Refused] = []
        try:
            parts.append(self._commit(batch, rejected, producers))
            refused += _quarantined(parts[0], 0)
        except faults.BatchRefused as error:
            self._halve(batch, 0, error, parts, refused)
            spans = [
                refused_span(batch[each.index], each.detail)
                for each in refused
                if each.reason == REFUSED
            ]
            parts.append(self._commit((), [*rejected, *spans], producers, "all"))
        inserted = sum(part.added.inserted for part in parts)
        duplicates = len(batch) - inserted - len(refused)
        kept = sum(part.kept for part in parts)
        same_call = sum(part.added.same_call for part in parts)
        return Written(inserted, duplicates, kept, tuple(refused), same_call)

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

    def _book(
        self,
        batch: Sequence[Metered],
        start: int,
        parts: list[Committed],
        refused: list[Refused],
    ) -> bool:
        """Book what PostgreSQL takes of it; whether it took all at once."""
        try:
            parts.append(self._commit(batch, (), _NOBODY, "later"))
        except faults.BatchRefused as error:
            self._halve(batch, start, error, parts, refused)
            return False
        refused += _quarantined(parts[-1], start)
        return True

    def _halve(
        self,
        batch: Sequence[Metered],
        start: int,
        error: faults.BatchRefused,
        parts: list[Committed],
        refused: list[Refused],
    ) -> None:
        """Book a batch that was refused for this error, but for the rows that are the reason."""
        while len(batch) > 1:
            middle = len(batch) // 2
            whole = self._book(batch[:middle], start, parts, refused)
            batch, start = batch[middle:], start + middle
            # With nothing wrong in the first half it is in the second, which need not be tried.
            if not whole or len(batch) == 1:
                self._book(batch, start, parts, refused)
                return
        if batch:
            refused.append(Refused(start, REFUSED, str(error)))

    def _commit(
        self,
        batch: Sequence[Metered],
        rejected: Sequence[RejectedSpan],
        producers: Mapping[str, Producer],
        durable: Durable = "now",
    ) -> Committed:
        attempts = _ATTEMPTS
        while True:
            session = self._open()
            attempts -= 1
            try:
                return session.commit(batch, rejected, producers, durable)
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
            except Exception as error:
                # A fault of ours: the row that brings it out is kept, and keeps no other back.
                logger.exception("could not write a batch of %d events", len(batch))
                raise faults.BatchRefused(error) from error

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


def _quarantined(committed: Committed, start: int) -> list[Refused]:
    return [
        Refused(start + place, reason, QUARANTINED[reason])
        for place, reason in committed.added.quarantined.items()
    ]
