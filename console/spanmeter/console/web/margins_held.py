"""Margins of everybody: worked out beside the requests, since thousands of statements take longer than a page may.

What took long is kept for a while, with the moment that it is of; what is quick is worked out anew each time.
"""

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Final, NamedTuple

from spanmeter.console.margins import Margin, margins
from spanmeter.storage import statements
from spanmeter.storage.connection import database_errors
from spanmeter.storage.errors import StorageError
from spanmeter.storage.pool import ConnectionPool, PoolTimeout

logger = logging.getLogger(__name__)

_QUICK: Final = 1.0
"""Seconds: what takes less is not kept."""

_REST: Final = 20
"""It is kept for so many times as long as it took, so that working it out is a small part of the time."""

_LONGEST: Final = 600.0
_MONTHS: Final = 12
"""Answers that are kept."""

_SNAPSHOT: Final = statements.trusted("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")


class AllMargins(NamedTuple):
    """Everybody's margins of a month, as of a moment; `troubles`: whose could not be worked out, and why."""

    found: Sequence[Margin]
    as_of: datetime
    troubles: Sequence[str]


class BeingWorkedOut(Exception):
    """There is no answer yet; `tenants` are done."""

    def __init__(self, tenants: int) -> None:
        super().__init__(f"it is being worked out, {tenants:,} tenants so far: ask again")
        self.tenants = tenants


class _Work:
    """One answer that is being worked out."""

    def __init__(self) -> None:
        self.done = threading.Event()
        self.tenants = 0
        self.answer: AllMargins | None = None
        self.error: Exception | None = None
        self.began = time.monotonic()
        self.good_until = 0.0

    def is_over(self) -> bool:
        """Whether somebody who asks now should be told something newer."""
        return self.done.is_set() and time.monotonic() > self.good_until


class MarginsHeld:
    """Works margins out, one month at a time. Safe to use from many threads."""

    def __init__(self, pool: ConnectionPool) -> None:
        self._pool = pool
        self._lock = threading.Lock()
        self._one_at_a_time = threading.Lock()
        self._working: dict[tuple[date, str], _Work] = {}
        self._known: OrderedDict[tuple[date, str], AllMargins] = OrderedDict()
        self._closing = threading.Event()

    def read(self, month: date, by: str, patience: float) -> AllMargins:
        """The margins by now; after `patience` seconds what was known before.

        Raises BeingWorkedOut where nothing was, DatabaseUnavailable.
        """
        work = self._work(month, by)
        work.done.wait(patience)
        if work.error is not None:
            raise work.error
        with self._lock:
            known = work.answer or self._known.get((month, by))
        if known is None:
            raise BeingWorkedOut(work.tenants)
        return known

    def close(self) -> None:
        """Give up what is being worked out."""
        self._closing.set()
        for work in list(self._working.values()):
            work.done.wait()

    def _work(self, month: date, by: str) -> _Work:
        key = month, by
        with self._lock:
            work = self._working.get(key)
            if work is None or work.is_over():
                work = self._working[key] = _Work()
                threading.Thread(target=self._run, args=[key, work], name="margins").start()
            return work

    def _run(self, key: tuple[date, str], work: _Work) -> None:
        try:
            with self._one_at_a_time:
                work.began = time.monotonic()
                work.answer = self._worked_out(key, work)
        except (StorageError, PoolTimeout, ValueError) as error:
            logger.warning("margins of %s were not worked out: %s", key[0], error)
            work.error = error
        finally:
            took = time.monotonic() - work.began
            rest = min(took * _REST, _LONGEST) if took > _QUICK and work.answer else 0.0
            work.good_until = time.monotonic() + rest
            self._keep(key, work)
            work.done.set()

    def _worked_out(self, key: tuple[date, str], work: _Work) -> AllMargins | None:
        month, by = key
        found: list[Margin] = []
        troubles: list[str] = []
        with self._pool.connection() as connection, database_errors(), connection.transaction():
            connection.execute(_SNAPSHOT)
            as_of = datetime.now(UTC)
            for each in margins(connection, month, by, trouble=troubles.append):
                if self._closing.is_set():
                    return None
                work.tenants += not found or found[-1].tenant_id != each.tenant_id
                found.append(each)
        return AllMargins(found, as_of, troubles)

    def _keep(self, key: tuple[date, str], work: _Work) -> None:
        with self._lock:
            if work.answer is not None:
                self._known[key] = work.answer
                self._known.move_to_end(key)
            if len(self._known) > _MONTHS:
                forgotten, _ = self._known.popitem(last=False)
                self._working.pop(forgotten, None)
