"""How records lie in a file: one frame after the other, each telling whether it is whole.

A frame is a marker, a checksum, a length, a kind, the number of a scope, and a payload; integers are
little-endian. The process may be killed and the machine may lose power at any byte, so a reader
believes nothing that its checksum does not confirm, and finds the next frame by its marker.
"""

import struct
import zlib
from collections.abc import Iterator
from enum import IntEnum
from typing import Final, NamedTuple

MARKER: Final = b"\xf5SM\xfa"
"""0xF5 and 0xFA occur in no UTF-8, so text in a payload never looks like the beginning of a frame."""

_header: Final = struct.Struct("<4sIIHH")
_checked: Final = struct.Struct("<IHH")
HEADER_BYTES: Final = _header.size
_CHECKED_FROM: Final = 8

MAX_PAYLOAD: Final = 4 * 1024 * 1024
"""The largest record. The receiver takes requests of 16 MiB."""


class Kind(IntEnum):
    """What a payload is."""

    RESOURCE = 1
    """A `Resource` message: whose the records that follow are."""
    SCOPE = 2
    """An `InstrumentationScope` message, which the frames that follow name by its number."""
    RECORD = 3
    """A `Span` message."""
    REASON = 4
    """Text: why the records that follow were refused."""


class Frame(NamedTuple):
    kind: int
    scope: int
    payload: bytes
    end: int
    """Where the next frame begins."""
    skipped: int = 0
    """Bytes before this frame that are none."""


def frame(kind: int, scope: int, payload: bytes) -> bytes:
    """The bytes of a frame."""
    length = len(payload)
    checksum = zlib.crc32(payload, zlib.crc32(_checked.pack(length, kind, scope)))
    return _header.pack(MARKER, checksum, length, kind, scope) + payload


def frames(data: bytes, position: int = 0) -> Iterator[Frame]:
    """The whole frames from `position` on. Ends before a frame that is torn off."""
    expected = position
    while (position := data.find(MARKER, position)) >= 0:
        found = _frame_at(data, position, position - expected)
        if found is None:
            position += 1
            continue
        yield found
        expected = position = found.end


def missing(data: bytes, position: int) -> int:
    """How many more bytes the frame that begins at `position` needs; 0 where none begins there."""
    if not data.startswith(MARKER, position):
        return 0
    if position + HEADER_BYTES > len(data):
        return position + HEADER_BYTES - len(data)
    length = _header.unpack_from(data, position)[2]
    return max(0, position + HEADER_BYTES + length - len(data)) if length <= MAX_PAYLOAD else 0


def _frame_at(data: bytes, position: int, skipped: int) -> Frame | None:
    start = position + HEADER_BYTES
    if start > len(data):
        return None
    _, checksum, length, kind, scope = _header.unpack_from(data, position)
    end = start + length
    if length > MAX_PAYLOAD or end > len(data):
        return None
    payload = data[start:end]
    head = data[position + _CHECKED_FROM : start]
    if zlib.crc32(payload, zlib.crc32(head)) != checksum:
        return None
    return Frame(kind, scope, payload, end, skipped)
