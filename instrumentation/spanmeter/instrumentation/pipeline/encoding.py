"""OTLP's `Resource`, `InstrumentationScope` and `Span` as bytes.

Source of the field numbers: opentelemetry-proto 1.11, resource.proto, common.proto and trace.proto.
"""

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Final, Literal, cast

from opentelemetry.trace import SpanKind

from spanmeter.instrumentation.compiled import compiled
from spanmeter.instrumentation.pipeline import python_spans
from spanmeter.instrumentation.pipeline.protobuf import field, varint
from spanmeter.instrumentation.pipeline.python_spans import Fields
from spanmeter.instrumentation.pipeline.values import key_value, text

_Other = Callable[[str, object], bytes]
_EncodeAttributes = Callable[[dict[str, object], _Other], bytes]
_EncodeSpan = Callable[[Fields, int, _Other], bytes]
_AppendFrame = Callable[[int, int, int, int, int, bytes], int]

REVISION: Final = 2
"""Of what `_spans.c` is called with: one that is left of another version is not used."""


_compiled: Final = compiled("spanmeter.instrumentation.pipeline._spans", REVISION)

ENCODER: Final[Literal["compiled", "python"]] = "python" if _compiled is None else "compiled"
"""Which of the two encoders this process uses. They differ in nothing but speed."""

_encoder: Final = python_spans if _compiled is None else _compiled
_encoded_attributes: Final[_EncodeAttributes] = _encoder.encoded_attributes
_span: Final[_EncodeSpan] = _encoder.span
append_frame: Final[_AppendFrame] = _encoder.append_frame

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


def span(fields: Fields, sequence: int) -> bytes:
    """A `Span` message. A parent of 0 is none; times are nanoseconds since 1970, kinds OTLP's numbers;
    `encoded` are further attributes (`encoded_attributes`), `rest` is what `rest` makes. A `sequence` other
    than 0 is that of its producer."""
    try:
        return _span(fields, sequence, _other)
    except (OverflowError, TypeError):
        # Times that applications have set themselves may be anything.
        *ids, kind, start, end, encoded, attributes, rest, flags = fields
        plain = (*ids, kind, _time(start), _time(end), encoded, attributes, rest, flags)
        return _span(cast("Fields", plain), sequence, _other)


def encoded_attributes(attributes: Mapping[str, object]) -> bytes:
    """The attributes as fields of a `Span` message: within one, they belong to it."""
    own = attributes if isinstance(attributes, dict) else dict(attributes)
    return _encoded_attributes(own, _other)


def rest(
    *,
    status: int = STATUS_UNSET,
    status_message: str = "",
    trace_state: str = "",
    dropped_attributes: int = 0,
) -> bytes:
    """The fields that few spans have; `status` is OTLP's number."""
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
def name(name: str) -> bytes:
    """The field of a span's name."""
    return field(5, text(name))


def _time(nanoseconds: float) -> int:
    return min(max(0, int(nanoseconds)), _MAX_TIME)
