"""Budgets with all counted that is booked by now: connections, and counting no more often than it pays."""

import logging
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from queue import Empty, LifoQueue
from typing import Final

from psycopg.conninfo import make_conninfo

from spanmeter.collector_receiver.refusals import TryAgain
from spanmeter.collector_receiver.rounds import Rounds
from spanmeter.metering.budgets.book import BudgetBook
from spanmeter.storage.budget_counting import forget
from spanmeter.storage.budget_standing import counted_book
from spanmeter.storage.budgets import book_version
from spanmeter.storage.connection import Connection, connect
from spanmeter.storage.errors import StorageError
from spanmeter.storage.recent import bound_session

logger = logging.getLogger(__name__)

INTERVAL: Final = 5.0
"""Seconds between two rounds of counting where nobody asks."""

FRESH: Final = 0.1
"""Seconds for which what was counted is new enough: what is booked in the meantime is lent, and so not lent twice."""

FORGET: Final = 3600.0

CONNECTIONS: Final = 4
PATIENCE: Final = 2.0
"""Seconds that a request waits for one of them."""

CONNECT_TIMEOUT: Final = 2


class Counted:
    """Counts, by a thread of its own and when it is asked. Thread-safe."""

    def __init__(self, dsn: str) -> None:
        self._dsn = make_conninfo(dsn, connect_timeout=CONNECT_TIMEOUT)
        self._idle: LifoQueue[Connection | None] = LifoQueue()
        for _ in range(CONNECTIONS):
            self._idle.put(None)
        self._counting = threading.Lock()
        self._book: tuple[float, BudgetBook] | None = None
        self._forgot = time.monotonic()
        self._stopped = threading.Event()
        self._rounds = Rounds("budgets", self._round, interval=INTERVAL)

    def start(self) -> None:
        """Count from now on."""
        self._rounds.start()

    def stop(self) -> None:
        """Count no more, and close what is idle."""
        self._rounds.stop()
        self._stopped.set()
        self._close_idle()

    def _close_idle(self) -> None:
        while True:
            try:
                connection = self._idle.get_nowait()
            except Empty:
                return
            if connection is not None:
                connection.close()

    @contextmanager
    def connected(self) -> Generator[tuple[Connection, BudgetBook]]:
        """A connection, and the budgets. Raises DatabaseUnavailable, and `TryAgain` where too many ask at a time."""
        try:
            connection = self._idle.get(timeout=PATIENCE)
        except Empty:
            raise TryAgain("too many ask about budgets at a time") from None
        try:
            if connection is None:
                connection = connect(self._dsn)
                bound_session(connection)
            yield connection, self._counted(connection)
        except BaseException:
            if connection is not None:
                connection.close()
            connection = None
            raise
        finally:
            self._idle.put(connection)
            if self._stopped.is_set():
                self._close_idle()

    def _counted(self, connection: Connection) -> BudgetBook:
        with self._counting:
            counted_at, book = self._book or (0.0, None)
            now = time.monotonic()
            is_fresh = book is not None and now - counted_at <= FRESH
            if book is None or not is_fresh or book.version != book_version(connection):
                book = counted_book(connection, book)
                self._book = (now, book)
            return book

    def _round(self) -> None:
        try:
            with self.connected() as (connection, book):
                if time.monotonic() - self._forgot > FORGET:
                    self._forgot = time.monotonic()
                    forget(connection, book)
        except (StorageError, TryAgain) as error:
            logger.info("cannot count what is used of budgets for now: %s", error)
        except Exception:
            logger.exception("cannot count what is used of budgets")
