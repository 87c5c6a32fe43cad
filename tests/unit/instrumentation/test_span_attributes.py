"""What is put on a span at once is what the SDK itself would have put there."""

from __future__ import annotations

from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanLimits, TracerProvider
from opentelemetry.trace import INVALID_SPAN

from spanmeter.instrumentation.harvest.whole import keep_attributes
from spanmeter.instrumentation.span_attributes import put_attributes

FIRST = {"gen_ai.operation.name": "chat"}
PLAIN = {"text": "a" * 20, "count": 7, "share": 0.5, "flag": True, "gen_ai.operation.name": "other"}
LIMITS = {
    "none": SpanLimits(),
    "few attributes": SpanLimits(max_span_attributes=3),
    "as many as there are": SpanLimits(max_span_attributes=6),
    "no attributes": SpanLimits(max_span_attributes=0),
    "short values": SpanLimits(max_span_attribute_length=5),
}


def made(limits: SpanLimits, attributes: dict[str, Any], *, at_once: bool) -> ReadableSpan:
    """A span with the attributes, put there by us or by the SDK."""
    tracer = TracerProvider(span_limits=limits, shutdown_on_exit=False).get_tracer("test")
    span = tracer.start_span("chat", attributes=FIRST)
    if at_once:
        put_attributes(span, attributes)
    else:
        span.set_attributes(attributes)
    span.end()
    assert isinstance(span, ReadableSpan)
    return span


@pytest.mark.parametrize("limits", LIMITS.values(), ids=LIMITS)
@pytest.mark.parametrize("further", [{}, {"list": ["a", "b"]}, {"nothing": None}], ids=str)
def test_a_span_has_the_attributes_that_the_sdk_would_give_it(
    limits: SpanLimits, further: dict[str, Any]
) -> None:
    ours, sdks = (made(limits, {**PLAIN, **further}, at_once=each) for each in (True, False))
    assert dict(ours.attributes or {}) == dict(sdks.attributes or {})
    assert ours.dropped_attributes == sdks.dropped_attributes


def test_a_span_of_a_class_of_its_own_is_told() -> None:
    span = TracerProvider(shutdown_on_exit=False).get_tracer("test").start_span("chat")
    assert isinstance(span, Span)
    kept = keep_attributes(span, {})
    put_attributes(span, {"gen_ai.request.model": "gpt-4o"})
    assert kept == {"gen_ai.request.model": "gpt-4o"}


def test_where_the_sdk_keeps_them_elsewhere_it_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    span = TracerProvider(shutdown_on_exit=False).get_tracer("test").start_span("chat")
    assert isinstance(span, Span)

    class Elsewhere:
        def _set_items(self, attributes: dict[str, Any]) -> None:
            self.items = attributes

    monkeypatch.setattr(span, "_attributes", Elsewhere())
    put_attributes(span, PLAIN)
    assert vars(span)["_attributes"].items == PLAIN


def test_a_span_that_records_nothing_is_left() -> None:
    put_attributes(INVALID_SPAN, PLAIN)
    assert not INVALID_SPAN.is_recording()
