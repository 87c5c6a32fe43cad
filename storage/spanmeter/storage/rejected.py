"""The span that could not become a row, kept so that it can be looked at and sent again."""

from hashlib import sha256
from typing import NamedTuple


class RejectedSpan(NamedTuple):
    """One span that was refused: a snake_case `reason`, the `detail` in a sentence, the span.

    `payload` is an OTLP ExportTraceServiceRequest with this one span, its resource and scope; the
    same payload delivered again is not a second row. The ids are as they came, of any length.
    """

    reason: str
    detail: str
    trace_id: bytes
    span_id: bytes
    tenant_id: str | None
    payload: bytes


RejectedRow = tuple[bytes, str, str, bytes, bytes, str | None, bytes]


def as_row(span: RejectedSpan) -> RejectedRow:
    """Return the row of `rejected_spans`, such that PostgreSQL takes it whatever the span holds."""
    return (
        sha256(span.payload).digest(),
        _storable(span.reason),
        _storable(span.detail),
        span.trace_id,
        span.span_id,
        None if span.tenant_id is None else _storable(span.tenant_id),
        span.payload,
    )


def _storable(text: str) -> str:
    # text can hold neither NUL nor a lone surrogate.
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}").encode(errors="replace").decode()
