"""Which sender occupies how many of the threads that answer requests: none may have nearly all of them."""

import threading
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from typing import Final

RESERVED: Final = 0.25
"""The part of the threads that one sender leaves to others, however many requests it sends at once."""


class TooManyAtOnce(Exception):
    """This sender has as many requests under way as it may have."""


class HandlerShares:
    """Counts the requests under way by sender."""

    def __init__(self, handlers: int) -> None:
        self._most = max(1, int(handlers * (1 - RESERVED)))
        self._lock = threading.Lock()
        self._taken: Counter[str] = Counter()

    @contextmanager
    def taken_by(self, sender: str) -> Generator[None]:
        """Count one more of the sender's while the block runs. Raises `TooManyAtOnce`."""
        with self._lock:
            if self._taken[sender] >= self._most:
                raise TooManyAtOnce(
                    f"{self._most} requests of {sender} are under way, the most that one sender may have"
                )
            self._taken[sender] += 1
        try:
            yield
        finally:
            with self._lock:
                self._taken[sender] -= 1
                if not self._taken[sender]:
                    del self._taken[sender]
