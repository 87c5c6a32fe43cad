"""Server-sent events as bytes: which of them are whole, and what data each carries.

Source: the WHATWG HTML standard, section 9.2.6 (an event ends at a blank line; lines end with LF,
CRLF or CR).
"""

import re
from collections.abc import Generator
from typing import Final

# A line end that is no half of CRLF, and another.
_BLANK_LINE: Final = re.compile(rb"(?:\r\n|\n|\r(?!\n))(?:\r\n|\n|\r)")


class Events:
    """Collects chunks, cut anywhere, into whole events. `rest` is what has come of the next one."""

    __slots__ = ("rest",)

    def __init__(self) -> None:
        self.rest = b""

    def whole(self, chunk: bytes) -> bytes:
        """The events that are whole now that this chunk has come, as they were sent, blank lines
        included."""
        data = self.rest + chunk if self.rest else chunk
        if data.endswith(b"\n\n"):
            self.rest = b""
            return data
        end = max((blank.end() for blank in _BLANK_LINE.finditer(data)), default=0)
        self.rest = data[end:]
        return data[:end]

    @staticmethod
    def split(events: bytes) -> Generator[tuple[bytes, bytes]]:
        """Each event as it was sent, with its data."""
        start = 0
        for blank in _BLANK_LINE.finditer(events):
            event = events[start : blank.end()]
            start = blank.end()
            yield event, data_of(event)
        if start < len(events):
            yield events[start:], data_of(events[start:])


def data_of(event: bytes) -> bytes:
    """The event's data: its `data:` lines, joined."""
    lines = [
        line[5:].removeprefix(b" ") for line in event.splitlines() if line.startswith(b"data:")
    ]
    return b"\n".join(lines)
