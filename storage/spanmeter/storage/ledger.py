"""The one way into the ledger: a batch of usage events becomes rows, each once and durable."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from operator import attrgetter
from types import MappingProxyType, TracebackType
from typing import Final, Self

import psycopg

from spanmeter.storage import faults
from spanmeter.storage.connection import unavailable
from spanmeter.storage.errors import DatabaseUnavailable
from spanmeter.storage.evaluations import Scored
from spanmeter.storage.metered import REFUSED, Metered, Refused, refused_span
from spanmeter.storage.producers import Producer
from spanmeter.storage.rejected import RejectedSpan
from spanmeter.storage.session import NOTHING, Beside, Committed, Durable, WriterSession
from spanmeter.storage.sifting import Sifting, quarantined

logger = logging.getLogger(__name__)

_ATTEMPTS: Final = 3

_NOBODY: Final[Mapping[str, Producer]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Written:
    """What became of a batch, durably: `inserted + duplicates + len(refused)` is its length.

    `same_call` of the inserted are further descriptions of a call that another row counts; `shared_ids` have the
    response id of another call, and count beside it. `rejected` counts the rejected spans that were not kept before,
    those of `refused` included, `evaluations` those that were not.
    """

    inserted: int
    duplicates: int
    rejected: int
    refused: tuple[Refused, ...]
    same_call: int = 0
    shared_ids: int = 0
    evaluations: int = 0


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
        evaluations: Sequence[Scored] = (),
    ) -> Written:
        """Book `batch`, keep `rejected` and `evaluations`, and note the `producers`, durably. Writing any of it again
        changes nothing.

        It is one transaction, unless PostgreSQL refuses a row: then the others are booked without
        that row, and its span joins `rejected`. Raises DatabaseUnavailable when the
        database cannot take it now; a part may be booked by then, so write all of it again.
        """
        if not batch and not rejected and not producers and not evaluations:
            return Written(0, 0, 0, ())
        beside = Beside(rejected, producers, evaluations)
        try:
            whole = self._commit(batch, beside)
        except faults.BatchRefused as error:
            return self._written_in_parts(batch, beside, error)
        return _written(batch, [whole], quarantined(whole, range(len(batch))))

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

    def _written_in_parts(
        self,
        batch: Sequence[Metered],
        beside: Beside,
        error: faults.BatchRefused,
    ) -> Written:
        sifting = Sifting(batch, lambda part: self._commit(part, NOTHING, "later"), self._faults)
        sifting.divide(range(len(batch)), error)
        spans = [
            refused_span(batch[each.index], each.detail)
            for each in sifting.refused
            if each.reason == REFUSED
        ]
        whole = beside._replace(rejected=[*beside.rejected, *spans])
        last = self._commit((), whole, "all")
        return _written(batch, [*sifting.parts, last], sifting.refused)

    def _faults(self, batch: Sequence[Metered]) -> Mapping[int, str]:
        """Those of a batch that PostgreSQL refuses, as far as it can be told by trying each."""
        try:
            return self._open().refusals(batch)
        except (psycopg.Error, *faults.DRIVER_ERRORS):
            return {}

    def _commit(
        self,
        batch: Sequence[Metered],
        beside: Beside,
        durable: Durable = "now",
    ) -> Committed:
        attempts = _ATTEMPTS
        while True:
            session = self._open()
            attempts -= 1
            try:
                return session.commit(batch, beside, durable)
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
            except MemoryError as error:
                # Neither a row's fault nor the database's, but it passes, and a smaller batch may.
                self.close()
                raise DatabaseUnavailable(
                    f"this process has no memory left to write {len(batch)} rows"
                ) from error
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


def _written(
    batch: Sequence[Metered], parts: Sequence[Committed], refused: Sequence[Refused]
) -> Written:
    inserted = sum(part.added.inserted for part in parts)
    return Written(
        inserted,
        len(batch) - inserted - len(refused),
        sum(part.kept for part in parts),
        tuple(sorted(refused, key=attrgetter("index"))),
        sum(part.added.same_call for part in parts),
        sum(part.added.shared_ids for part in parts),
        sum(part.evaluations for part in parts),
    )
