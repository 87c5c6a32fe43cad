"""OTLP's `KeyValue` and `AnyValue` for whatever an application puts into an attribute.

Source of the field numbers: opentelemetry-proto 1.11, common.proto.
"""

import struct
from collections.abc import Iterable, Mapping, Sequence, Set
from typing import Final, cast

from spanmeter.instrumentation.pipeline.protobuf import field, varint

MAX_DEPTH: Final = 8
"""Lists and mappings nested deeper than this are written as text; so is one that holds itself."""

_INT64: Final = range(-(1 << 63), 1 << 63)
_double: Final = struct.Struct("<cd").pack


def key_value(name: str, value: object) -> bytes:
    """A `KeyValue` message."""
    return field(1, text(name)) + field(2, any_value(value))


def text(value: str) -> bytes:
    """UTF-8. What Unicode cannot encode, half of a surrogate pair, becomes U+FFFD."""
    try:
        return value.encode()
    except UnicodeEncodeError:
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode()


def any_value(value: object, depth: int = 0) -> bytes:
    """An `AnyValue` message. Whatever it is, it is written: as text, where OTLP has no such type."""
    match value:
        case None:
            return b""
        case bool():
            return b"\x10\x01" if value else b"\x10\x00"
        case int() if value in _INT64:
            return b"\x18" + varint(int(value) & 0xFFFF_FFFF_FFFF_FFFF)
        case float():
            return _double(b"\x21", value)
        case bytes() | bytearray() | memoryview():
            return field(7, bytes(cast("bytes", value)))
        case _:
            return _text_or_nested(value, depth)


def _text_or_nested(value: object, depth: int) -> bytes:
    original = value
    if isinstance(value, str):
        return field(1, text(value))
    if isinstance(value, Mapping) and depth < MAX_DEPTH:
        return field(6, _pairs(cast("Mapping[object, object]", value), depth + 1))
    if isinstance(value, Sequence | Set) and depth < MAX_DEPTH:
        items = cast("Iterable[object]", value)
        return field(5, b"".join(field(1, any_value(item, depth + 1)) for item in items))
    return field(1, text(_written(original)))


def _pairs(value: Mapping[object, object], depth: int) -> bytes:
    return b"".join(
        field(1, field(1, text(_written(name))) + field(2, any_value(item, depth)))
        for name, item in value.items()
    )


def _written(value: object) -> str:
    try:
        return str(value)
    except Exception:  # noqa: BLE001 - a value that cannot be written must not cost the record
        return f"<{type(value).__name__}>"
