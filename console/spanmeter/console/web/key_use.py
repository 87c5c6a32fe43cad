"""When keys were last used: noted once a minute for each, since a page asks often."""

import logging
import threading
import time
from datetime import UTC, datetime
from typing import Final

from spanmeter.storage.api_keys import note_used
from spanmeter.storage.connection import database_errors
from spanmeter.storage.errors import StorageError
from spanmeter.storage.pool import ConnectionPool, PoolTimeout

logger = logging.getLogger(__name__)

_EVERY: Final = 60.0


class KeyUse:
    """Notes the use of keys in the ledger. Safe to use from many threads."""

    def __init__(self, pool: ConnectionPool) -> None:
        self._pool = pool
        self._lock = threading.Lock()
        self._noted: dict[str, float] = {}

    def note(self, key_id: str) -> None:
        """The key is used now. What cannot be noted stands in nobody's way."""
        now = time.monotonic()
        with self._lock:
            if now - self._noted.get(key_id, float("-inf")) < _EVERY:
                return
            self._noted[key_id] = now
        try:
            with self._pool.connection() as connection, database_errors():
                note_used(connection, {key_id: datetime.now(UTC)})
        except (StorageError, PoolTimeout) as error:
            logger.warning("the use of %s was not noted: %s", key_id, error)
