"""One span as every decoder hands it to metering: plain values, no protocol types."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

Scalar = str | bool | int | float | bytes
AttributeValue = Scalar | Sequence["AttributeValue"] | Mapping[str, "AttributeValue"] | None
Attributes = Mapping[str, AttributeValue]


class Span(NamedTuple):
    """One finished span.

    `trace_id` is 16 bytes, `span_id` and `parent_span_id` 8 (the latter empty for a root span);
    times are nanoseconds since the Unix epoch. `resource` holds the attributes of the process that
    made it. `dropped_attributes` counts those that its SDK has left out for their number;
    `kind` is OTLP's number for it (3 is a client's).
    """

    trace_id: bytes
    span_id: bytes
    parent_span_id: bytes
    name: str
    start_ns: int
    end_ns: int
    failed: bool
    attributes: Attributes
    resource: Attributes
    scope_name: str
    scope_version: str
    dropped_attributes: int = 0
    kind: int = 0
