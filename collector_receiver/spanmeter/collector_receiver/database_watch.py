"""Looks at the database now and then, for the collector's metrics: whether it is there, and what is missing in it."""

import logging
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

import psycopg
from psycopg.conninfo import make_conninfo

from spanmeter.collector_receiver.rounds import Rounds
from spanmeter.storage.connection import connect, database_errors
from spanmeter.storage.errors import StorageError
from spanmeter.storage.recent import bound_session, recent_gaps

logger = logging.getLogger(__name__)

INTERVAL: Final = 15.0
"""Seconds between two looks, each over a connection of its own: it tells that new ones can be made."""

CONNECT_TIMEOUT: Final = 2
"""Seconds."""

WINDOW: Final = timedelta(days=1)
"""What is missing of a producer that has not been heard of for longer is no news."""


class Gaps(NamedTuple):
    """Producers' numbered records that did not arrive, and those given up; None while it is not known."""

    missing: int | None
    dropped: int | None


UNKNOWN: Final = Gaps(None, None)


class DatabaseWatch(Rounds):
    """Looks at the database every `INTERVAL` seconds. `counting`: and at what is missing."""

    def __init__(self, dsn: str, *, counting: bool) -> None:
        super().__init__("watch", self._look, interval=INTERVAL)
        self._dsn = dsn
        self._counting = counting
        self.available = True
        """Whether the last look reached it."""
        self.gaps = UNKNOWN
        """What the last look found missing."""

    def _look(self) -> None:
        try:
            hurried = make_conninfo(self._dsn, connect_timeout=CONNECT_TIMEOUT)
            with closing(connect(hurried)) as connection, database_errors():
                self.available = True
                if self._counting:
                    bound_session(connection)
                    missing, dropped, _ = recent_gaps(connection, datetime.now(UTC) - WINDOW)
                    self.gaps = Gaps(missing, dropped)
        except (StorageError, psycopg.Error) as error:
            self.available, self.gaps = False, UNKNOWN
            logger.debug("the database cannot be looked at: %s", type(error).__name__)
