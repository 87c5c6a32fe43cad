"""What a collector has done since it started."""

import threading
from typing import NamedTuple


class Counts(NamedTuple):
    """Spans, except `refused`: export requests that were answered with an error.

    Every span received is one of `not_llm`, `tracing_copies`, `rejected`, `stored` or `duplicates`, or is still under
    way, or was part of a request that was refused. Of those `stored`, `same_call` describe a call that another counts.
    `journaled` were acknowledged from the journal; they are stored when they are replayed, perhaps by another process.
    """

    received: int = 0
    stored: int = 0
    duplicates: int = 0
    rejected: int = 0
    not_llm: int = 0
    refused: int = 0
    tracing_copies: int = 0
    same_call: int = 0
    journaled: int = 0

    def __str__(self) -> str:
        return ", ".join(f"{name} {value}" for name, value in self._asdict().items())


class Counters:
    """Adds up `Counts` from many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts = Counts()

    def add(self, counts: Counts) -> None:
        """Add to each count."""
        with self._lock:
            self._counts = Counts(*map(sum, zip(self._counts, counts, strict=True)))

    def read(self) -> Counts:
        """The counts at this moment, consistent with each other."""
        return self._counts
