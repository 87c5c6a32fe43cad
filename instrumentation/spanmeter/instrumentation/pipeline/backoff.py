"""How long to wait before records are offered again: longer each time, and never all at once."""

import random
from typing import Final

FIRST: Final = 0.5
LONGEST: Final = 30.0
LONGEST_ASKED: Final = 300.0
"""A collector that asks for more is asked again after this."""


class Backoff:
    """Doubles from half a second to half a minute, with jitter, without end."""

    def __init__(self) -> None:
        self._next = FIRST

    def reset(self) -> None:
        """The collector answers again."""
        self._next = FIRST

    def delay(self, asked: float | None) -> float:
        """Seconds to wait now. What the collector asked for is kept to, and spread a little."""
        if asked is not None:
            return min(asked, LONGEST_ASKED) * random.uniform(1.0, 1.2)  # noqa: S311 (no secret)
        longest, self._next = self._next, min(self._next * 2, LONGEST)
        return longest * random.uniform(0.5, 1.0)  # noqa: S311 (no secret)
