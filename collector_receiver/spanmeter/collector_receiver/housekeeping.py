"""Forgets what was only kept to recognise spans that are too old to be taken by now; lets go what retention says."""

import logging
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Final

from spanmeter.collector_receiver.rounds import Rounds
from spanmeter.storage.calls import forget_calls
from spanmeter.storage.connection import connect, database_errors
from spanmeter.storage.errors import StorageError
from spanmeter.storage.keeping import Kept, keep_house

logger = logging.getLogger(__name__)

INTERVAL: Final = 3600.0
"""Seconds between two rounds; each has that much to forget."""

MARGIN: Final = timedelta(days=2)
"""What is in a journal is judged by when it was received, so it is taken a little later."""


class Housekeeping(Rounds):
    """Forgets calls which began more than `max_age` ago, and applies what retention lays down, now and every hour."""

    def __init__(self, dsn: str, max_age: timedelta) -> None:
        super().__init__("housekeeping", self._round, interval=INTERVAL)
        self._dsn = dsn
        self._max_age = max_age

    def _round(self) -> None:
        before = datetime.now(UTC) - self._max_age - MARGIN
        try:
            with closing(connect(self._dsn)) as connection, database_errors():
                forgotten = forget_calls(connection, before)
                kept = keep_house(connection)
        except StorageError as error:
            logger.info("cannot keep house for now: %s", error)
        else:
            if forgotten:
                logger.info("forgot %d calls of before %s", forgotten, before.date())
            _tell(kept)


def _tell(kept: Kept) -> None:
    if kept.rejected:
        logger.info("%d rejected spans have left by age", kept.rejected)
    if kept.interval is not None:
        logger.info("new chunks span %s: what is booked in a day has changed", kept.interval)
    if kept.in_columnstore is not None:
        logger.info("moved %s to the columnstore", kept.in_columnstore)
