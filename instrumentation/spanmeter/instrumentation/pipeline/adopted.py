"""The records of processes that died before they could deliver them."""

import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from spanmeter.instrumentation.pipeline.batch import Batch
from spanmeter.instrumentation.pipeline.directory import Directory
from spanmeter.instrumentation.pipeline.reading import Reader
from spanmeter.instrumentation.pipeline.segment import Segment

LOOK_EVERY: Final = 5.0
"""Seconds between two looks for segments whose owners have died."""


class Adopted:
    """Takes over, one after the other, the segments in a directory that nobody owns any more.

    With `once` only those that are there at first: not what is put there meanwhile.
    """

    def __init__(
        self, directory: Directory, mine: Callable[[], set[Path]], *, once: bool = False
    ) -> None:
        self._directory = directory
        self._once = once
        self._mine = mine
        self._found: Iterator[Segment] = iter(())
        self._segment: Segment | None = None
        self._reader: Reader | None = None
        self._told = 0
        self._look_at = 0.0
        self.records = 0
        """How many were delivered, or dealt with."""

    def take(self) -> Batch | None:
        """The next batch; none where there is none now. The one before must have been settled."""
        while (reader := self._reader or self._next()) is not None and self._segment is not None:
            records = reader.take()
            dropped = self._segment.dropped
            if records or dropped > self._told:
                return Batch(resource=reader.resource, dropped=dropped, records=tuple(records))
            self._segment.remove()
            self._reader = self._segment = None
        return None

    def settle(self, batch: Batch) -> None:
        """What was taken is delivered, or dealt with."""
        if self._segment is not None and self._reader is not None:
            self._segment.settle(self._reader.position)
            self._told = batch.dropped
            self.records += len(batch.records)

    def put_back(self, _: Batch) -> None:
        """What was taken is not delivered: it is to be taken again."""
        if self._reader is not None:
            self._reader.go_back()

    def close(self) -> None:
        """Leaves the rest, if there is any, to whoever comes."""
        if self._segment is not None and self._reader is not None:
            settled = self._reader.handed_out <= self._segment.settled
            if settled and self._told >= self._segment.dropped and not self._reader.take():
                self._segment.remove()
            else:
                self._segment.close()
        self._reader = self._segment = None

    def abandon(self) -> None:
        """After a fork, in the child: lets go of what is the parent's."""
        if self._segment is not None:
            self._segment.close()

    def _next(self) -> Reader | None:
        segment = next(self._found, None)
        if segment is None:
            if time.monotonic() < self._look_at:
                return None
            self._look_at = math.inf if self._once else time.monotonic() + LOOK_EVERY
            self._directory.clean()
            self._found = self._directory.adopt(self._mine())
            segment = next(self._found, None)
        if segment is None:
            return None
        self._segment, self._reader, self._told = segment, Reader(segment), 0
        return self._reader
