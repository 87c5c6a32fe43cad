"""Each emitter's spans, made by the library itself, are metered to the provider's own numbers."""

from __future__ import annotations

from collections.abc import Mapping, Set
from typing import NamedTuple

import pytest

from golden.watching import watch
from simulated_provider import Served
from spanmeter.metering.usage_event import UsageEvent

CACHE = "cache_read_input_tokens"
REASONING = "reasoning_output_tokens"

PROVIDERS = {
    "openai": {"openai"},
    "anthropic": {"anthropic"},
    "bedrock": {"aws.bedrock"},
    "gemini": {"gcp.gemini", "gcp.gen_ai"},
    "mistral": {"mistral_ai"},
}
"""The wire that was spoken → what the provider may be called."""


class Emitter(NamedTuple):
    """What is known of an emitter beside its dialect.

    `place` is where it carries the tenant. `untold` are parts of a count that it leaves out for some
    calls. The calls at the places of `estimates` it counts itself, wholly or in part, and those of
    `unpriced` it gives a name to that no list has. `quality` is that of all other costs.
    """

    place: str = "tenant.id"
    untold: Set[str] = frozenset()
    estimates: Set[int] = frozenset()
    unpriced: Set[int] = frozenset()
    quality: str = "exact"
    fallback: Set[int] = frozenset()


EMITTERS: Mapping[str, Emitter] = {
    # The stream of Anthropic's adds up sums; the first part of Llama's name is left out.
    "openllmetry": Emitter(
        place="traceloop.association.properties.tenant_id",
        untold={REASONING},
        estimates={8},
        unpriced={14},
    ),
    # Two calls by InvokeModel whose cache nobody counts.
    "opentelemetry": Emitter(estimates={12, 13}),
    "openinference": Emitter(place="metadata/tenant_id"),
    "provider_sdks": Emitter(),
    "pydantic_ai": Emitter(),
    "logfire": Emitter(),
    "langfuse": Emitter(place="langfuse.trace.metadata.tenant_id", quality="fallback"),
    # A stream without usage, at two characters a token.
    "openlit": Emitter(untold={REASONING}, estimates={6}),
    "litellm": Emitter(),
    # Of embeddings it does not say who made them.
    "openinference_litellm": Emitter(place="metadata/tenant_id", fallback={5}),
    "vercel5": Emitter(place="ai.telemetry.metadata.tenantId", untold={CACHE, REASONING}),
    "vercel6": Emitter(place="ai.telemetry.metadata.tenantId"),
    "vercel7": Emitter(untold={REASONING}),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", EMITTERS)
def test_the_spans_of_an_emitter_are_metered_to_the_providers_numbers(name: str) -> None:
    watched, emitter = watch(name), EMITTERS[name]
    events = watched.events
    assert len(events) == len(watched.served)
    assert watched.replayed == events
    for place, (event, served) in enumerate(zip(events, watched.served, strict=True)):
        if place in emitter.estimates:
            assert event.usage_source == "estimate"
        else:
            check_usage(event, served, emitter)
            quality = "fallback" if place in emitter.fallback else emitter.quality
            check_cost(event, served, "unpriced" if place in emitter.unpriced else quality)
        check_names(event, served)
        if name != "vercel7":  # which has no place for it: the tenant is the process's, or baggage
            assert (event.tenant_id, event.attributed_by) == ("acme", emitter.place)


def check_usage(event: UsageEvent, served: Served, emitter: Emitter) -> None:
    """The row says what the provider has in its books, but for the parts that the emitter leaves out."""
    tokens = served.tokens
    assert event.usage_source == "provider"
    assert (event.input_tokens, event.output_tokens or 0) == (tokens.input, tokens.output)
    written = tokens.cache_write + tokens.cache_write_1h
    parts = {
        CACHE: (event.cache_read_input_tokens, tokens.cache_read),
        "cache_write_input_tokens": (event.cache_write_input_tokens, written),
        REASONING: (event.reasoning_output_tokens, tokens.reasoning),
    }
    for part, (told, counted) in parts.items():
        assert told == counted or (told is None and (not counted or part in emitter.untold)), part


def check_cost(event: UsageEvent, served: Served, quality: str) -> None:
    """The row costs what the provider charges, unless what the cache gave is not known."""
    assert event.cost_quality == quality
    known = event.cache_read_input_tokens is not None or not served.tokens.cache_read
    if event.cost is not None and known:
        assert event.cost == served.cost


def check_names(event: UsageEvent, served: Served) -> None:
    """The row names the provider that was asked, and its response."""
    assert event.provider in PROVIDERS[served.api.partition(".")[0]]
    if served.api != "bedrock.invoke":  # whose bodies have an id of their own
        assert event.response_id in {None, served.response_id}
