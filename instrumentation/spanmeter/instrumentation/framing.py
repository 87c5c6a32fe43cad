"""How a streamed body is cut into events, as bytes: which of them are whole, and what data each
carries."""

import base64
import json
import re
import struct
from collections.abc import Generator
from typing import Final, Protocol

# A line end that is no half of CRLF, and another.
_BLANK_LINE: Final = re.compile(rb"(?:\r\n|\n|\r(?!\n))(?:\r\n|\n|\r)")


class Framing(Protocol):
    """Collects chunks, cut anywhere, into whole events. `rest` is what has come of the next one.

    `opaque` is whether an event's data need not stand in its bytes as it is. `ends` are ends of
    bytes that surely are ends of an event.
    """

    rest: bytes
    opaque: bool
    ends: tuple[bytes, ...]

    def whole(self, chunk: bytes) -> bytes:
        """The events that are whole now that this chunk has come, as they were sent."""
        ...

    def split(self, events: bytes) -> Generator[tuple[bytes, bytes]]:
        """Each event as it was sent, with its data."""
        ...


class ServerSentEvents:
    """`text/event-stream`: an event ends at a blank line; lines end with LF, CRLF or CR.

    Source: the WHATWG HTML standard, section 9.2.6.
    """

    opaque = False
    ends: tuple[bytes, ...] = (b"\n\n",)

    def __init__(self) -> None:
        self.rest = b""

    def whole(self, chunk: bytes) -> bytes:
        data = self.rest + chunk if self.rest else chunk
        if data.endswith(self.ends):
            self.rest = b""
            return data
        end = max((blank.end() for blank in _BLANK_LINE.finditer(data)), default=0)
        self.rest = data[end:]
        return data[:end]

    def split(self, events: bytes) -> Generator[tuple[bytes, bytes]]:
        start = 0
        for blank in _BLANK_LINE.finditer(events):
            event = events[start : blank.end()]
            start = blank.end()
            yield event, _data_of(event)
        if start < len(events):
            yield events[start:], _data_of(events[start:])


def _data_of(event: bytes) -> bytes:
    """The event's data: its `data:` lines, joined."""
    lines = [
        line[5:].removeprefix(b" ") for line in event.splitlines() if line.startswith(b"data:")
    ]
    return b"\n".join(lines)


class Lines:
    """JSON lines (`application/x-ndjson`, `application/jsonl`): one event a line."""

    opaque = False
    ends: tuple[bytes, ...] = (b"\n",)

    def __init__(self) -> None:
        self.rest = b""

    def whole(self, chunk: bytes) -> bytes:
        data = self.rest + chunk if self.rest else chunk
        end = data.rfind(b"\n") + 1
        self.rest = data[end:]
        return data[:end]

    def split(self, events: bytes) -> Generator[tuple[bytes, bytes]]:
        for line in events.splitlines(keepends=True):
            yield line, line.strip()


class AwsEvents:
    """`application/vnd.amazon.eventstream`: lengths, headers, payload, checksums.

    Source: smithy.io/2.0/aws/amazon-eventstream.html. A Bedrock event's payload is JSON; that of
    InvokeModelWithResponseStream holds the model's own event, in base64, as `bytes`. An exception
    is given in the form of most providers' error events: `{"error": {"type": its name}}`.
    """

    PRELUDE: Final = 12
    CHECKSUM: Final = 4

    opaque = True
    ends: tuple[bytes, ...] = ()

    def __init__(self) -> None:
        self.rest = b""

    def whole(self, chunk: bytes) -> bytes:
        data = self.rest + chunk if self.rest else chunk
        end = 0
        while len(data) - end >= self.PRELUDE:
            (length,) = struct.unpack_from(">I", data, end)
            if length <= self.PRELUDE or end + length > len(data):
                break
            end += length
        self.rest = data[end:]
        return data[:end]

    def split(self, events: bytes) -> Generator[tuple[bytes, bytes]]:
        start = 0
        while start + self.PRELUDE < len(events):
            length, size = struct.unpack_from(">II", events, start)
            event = events[start : start + length]
            payload_at = self.PRELUDE + size
            exception = _EXCEPTION.search(event, self.PRELUDE, payload_at)
            if exception is None:
                yield event, _unwrapped(event[payload_at : -self.CHECKSUM])
            else:
                (named,) = struct.unpack_from(">H", event, exception.end())
                name = event[exception.end() + 2 : exception.end() + 2 + named]
                yield event, b'{"error":{"type":"%s"}}' % name
            start += length


_EXCEPTION: Final = re.compile(rb":exception-type\x07")
"""A header's name, and the type of its value: a string, which begins with its length."""


def _unwrapped(payload: bytes) -> bytes:
    """The model's own event, where the payload is a wrapper around one."""
    if b'"bytes"' not in payload:
        return payload
    try:
        inner = json.loads(payload)["bytes"]
        return base64.b64decode(inner)
    except (ValueError, KeyError, TypeError):
        return payload


_FRAMINGS: Final[dict[str, type[Framing]]] = {
    "text/event-stream": ServerSentEvents,
    "application/x-ndjson": Lines,
    "application/x-jsonl": Lines,
    "application/jsonl": Lines,
    "application/vnd.amazon.eventstream": AwsEvents,
}


def framing_of(content_type: str) -> Framing | None:
    """The framing of a body of this content type; `None` for a body that is one document."""
    framing = _FRAMINGS.get(content_type.partition(";")[0].strip().lower())
    return framing() if framing is not None else None
