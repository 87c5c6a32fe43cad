"""A complaint that would be made thousands of times a second is made once in a while."""

import logging
import time
from typing import Final

_INTERVAL: Final = 30.0


class Rarely:
    """Logs each message at most every 30 seconds."""

    def __init__(self) -> None:
        self._next: dict[str, float] = {}

    def log(self, logger: logging.Logger, message: str, *args: object) -> None:
        now = time.monotonic()
        if now >= self._next.get(message, 0.0):
            self._next[message] = now + _INTERVAL
            logger.error(message, *args)
