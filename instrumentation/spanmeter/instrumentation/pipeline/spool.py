"""The records of this process on disk, in the order they were made, until they are delivered."""

import logging
import time
from collections import deque
from contextlib import suppress
from enum import Enum, auto
from pathlib import Path
from typing import Final

from spanmeter.instrumentation.pipeline.batch import Record
from spanmeter.instrumentation.pipeline.directory import Directory
from spanmeter.instrumentation.pipeline.frames import Kind, frame
from spanmeter.instrumentation.pipeline.reading import Reader
from spanmeter.instrumentation.pipeline.segment import Segment

_LOOK_AGAIN: Final = 0.25
"""Seconds between two looks for place in a spool that is full, or at a disk that fails."""
_RETIRE: Final = 1024 * 1024
"""A segment of which all is delivered is given up once it has this size."""

_logger: Final = logging.getLogger(__name__)


class Kept(Enum):
    """What became of a record."""

    YES = auto()
    FULL = auto()
    """The bound is reached."""
    UNWRITABLE = auto()
    """The disk refuses."""


YES: Final = Kept.YES
FULL: Final = Kept.FULL
UNWRITABLE: Final = Kept.UNWRITABLE
"""The members: to look one up in its class takes as long as to write a byte."""


class Spool:
    """Segments that this process writes and delivers. One thread at a time may be in here: its outbox sees to that."""

    def __init__(self, directory: Directory, resource: bytes, *, sync: bool) -> None:
        self.directory = directory
        self._resource = resource
        self._sync = sync
        self._segments: deque[tuple[Segment, Reader]] = deque()
        self._scopes: dict[bytes, int] = {}
        """Scopes that the last segment has a frame of, and their numbers there; none without a segment."""
        self._dropped = 0
        self._refusal = YES
        self._refused_until = 0.0

    def put(self, scope: bytes, span: bytes) -> Kept:
        """Writes a record. Once this returns `Kept.YES` it outlives the process."""
        if self._refusal is not YES and time.monotonic() < self._refused_until:
            return self._refusal
        try:
            number = self._scopes.get(scope)
            # Nearly always the scope is there, and room.
            if number is not None:
                segment = self._segments[-1][0]
                if segment.append_record(number, span, sync=self._sync):
                    self._refusal = YES
                    return YES
            kept = self._make_room(scope, span)
        except OSError as error:
            _logger.debug("cannot write to %s", self.directory.path, exc_info=error)
            kept = UNWRITABLE
        if kept is not YES:
            self._refused_until = time.monotonic() + _LOOK_AGAIN
        self._refusal = kept
        return kept

    def explain(self, reason: str) -> None:
        """Writes down why the records that follow were refused, if it can be written."""
        framed = frame(Kind.REASON, 0, reason.encode(errors="replace"))
        with suppress(OSError):
            segment = self._segments[-1][0] if self._segments else self._begin()
            if not segment.append(framed) and self.directory.extend(segment, len(framed)):
                segment.append(framed)

    def drop(self, total: int) -> None:
        """Writes down how many records were given up in all, if it can be written."""
        self._dropped = total
        with suppress(OSError):
            segment = self._segments[-1][0] if self._segments else self._begin()
            segment.drop(total)

    def take(self) -> list[Record]:
        """The next records to deliver. Those taken before must have been settled."""
        while self._segments:
            segment, reader = self._segments[0]
            records = reader.take()
            if records or not self._retire(segment, reader):
                return records
        return []

    def settle(self) -> None:
        """What was taken is delivered, or dealt with."""
        segment, reader = self._segments[0]
        segment.settle(reader.position)
        self._refused_until = 0.0

    def put_back(self) -> None:
        """What was taken is to be taken again."""
        self._segments[0][1].go_back()

    def close(self, *, told: bool) -> None:
        """Gives the segments up: to nobody if all is delivered and the number of dropped records is
        told, or else to whoever of the service's processes delivers them. A later `put` begins anew.
        """
        for segment, reader in self._segments:
            if told and reader.position == segment.written and reader.handed_out <= segment.settled:
                segment.remove()
            else:
                segment.close()
        self._segments.clear()
        self._scopes.clear()

    def abandon(self) -> None:
        """After a fork, in the child: closes what the parent owns and goes on to use."""
        for segment, _ in self._segments:
            segment.close()

    def paths(self) -> set[Path]:
        return {segment.path for segment, _ in tuple(self._segments)}

    def _make_room(self, scope: bytes, span: bytes) -> Kept:
        """Writes a record that is the first of its scope, or has no room: in more of the segment, or the
        next."""
        segment = self._segments[-1][0] if self._segments else self._begin()
        framed = self._framed(scope, span)
        if not segment.has_room(len(framed)):
            if self._scopes and segment.written + len(framed) > self.directory.segment_bytes:
                segment = self._begin()
                framed = self._framed(scope, span)
            if not self.directory.extend(segment, len(framed)):
                return FULL
        segment.append(framed, sync=self._sync)
        self._scopes.setdefault(scope, len(self._scopes))
        return YES

    def _framed(self, scope: bytes, span: bytes) -> bytes:
        """A record as a frame, and before it its scope where there is none in the segment yet."""
        number = self._scopes.get(scope)
        if number is not None:
            return frame(Kind.RECORD, number, span)
        number = len(self._scopes)
        return frame(Kind.SCOPE, number, scope) + frame(Kind.RECORD, number, span)

    def _begin(self) -> Segment:
        segment = self.directory.create(self._resource, dropped=self._dropped)
        if self._sync:
            self.directory.sync()
        self._segments.append((segment, Reader(segment)))
        self._scopes.clear()
        return segment

    def _retire(self, segment: Segment, reader: Reader) -> bool:
        """Removes the oldest segment, all of which is settled, unless the next record goes there."""
        last = segment is self._segments[-1][0]
        unread = reader.position < segment.written
        if last and (unread or segment.written < _RETIRE or segment.dropped):
            return False
        self._segments.popleft()
        if last:
            self._scopes.clear()
        segment.remove()
        self._refused_until = 0.0
        return True
