"""Spans as other libraries send them."""

from collections.abc import Mapping

from spanmeter.metering.span import AttributeValue, Span
from spanmeter.metering.usage_event import UsageEvent
from unit.metering.spans import METER, NOW, span

Attributes = Mapping[str, AttributeValue]
CLIENT = 3

ANTHROPIC: Attributes = {"gen_ai.system": "anthropic", "gen_ai.request.model": "claude-haiku-4-5"}
OPERATION: Attributes = {"gen_ai.operation.name": "chat"}
CACHED: Attributes = {
    "gen_ai.usage.input_tokens": 10,
    "gen_ai.usage.cache_read.input_tokens": 100,
    "gen_ai.usage.cache_creation.input_tokens": 50,
    "gen_ai.usage.output_tokens": 7,
}

USAGE: Attributes = {
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o-mini",
    "gen_ai.usage.input_tokens": 10,
    "gen_ai.usage.output_tokens": 5,
}


def sent(scope: str, *parts: Attributes, version: str = "", kind: int = CLIENT) -> Span:
    """A span of a scope with these attributes alone."""
    attributes = {name: value for part in parts for name, value in part.items()}
    return span()._replace(
        attributes=attributes, scope_name=scope, scope_version=version, kind=kind
    )


def event(scope: str, *parts: Attributes, version: str = "") -> UsageEvent:
    """The event of a span that is a call."""
    metered = METER.meter(sent(scope, *parts, version=version), NOW)
    assert metered is not None
    return metered
