"""Seals what was booked, some time after the end of each day."""

import logging
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Final

from spanmeter.collector_receiver.rounds import Rounds
from spanmeter.storage.connection import connect
from spanmeter.storage.errors import StorageError
from spanmeter.storage.seals import seal

logger = logging.getLogger(__name__)

INTERVAL: Final = 600.0
"""Seconds between two looks at whether a day is to be sealed."""


class Sealing(Rounds):
    """Seals all that was booked until the end of a day, UTC, when that is `after` ago; signs it if there is a key.

    Several collectors may: one of them does it.
    """

    def __init__(self, dsn: str, after: timedelta, key: bytes | None) -> None:
        super().__init__("sealing", self._round, interval=INTERVAL)
        self._dsn = dsn
        self._after = after
        self._key = key

    def _round(self) -> None:
        until = last_moment(datetime.now(UTC) - self._after)
        try:
            with closing(connect(self._dsn)) as connection:
                made = seal(connection, until, key=self._key)
        except StorageError as error:
            logger.info("cannot seal for now: %s", error)
        else:
            for each in made:
                logger.info("seal %d, until %s: %s", each.number, until, each.digest.hex())


def last_moment(now: datetime) -> datetime:
    """The last moment of the day before."""
    return now.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(microseconds=1)
