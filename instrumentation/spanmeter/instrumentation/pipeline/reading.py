"""Reads the records of a segment, a batch at a time."""

import logging
from collections.abc import Iterator
from typing import Final

from spanmeter.instrumentation.pipeline.batch import MAX_BYTES, MAX_RECORDS, Record
from spanmeter.instrumentation.pipeline.frames import MARKER, Frame, Kind, frames, missing
from spanmeter.instrumentation.pipeline.segment import HEADER_BYTES, Segment

_RECORD: Final = int(Kind.RECORD)
"""Nearly all frames: to compare with the member itself takes four times as long."""

_logger: Final = logging.getLogger(__name__)

_WINDOW: Final = MAX_BYTES + 64 * 1024


class Reader:
    """Reads on from where it stopped. What was settled before is passed over."""

    def __init__(self, segment: Segment) -> None:
        self.resource = b""
        self.damaged = 0
        """Bytes passed over that no longer were the records they once were."""
        self.position = HEADER_BYTES
        """What was read ends here."""
        self.handed_out = 0
        """The last record that was taken ends here."""
        self._segment = segment
        self._scopes: dict[int, bytes] = {}

    def take(self) -> list[Record]:
        """The next records, as many as a request may hold; none where all are read."""
        records: list[Record] = []
        size = 0
        for each, end in self._frames():
            if records and size + len(each.payload) > MAX_BYTES:
                break
            record = self._understood(each, end)
            self.position = end
            if record is not None:
                records.append(record)
                size += len(each.payload)
                self.handed_out = end
            if len(records) == MAX_RECORDS:
                break
        return records

    def go_back(self) -> None:
        """What was taken since the segment was settled is to be taken again."""
        self.position = self._segment.settled

    def _understood(self, each: Frame, end: int) -> Record | None:
        if each.skipped:
            self._pass_over(each.skipped)
        kind = each.kind
        if kind == _RECORD:
            if end > self._segment.settled:
                return Record(self._scopes.get(each.scope, b""), each.payload)
        elif kind == Kind.RESOURCE:
            self.resource = each.payload
        elif kind == Kind.SCOPE:
            self._scopes[each.scope] = each.payload
        return None

    def _pass_over(self, count: int) -> None:
        if not self.damaged:
            _logger.error(
                "%s is damaged: what lay in %d bytes and more is lost, the rest is delivered",
                self._segment.path,
                count,
            )
        self.damaged += count

    def _frames(self) -> Iterator[tuple[Frame, int]]:
        """The frames from here on, and where each ends in the file."""
        start = self.position
        while data := self._segment.read(start, _WINDOW):
            if lacking := missing(data, 0):
                data += self._segment.read(start + len(data), lacking)
            end = 0
            for each in frames(data):
                end = each.end
                yield each, start + end
            if start + len(data) >= self._segment.written:
                return
            start += end or _resume(data)


def _resume(data: bytes) -> int:
    """Where to read on, if no frame is whole: at the last that may have been cut off by the end."""
    last = data.rfind(MARKER, 1)
    return last if last > 0 else max(1, len(data) - len(MARKER) + 1)
