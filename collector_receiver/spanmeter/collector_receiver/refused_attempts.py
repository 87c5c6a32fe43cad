"""What was refused for want of a right key: counted, and told about once a minute, however often it is tried."""

import logging
import threading
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from spanmeter.storage.access_log import RefusedAttempts

logger = logging.getLogger(__name__)

EVERY: Final = timedelta(minutes=1)
"""Between two entries of the same kind."""

MOST: Final = 1000
"""Kinds of attempts that are told apart at once; the rest are added up by reason."""

MANY_PEERS: Final = "others"
"""The peer of those that are not told apart."""


class _Kind(NamedTuple):
    reason: str
    key_id: str | None
    peer: str


class _Count:
    def __init__(self, since: datetime) -> None:
        self.attempts = 0
        self.since = since
        self.told: datetime | None = None


class AttemptCounts:
    """Counts refused attempts by reason, key and peer, from many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: dict[_Kind, _Count] = {}

    def add(self, reason: str, key_id: str | None, peer: str, attempts: int = 1) -> None:
        """Count attempts. `key_id` is what a key begins with, never more of it."""
        now = datetime.now(UTC)
        kind = _Kind(reason, key_id, peer)
        with self._lock:
            if kind not in self._counts and len(self._counts) >= MOST:
                kind = _Kind(reason, None, MANY_PEERS)
            count = self._counts.setdefault(kind, _Count(now))
            if not count.attempts:
                count.since = now
            count.attempts += attempts

    def due(self, now: datetime) -> list[RefusedAttempts]:
        """What is to be told now: the first attempt of a kind at once, later ones after a minute."""
        with self._lock:
            for kind, count in list(self._counts.items()):
                if not count.attempts and count.told is not None and now - count.told > EVERY:
                    del self._counts[kind]
            return [
                RefusedAttempts(*kind, count.attempts, count.since)
                for kind, count in self._counts.items()
                if count.attempts and (count.told is None or now - count.told >= EVERY)
            ]

    def told(self, entries: list[RefusedAttempts], now: datetime) -> None:
        """These were told; what was counted meanwhile is still to be."""
        with self._lock:
            for entry in entries:
                count = self._counts[_Kind(entry.reason, entry.key_id, entry.peer)]
                count.attempts -= entry.attempts
                count.since, count.told = now, now
        for entry in entries:
            logger.warning(
                "refused %d of %s, key %s: %s",
                entry.attempts,
                entry.peer,
                entry.key_id or "none",
                entry.reason,
            )
