"""Attempts to get in that failed: after a few an address is told to wait, and what it tries is logged no more.

Who shows what is good is let in all the same: nobody can lock others out, and 256 bits cannot be guessed.
"""

import logging
import threading
import time
from collections import OrderedDict, deque
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Final

from spanmeter.console.web.problems import Problem
from spanmeter.storage.access_log import RefusedAttempts, log_refused
from spanmeter.storage.connection import database_errors
from spanmeter.storage.errors import StorageError
from spanmeter.storage.pool import ConnectionPool, PoolTimeout

logger = logging.getLogger(__name__)

MOST: Final = 10
WINDOW: Final = 60.0
"""After so many failures within so many seconds, further ones are answered that the address should wait."""

_PEERS: Final = 10_000
"""Addresses that are remembered; beyond that the one that failed longest ago is forgotten."""


class Attempts:
    """Failed attempts by address. Safe to use from many threads."""

    def __init__(self, pool: ConnectionPool) -> None:
        self._pool = pool
        self._lock = threading.Lock()
        self._failed: OrderedDict[str, deque[float]] = OrderedDict()

    def failed(self, peer: str, reason: str, key_id: str | None) -> None:
        """Note a failure, here and in the log of access. Raises Problem 429 where this address has failed too often."""
        with self._lock:
            failed = self._recent(peer)
            wait = WINDOW - (time.monotonic() - failed[0]) if len(failed) >= MOST else 0
            if wait <= 0:
                failed.append(time.monotonic())
            self._failed.move_to_end(peer)
            if len(self._failed) > _PEERS:
                self._failed.popitem(last=False)
        if wait > 0:
            raise Problem(
                HTTPStatus.TOO_MANY_REQUESTS,
                "too many attempts have failed from this address: wait a minute",
                {"Retry-After": str(int(wait) + 1)},
            )
        self._log(peer, reason, key_id)

    def _log(self, peer: str, reason: str, key_id: str | None) -> None:
        entry = RefusedAttempts(reason, key_id, peer, 1, datetime.now(UTC))
        try:
            with self._pool.connection() as connection, database_errors():
                log_refused(connection, [entry])
        except (StorageError, PoolTimeout) as error:
            logger.warning(
                "a refused attempt from %s (%s) is not in the log: %s", peer, reason, error
            )

    def _recent(self, peer: str) -> deque[float]:
        failed = self._failed.setdefault(peer, deque(maxlen=MOST))
        while failed and time.monotonic() - failed[0] > WINDOW:
            failed.popleft()
        return failed
