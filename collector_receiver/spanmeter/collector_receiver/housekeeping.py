"""Forgets what was only kept to recognise spans that are too old to be taken by now."""

import logging
import threading
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Final

from spanmeter.storage.calls import forget_calls
from spanmeter.storage.connection import connect, database_errors
from spanmeter.storage.errors import StorageError

logger = logging.getLogger(__name__)

INTERVAL: Final = 3600.0
"""Seconds between two rounds; each has that much to forget."""

MARGIN: Final = timedelta(days=2)
"""What is in a journal is judged by when it was received, so it is taken a little later."""


class Housekeeping:
    """A thread that forgets calls which began more than `max_age` ago, now and every hour."""

    def __init__(self, dsn: str, max_age: timedelta) -> None:
        self._dsn = dsn
        self._max_age = max_age
        self._stopping = threading.Event()
        self._thread = threading.Thread(
            target=self._run, name="spanmeter-housekeeping", daemon=True
        )

    def start(self) -> None:
        """Begin the first round."""
        self._thread.start()

    def stop(self) -> None:
        """End after the round under way, which is not waited for: it is one of many."""
        self._stopping.set()

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._round()
            self._stopping.wait(INTERVAL)

    def _round(self) -> None:
        before = datetime.now(UTC) - self._max_age - MARGIN
        try:
            with closing(connect(self._dsn)) as connection, database_errors():
                forgotten = forget_calls(connection, before)
        except StorageError as error:
            logger.info("cannot forget old calls for now: %s", error)
        else:
            if forgotten:
                logger.info("forgot %d calls of before %s", forgotten, before.date())
