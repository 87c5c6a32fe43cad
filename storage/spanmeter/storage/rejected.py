"""The span that could not become a row, kept so that it can be looked at and sent again."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from typing import NamedTuple

from spanmeter.storage import statements
from spanmeter.storage.connection import Connection

_SQL = statements.load("rejected")


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
    key_id: str | None = None


RejectedRow = tuple[bytes, str, str, bytes, bytes, str | None, bytes, str | None]


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
        span.key_id,
    )


def _storable(text: str) -> str:
    # text can hold neither NUL nor a lone surrogate.
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}").encode(errors="replace").decode()


class OpenSpan(NamedTuple):
    """A rejected span that has not become a row yet."""

    rejected_at: datetime
    payload_sha256: bytes
    reason: str
    payload: bytes
    key_id: str | None


def open_spans(
    connection: Connection, *, reason: str | None, since: datetime | None, size: int
) -> Iterator[list[OpenSpan]]:
    """Yield the open rejected spans in pages of `size`, oldest first; those rejected meanwhile are left out.

    A page may be closed before the next one is asked for.
    """
    after = since or datetime.min.replace(tzinfo=UTC), b""
    bounds = {"reason": reason, "size": size, "until": datetime.now(UTC)}
    while True:
        place = {"rejected_at": after[0], "payload_sha256": after[1]}
        rows = connection.execute(_SQL["open_spans"], {**bounds, **place}).fetchall()
        if not rows:
            return
        page = [OpenSpan._make(row) for row in rows]
        after = page[-1].rejected_at, page[-1].payload_sha256
        yield page


def close_spans(connection: Connection, spans: Sequence[OpenSpan], outcome: str) -> None:
    """Note that `spans` are open no more, and what became of them."""
    digests = [span.payload_sha256 for span in spans]
    connection.execute(_SQL["close_spans"], {"payload_sha256": digests, "outcome": outcome})


def has_reason(connection: Connection, reason: str) -> bool:
    """Return whether a span was ever rejected for this reason."""
    return connection.execute(_SQL["has_reason"], (reason,)).fetchone() == (True,)


def open_reasons(connection: Connection) -> dict[str, int]:
    """Return how many rejected spans are open, by reason, the most frequent first."""
    return dict(connection.execute(_SQL["open_reasons"]).fetchall())
