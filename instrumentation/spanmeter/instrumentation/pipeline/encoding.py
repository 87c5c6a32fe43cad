"""OTLP's `Resource`, `InstrumentationScope` and `Span` as bytes.

Source of the field numbers: opentelemetry-proto 1.11, resource.proto, common.proto and trace.proto.
"""

import os
from collections.abc import Mapping
from functools import lru_cache
from typing import Final, Literal

from opentelemetry.trace import SpanKind

from spanmeter.instrumentation.pipeline.protobuf import field, varint
from spanmeter.instrumentation.pipeline.values import key_value, text

REVISION: Final = 1
"""Of what `_spans.c` is called with: one that is left of another version is not used."""


def _is_compiled() -> bool:
    """Whether `_spans.c` was compiled, in this revision, and is wanted."""
    if os.environ.get("SPANMETER_PURE_PYTHON", "0") not in {"", "0"}:
        return False
    try:
        from spanmeter.instrumentation.pipeline import _spans
    except ImportError:
        return False
    return _spans.REVISION == REVISION


ENCODER: Final[Literal["compiled", "python"]] = "compiled" if _is_compiled() else "python"
"""Which of the two encoders this process uses. They differ in nothing but speed."""

if ENCODER == "compiled":
    from spanmeter.instrumentation.pipeline._spans import encoded_attributes as _encoded_attributes
    from spanmeter.instrumentation.pipeline._spans import span as _span
else:
    from spanmeter.instrumentation.pipeline.python_spans import (
        encoded_attributes as _encoded_attributes,
    )
    from spanmeter.instrumentation.pipeline.python_spans import span as _span

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
    rest = b""
    if status or trace_state or dropped_attributes:
        rest = _rest(status, status_message, trace_state, dropped_attributes)
    own = attributes if isinstance(attributes, dict) else dict(attributes)
    written = _name(name)
    try:
        return _span(
            trace_id, span_id, parent_span_id, written, kind, start_ns, end_ns, encoded, own, rest,
            trace_flags, _other,
        )  # fmt: skip
    except (OverflowError, TypeError):
        # Times that applications have set themselves may be anything.
        start, end = _time(start_ns), _time(end_ns)
        return _span(
            trace_id, span_id, parent_span_id, written, kind, start, end, encoded, own, rest,
            trace_flags, _other,
        )  # fmt: skip


def encoded_attributes(attributes: Mapping[str, object]) -> bytes:
    """The attributes as fields of a `Span` message: within one, they belong to it."""
    own = attributes if isinstance(attributes, dict) else dict(attributes)
    return _encoded_attributes(own, _other)


def _rest(status: int, status_message: str, trace_state: str, dropped_attributes: int) -> bytes:
    """The fields that few spans have."""
    parts: list[bytes] = []
    if trace_state:
        parts.append(field(3, text(trace_state)))
    if dropped_attributes:
        parts.append(b"\x50" + varint(dropped_attributes))
    if status:
        message = field(2, text(status_message)) if status_message else b""
        parts.append(field(15, message + b"\x18" + varint(status)))
    return b"".join(parts)


def _other(name: str, value: object) -> bytes:
    """The field of an attribute that is no plain text, number or bool."""
    return field(9, key_value(name, value))


@lru_cache(maxsize=1024)
def _name(name: str) -> bytes:
    return field(5, text(name))


def _time(nanoseconds: float) -> int:
    return min(max(0, int(nanoseconds)), _MAX_TIME)
