"""The little of protobuf's wire format that OTLP needs: varints, fields with a length, and a reader.

Source: protobuf.dev/programming-guides/encoding. Own code, since the base install of an application
should not pin a protobuf runtime, and since an object per attribute costs more than the record may.
"""

from collections.abc import Iterator
from typing import Final

VARINT: Final = 0
FIXED64: Final = 1
BYTES: Final = 2
FIXED32: Final = 5

_ONE_BYTE: Final = tuple(bytes((value,)) for value in range(128))
_TWO_BYTES: Final = tuple(bytes((value & 0x7F | 0x80, value >> 7)) for value in range(1 << 14))
_WIDTH: Final = {FIXED64: 8, FIXED32: 4}


class Malformed(ValueError):
    """The bytes are no protobuf message."""


def varint(value: int) -> bytes:
    """A number from 0 to 2**64 - 1."""
    if value < 128:
        return _ONE_BYTE[value]
    if value < 1 << 14:
        return _TWO_BYTES[value]
    encoded = bytearray()
    while value >= 128:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def field(number: int, value: bytes) -> bytes:
    """A field of bytes, text or a message."""
    return varint(number << 3 | BYTES) + varint(len(value)) + value


def fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Number and value of each field; fixed-width ones as the bytes they are. Raises `Malformed`."""
    position = 0
    while position < len(message):
        key, position = _read_varint(message, position)
        number, kind = key >> 3, key & 7
        if kind == VARINT:
            value, position = _read_varint(message, position)
            yield number, value
            continue
        if kind == BYTES:
            width, position = _read_varint(message, position)
        elif kind in _WIDTH:
            width = _WIDTH[kind]
        else:
            raise Malformed(f"field {number} has the unknown wire type {kind}")
        if position + width > len(message):
            raise Malformed(f"field {number} ends after the message")
        yield number, message[position : position + width]
        position += width


def _read_varint(message: bytes, position: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if position >= len(message):
            break
        byte = message[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 128:
            return value, position
    raise Malformed("a number does not end")
