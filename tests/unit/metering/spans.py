"""Spans as an emitter would send them, and one meter for all tests."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from spanmeter.metering.meter import Meter
from spanmeter.metering.rates import Rates
from spanmeter.metering.span import AttributeValue, Span
from spanmeter.metering.usage_event import UsageEvent

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
RATES = Rates.pinned()
METER = Meter(RATES)

CHAT: Mapping[str, AttributeValue] = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o-mini",
    "gen_ai.usage.input_tokens": 1000,
    "gen_ai.usage.output_tokens": 200,
}
"""A chat of 0.00027 US dollars: 1000 x 0.15/1M + 200 x 0.60/1M."""

RESOURCE: Mapping[str, AttributeValue] = {
    "service.name": "api",
    "deployment.environment.name": "production",
}


def span(
    attributes: Mapping[str, AttributeValue] | None = None,
    *,
    without: tuple[str, ...] = (),
    began: datetime = NOW,
    lasted: timedelta = timedelta(seconds=2),
    failed: bool = False,
    resource: Mapping[str, AttributeValue] = RESOURCE,
) -> Span:
    """The chat, with `attributes` added and those of `without` left out."""
    merged = {**CHAT, **(attributes or {})}
    start_ns = round(began.timestamp()) * 10**9
    return Span(
        trace_id=bytes(range(16)),
        span_id=bytes(range(1, 9)),
        parent_span_id=b"",
        name="chat",
        start_ns=start_ns,
        end_ns=start_ns + lasted // timedelta(microseconds=1) * 1000,
        failed=failed,
        attributes={name: value for name, value in merged.items() if name not in without},
        resource=resource,
        scope_name="spanmeter.openai",
        scope_version="0.1.0",
    )


def metered(one: Span, now: datetime = NOW) -> UsageEvent:
    """The event of a span that is a call."""
    event = METER.meter(one, now)
    assert event is not None
    return event


def event_of(attributes: Mapping[str, AttributeValue] | None = None) -> UsageEvent:
    """The event of the chat with `attributes` added."""
    return metered(span(attributes))
