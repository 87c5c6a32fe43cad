"""What `_spans.c` does, in Python, for where it was not compiled: byte for byte the same."""

import os
import struct
from collections.abc import Callable
from typing import Final

from spanmeter.instrumentation.pipeline.frames import frame
from spanmeter.instrumentation.pipeline.protobuf import field, varint
from spanmeter.metering.attributes import PRODUCER_SEQUENCE

Fields = tuple[int, int, int, bytes, int, int, int, bytes, dict[str, object], bytes, int]
"""trace_id, span_id, parent_span_id, name, kind, start_ns, end_ns, encoded, attributes, rest and trace_flags of a
span: `name` and `encoded` are fields of the message that stand before, `rest` those that stand after the attributes."""

_ids: Final = struct.Struct(">BB16sBB8s").pack
_kind_and_times: Final = struct.Struct("<BBBQBQ").pack
_double: Final = struct.Struct("<cd").pack
_flags: Final = struct.Struct("<BBI").pack

_INT64: Final = range(-(1 << 63), 1 << 63)
_BITS: Final = (1 << 64) - 1


def encoded_attributes(
    attributes: dict[str, object], other: Callable[[str, object], bytes], /
) -> bytes:
    """The members as fields of a `Span` message; `other` is given a name and a value, and makes the field
    of what is no plain text, number or bool."""
    return b"".join(
        _attribute(name, value) or other(name, value) for name, value in attributes.items()
    )


def span(fields: Fields, sequence: int, other: Callable[[str, object], bytes], /) -> bytes:
    """A `Span` message; a `sequence` other than 0 is an attribute at its end. Raises `OverflowError` for a
    number that has no place in its field."""
    trace_id, span_id, parent_span_id, name, kind, start_ns, end_ns = fields[:7]
    encoded, attributes, rest, trace_flags = fields[7:]
    try:
        times = _kind_and_times(0x30, kind, 0x39, start_ns, 0x41, end_ns)
        flags = _flags(0x85, 0x01, trace_flags) if trace_flags else b""
    except struct.error as error:
        raise OverflowError(str(error)) from None
    ids = _ids(0x0A, 16, trace_id.to_bytes(16, "big"), 0x12, 8, span_id.to_bytes(8, "big"))
    parent = b"\x22\x08" + parent_span_id.to_bytes(8, "big") if parent_span_id else b""
    own = encoded_attributes(attributes, other)
    number = encoded_attributes({PRODUCER_SEQUENCE: sequence}, other) if sequence else b""
    return b"".join((ids, name, times, encoded, parent, own, rest, flags, number))


def append_frame(
    descriptor: int, at: int, room: int, kind: int, scope: int, payload: bytes, /
) -> int:
    """Writes a frame into a file, at a position: where it ends; 0 where that would be beyond `room`, and
    nothing is written. Raises `OSError`, and `OverflowError` for a number that has no place in its field."""
    try:
        framed = frame(kind, scope, payload)
    except struct.error as error:
        raise OverflowError(str(error)) from None
    end = at + len(framed)
    if end > room:
        return 0
    if os.pwrite(descriptor, framed, at) != len(framed):
        raise OSError("a frame was not written whole")
    return end


def _attribute(name: str, value: object) -> bytes:
    """The field of a plain value; nothing for any other."""
    try:
        any_value = _plain(value)
        return field(9, field(1, name.encode()) + field(2, any_value)) if any_value else b""
    except UnicodeEncodeError:
        return b""


def _plain(value: object) -> bytes:
    """The `AnyValue` of a plain value. Subclasses may be anything, and are left to others."""
    kind = type(value)
    if kind is str:
        return field(1, str.encode(value))  # type: ignore[arg-type]
    if kind is int and value in _INT64:
        return b"\x18" + varint(value & _BITS)  # type: ignore[operator]
    if kind is float:
        return _double(b"\x21", value)
    if kind is bool:
        return b"\x10\x01" if value else b"\x10\x00"
    return b""
