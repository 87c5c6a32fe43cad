"""When a call was made, and its place in its trace: what makes a row itself."""

from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from spanmeter.metering.span import Span
from spanmeter.metering.unmeterable import Unmeterable

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
NO_TRACE: Final = bytes(16)
NO_SPAN: Final = bytes(8)

LONGEST_NS: Final = 7 * 86_400 * 10**9
"""A week: providers end a call within hours, and laptops that sleep during one wake up."""


class When(NamedTuple):
    """The first columns of the row."""

    time: datetime
    trace_id: bytes
    span_id: bytes
    parent_span_id: bytes | None


def read_when(span: Span, now: datetime, max_age: timedelta, max_ahead: timedelta) -> When:
    """The identity of the span's row.

    Raises `Unmeterable` for ids that identify nothing, and for a clock that cannot be right: a span
    that began more than `max_age` before or `max_ahead` after `now`, or lasted longer than any call.
    """
    trace_id, span_id, parent = span[:3]
    if len(trace_id) != 16 or trace_id == NO_TRACE:
        raise _bad_id("trace_id", trace_id, 16)
    if len(span_id) != 8 or span_id == NO_SPAN:
        raise _bad_id("span_id", span_id, 8)
    if parent and len(parent) != 8:
        raise _bad_id("parent_span_id", parent, 8)
    time = _moment(span.start_ns)
    if not now - max_age <= time <= now + max_ahead:
        raise Unmeterable(
            "bad_time",
            f"the span began at {time.isoformat()}, outside of the {max_age.days} days before and "
            f"{max_ahead} after its receipt",
        )
    if span.end_ns - span.start_ns > LONGEST_NS:
        raise Unmeterable("bad_time", f"the span lasted {span.end_ns - span.start_ns} ns")
    # Emitters say in both ways that a span is the root of its trace.
    return When(time, trace_id, span_id, None if not parent or parent == NO_SPAN else parent)


def _bad_id(name: str, value: bytes, size: int) -> Unmeterable:
    return Unmeterable(
        "bad_id", f"{name} is {value[:32].hex()!r}; {size} bytes, not all zero, are needed"
    )


def _moment(ns: int) -> datetime:
    try:
        return EPOCH + timedelta(microseconds=ns // 1000)
    except OverflowError:
        raise Unmeterable("bad_time", "the span began after the year 9999") from None
