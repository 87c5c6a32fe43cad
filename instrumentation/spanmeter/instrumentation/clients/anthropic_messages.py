"""Anthropic's messages, the results of its batches, and the completions before them.

Usage blocks: platform.claude.com/docs/en/api/messages. `input_tokens` is exclusive here: cache
reads and writes stand beside it and are added. In a stream `message_start` carries a first usage,
and each `message_delta` a cumulative one, which replaces what it names.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Final

from spanmeter.instrumentation.endpoint import (
    Attributes,
    Endpoint,
    Json,
    Reading,
    counts,
    items,
    mapping,
    reads,
)
from spanmeter.instrumentation.texts import prompt_of, texts_in
from spanmeter.metering import attributes as names

NO_REGION: Final = "not_available"
"""What `inference_geo` says of models that cannot be bound to a region."""

ADVISOR: Final = "advisor_message"
COMPACTION: Final = "compaction"
FALLBACK: Final = "fallback_message"
"""Kinds of iterations. A compaction's tokens, and those of an advisor, which is another model, are
not in the totals of the usage; what a fallback model has answered is. Sources: `BetaUsage` in the
API reference, and platform.claude.com/docs/en/agents-and-tools/tool-use/advisor-tool."""


@reads("id", "model", "usage", "error")
def read_message(body: Json) -> Reading:
    """A whole message."""
    usage = mapping(body.get("usage"))
    return _read_usage(usage)._replace(
        response_id=body.get("id"),
        model=_fallback(usage) or body.get("model"),
        error=_error(body),
    )


def read_event(event: Json) -> Reading:
    """An event of a streamed message."""
    kind = event.get("type")
    if kind == "message_start":
        return read_message(mapping(event.get("message")))
    if kind == "message_delta":
        usage = mapping(event.get("usage"))
        return _read_usage(usage)._replace(model=_fallback(usage))
    return Reading(error=_error(event), last=kind in {"message_stop", "error"})


def _read_usage(usage: Json) -> Reading:
    region = usage.get("inference_geo")
    # Fast mode has prices of its own, as a tier has.
    tier = "fast" if usage.get("speed") == "fast" else usage.get("service_tier")
    return Reading(
        service_tier=tier,
        usage=usage,
        region=None if region == NO_REGION else region,
        beside=tuple(
            Reading(model=advice.get("model"), usage=advice)
            for advice in _iterations(usage, ADVISOR)
        ),
    )


def _fallback(usage: Json) -> str | None:
    """The model that has answered in place of the one that was asked."""
    return next((each.get("model") for each in _iterations(usage, FALLBACK)), None)


def _iterations(usage: Json, kind: str) -> list[Json]:
    entries = map(mapping, items(usage.get("iterations")))
    return [entry for entry in entries if entry.get("type") == kind]


def _error(body: Json) -> str | None:
    error = body.get("error")
    return str(mapping(error).get("type") or "error") if error else None


def message_attributes(usage: Json) -> Attributes:
    """`Usage`, made inclusive, with the compactions that its totals leave out."""
    parts = (usage, *_iterations(usage, COMPACTION))
    plain = _sum(parts, "input_tokens")
    read = _sum(parts, "cache_read_input_tokens")
    written = _sum(parts, "cache_creation_input_tokens")
    tools = mapping(usage.get("server_tool_use"))
    return counts(
        {
            names.INPUT_TOKENS: None if plain is None else plain + (written or 0) + (read or 0),
            names.CACHE_READ_INPUT_TOKENS: read,
            names.CACHE_WRITE_INPUT_TOKENS: written,
            **_written_by_ttl(parts, written or 0),
            names.OUTPUT_TOKENS: _sum(parts, "output_tokens"),
            names.REASONING_OUTPUT_TOKENS: mapping(usage.get("output_tokens_details")).get(
                "thinking_tokens"
            ),
            names.quantity("web_searches"): tools.get("web_search_requests") or None,
            names.quantity("web_fetches"): tools.get("web_fetch_requests") or None,
        }
    )


def _written_by_ttl(parts: Iterable[Json], written: int) -> Mapping[str, int | None]:
    """Cache writes by time-to-live, unless a later event has revised the sum and not these."""
    split = [mapping(part.get("cache_creation")) for part in parts]
    by_ttl = {ttl: _sum(split, f"ephemeral_{ttl}_input_tokens") for ttl in ("5m", "1h")}
    if sum(tokens or 0 for tokens in by_ttl.values()) > written:
        return {}
    return {names.cache_write(ttl): tokens for ttl, tokens in by_ttl.items()}


def _sum(parts: Iterable[Json], name: str) -> int | None:
    """The sum over what reports the count at all."""
    found = [part[name] for part in parts if type(part.get(name)) is int]
    return sum(found) if found else None


def said_in(event: Json) -> Iterable[str]:
    """What an event of a streamed message, or a whole one, says."""
    yield from texts_in(event.get("delta"))
    yield from texts_in(event.get("content_block"))
    yield from texts_in(event.get("content"))


def read_result(line: Json) -> Reading:
    """A line of a batch's results; those that failed, expired or were cancelled cost nothing."""
    reading = read_message(mapping(mapping(line.get("result")).get("message")))
    return reading._replace(service_tier="batch")


def read_nothing(body: Json) -> Reading:
    """For what holds usage in its lines only."""
    return Reading()


def read_completion(body: Json) -> Reading:
    """A completion of the time before messages, or an event of one: without any usage."""
    return Reading(
        response_id=body.get("id"),
        model=body.get("model"),
        error=_error(body),
        last=bool(body.get("stop_reason")),
    )


def said_in_completion(body: Json) -> Iterable[str]:
    """What a completion, or an event of one, says."""
    yield from texts_in(body.get("completion"))


def _no_usage(usage: Json) -> Attributes:
    return {}


def without_model(endpoint: Endpoint) -> Endpoint:
    """The endpoint where the id that was asked for, and not the name in the answer, tells the price
    that a model is served at: Bedrock's geographies."""

    def nameless(read: Callable[[Json], Reading]) -> Callable[[Json], Reading]:
        return lambda body: read(body)._replace(model=None)

    return endpoint._replace(read=nameless(endpoint.read), read_event=nameless(endpoint.read_event))


MESSAGES: Final = Endpoint(
    names.CHAT,
    read_message,
    read_event,
    message_attributes,
    (b"message_start", b"message_delta", b"message_stop", b'"error"'),
    prompt_of,
    said_in,
)
ENDPOINTS: Final = {
    "POST /v1/messages": MESSAGES,
    "GET /v1/messages/batches/*/results": Endpoint(
        names.FETCH_RESPONSE,
        read_nothing,
        read_nothing,
        message_attributes,
        fetches=True,
        results=read_result,
    ),
    "POST /v1/complete": Endpoint(
        names.TEXT_COMPLETION,
        read_completion,
        read_completion,
        _no_usage,
        (b'"stop_reason"', b'"error"'),
        prompt_of,
        said_in_completion,
    ),
}
