"""OTLP's `Resource`, `InstrumentationScope` and `Span` as bytes.

Source of the field numbers: opentelemetry-proto 1.11, resource.proto, common.proto and trace.proto.
"""

import struct
from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from opentelemetry.trace import SpanKind

from spanmeter.instrumentation.pipeline.attribute_fields import put_attributes
from spanmeter.instrumentation.pipeline.protobuf import field, varint
from spanmeter.instrumentation.pipeline.values import key_value, text

STATUS_UNSET: Final = 0
STATUS_ERROR: Final = 2

KINDS: Final = {
    SpanKind.INTERNAL: 1,
    SpanKind.SERVER: 2,
    SpanKind.CLIENT: 3,
    SpanKind.PRODUCER: 4,
    SpanKind.CONSUMER: 5,
}
"""OTLP's numbers are one more than those of the API."""

_ids: Final = struct.Struct(">BB16sBB8s").pack
_kind_and_times: Final = struct.Struct("<BBBQBQ").pack
_flags: Final = struct.Struct("<BBI").pack

_MAX_TIME: Final = (1 << 64) - 1


def resource(attributes: Mapping[str, object]) -> bytes:
    """A `Resource` message."""
    return b"".join(field(1, key_value(name, value)) for name, value in attributes.items())


def scope(name: str, version: str = "") -> bytes:
    """An `InstrumentationScope` message."""
    return field(1, text(name)) + (field(2, text(version)) if version else b"")


def span(
    *,
    trace_id: int,
    span_id: int,
    name: str,
    kind: int,
    start_ns: int,
    end_ns: int,
    attributes: Mapping[str, object],
    encoded: bytes = b"",
    parent_span_id: int = 0,
    status: int = STATUS_UNSET,
    status_message: str = "",
    trace_state: str = "",
    trace_flags: int = 0,
    dropped_attributes: int = 0,
) -> bytes:
    """A `Span` message. A parent of 0 is none; `kind` and `status` are OTLP's numbers; times are
    nanoseconds since 1970. `encoded` are further attributes (`encoded_attributes`)."""
    ids = _ids(0x0A, 16, trace_id.to_bytes(16, "big"), 0x12, 8, span_id.to_bytes(8, "big"))
    try:
        times = _kind_and_times(0x30, kind, 0x39, start_ns, 0x41, end_ns)
    except struct.error:
        times = _kind_and_times(0x30, kind, 0x39, _time(start_ns), 0x41, _time(end_ns))
    parts = [ids, _name(name), times, encoded]
    if parent_span_id:
        parts.append(b"\x22\x08" + parent_span_id.to_bytes(8, "big"))
    if trace_state:
        parts.append(field(3, text(trace_state)))
    put_attributes(parts, attributes)
    if dropped_attributes:
        parts.append(b"\x50" + varint(dropped_attributes))
    if status:
        message = field(2, text(status_message)) if status_message else b""
        parts.append(field(15, message + b"\x18" + varint(status)))
    if trace_flags:
        parts.append(_flags(0x85, 0x01, trace_flags))
    return b"".join(parts)


@lru_cache(maxsize=1024)
def _name(name: str) -> bytes:
    return field(5, text(name))


def _time(nanoseconds: int) -> int:
    return min(max(0, nanoseconds), _MAX_TIME)
