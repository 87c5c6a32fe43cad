"""The keys that a collector knows: all of them, looked up again every two seconds."""

import logging
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Final

import psycopg
from psycopg.conninfo import make_conninfo

from spanmeter.collector_receiver.refused_attempts import AttemptCounts
from spanmeter.storage.access_log import log_refused
from spanmeter.storage.api_keys import ApiKey, key_ring, note_used
from spanmeter.storage.connection import Connection, connect, database_errors
from spanmeter.storage.errors import StorageError
from spanmeter.storage.recent import bound_session

logger = logging.getLogger(__name__)

INTERVAL: Final = 2.0
"""Seconds between two looks at the keys: as long as a revoked key may still be taken."""

SOONEST: Final = 0.2
"""Seconds between two looks where somebody waits, with a key that is new, or made up."""

TRUSTED: Final = timedelta(hours=24).total_seconds()
"""How long what is known of the keys holds while the database is away; nobody could revoke one there meanwhile."""

NOTE_USED: Final = 60.0
"""Seconds between two notes of when keys were last used."""

CONNECT_TIMEOUT: Final = 2
"""Seconds."""


class KeyRing:
    """Knows the keys, by a thread of its own; tells the database which are used, and what was refused."""

    def __init__(self, dsn: str, attempts: AttemptCounts) -> None:
        self._dsn = dsn
        self._attempts = attempts
        self._keys: Mapping[str, ApiKey] = {}
        self._known_at: float | None = None
        self._used: dict[str, datetime] = {}
        self._noted = time.monotonic()
        self._looked = threading.Condition()
        self._wanted = threading.Event()
        self._stopping = threading.Event()
        self._connection: Connection | None = None
        self._thread = threading.Thread(target=self._run, name="spanmeter-keys", daemon=True)

    def start(self) -> None:
        """Look from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Tell what is still to be told, if the database is there, and stop."""
        self._stopping.set()
        self._wanted.set()
        self._thread.join(CONNECT_TIMEOUT + 1)

    def find(self, key_id: str) -> ApiKey | None:
        """The key as it was known at the last look, whether it works or not."""
        return self._keys.get(key_id)

    @property
    def trusted(self) -> bool:
        """Whether what is known is recent enough to go by."""
        known = self._known_at
        return known is not None and time.monotonic() - known < TRUSTED

    def looked_since(self, moment: float, patience: float) -> bool:
        """Wait for a look that began after this moment of the monotonic clock; False if none succeeded in time."""
        with self._looked:
            return self._looked.wait_for(lambda: self._asked(moment), patience)

    def note_use(self, key: ApiKey, now: datetime) -> None:
        """The key is in use."""
        # The database is told the last one once a minute: setting an entry takes no lock.
        self._used[key.key_id] = now

    def _asked(self, moment: float) -> bool:
        if self._known_at is not None and self._known_at >= moment:
            return True
        self._wanted.set()
        return False

    def _run(self) -> None:
        while not self._stopping.is_set():
            began = time.monotonic()
            self._look(began)
            self._stopping.wait(SOONEST)
            self._wanted.wait(max(0.0, INTERVAL - SOONEST))
            self._wanted.clear()
        self._look(time.monotonic())
        self._disconnect()

    def _look(self, began: float) -> None:
        try:
            with database_errors():
                connection = self._connected()
                self._keys = key_ring(connection)
                self._known_at = began
                self._tell(connection, began)
        except (StorageError, psycopg.Error) as error:
            self._disconnect()
            logger.debug("keys cannot be looked up: %s", error)
        except Exception:
            self._disconnect()
            logger.exception("keys cannot be looked up")
        with self._looked:
            self._looked.notify_all()

    def _tell(self, connection: Connection, began: float) -> None:
        now = datetime.now(UTC)
        if entries := self._attempts.due(now):
            log_refused(connection, entries)
            self._attempts.told(entries, now)
        if began - self._noted >= NOTE_USED or self._stopping.is_set():
            used, self._used = self._used, {}
            note_used(connection, used)
            self._noted = began

    def _connected(self) -> Connection:
        if self._connection is None:
            self._connection = connect(make_conninfo(self._dsn, connect_timeout=CONNECT_TIMEOUT))
            bound_session(self._connection)
        return self._connection

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(psycopg.Error):
                connection.close()
