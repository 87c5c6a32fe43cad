"""Folds what is booked into the rollups, a moment later and never at the expense of booking."""

import logging
import time
from contextlib import closing
from typing import Final

from spanmeter.collector_receiver.rounds import Rounds
from spanmeter.storage.connection import connect
from spanmeter.storage.errors import StorageError
from spanmeter.storage.rollups import fold

logger = logging.getLogger(__name__)

INTERVAL: Final = 5.0
"""Seconds between two rounds: until then, a sum adds the rows of the ledger themselves."""

REST: Final = 6.0
"""A round is followed by a rest of so many times its length: folding takes a seventh of one processor at most.

Under more load than that a round has more to do, and does it with less for each row: rows of one key are added at once.
"""


class Folding(Rounds):
    """Folds every few seconds. Of all collectors on a database, one at a time does."""

    def __init__(self, dsn: str) -> None:
        super().__init__("folding", self._round, interval=INTERVAL)
        self._dsn = dsn

    def _round(self) -> None:
        started = time.monotonic()
        try:
            with closing(connect(self._dsn)) as connection:
                fold(connection)
        except StorageError as error:
            logger.info("cannot fold into the rollups for now: %s", error)
        self._interval = max(INTERVAL, REST * (time.monotonic() - started))
