"""What Bedrock's answers say of usage: Converse in one form, InvokeModel in each model's own.

Source: docs.aws.amazon.com/bedrock/latest/APIReference (TokenUsage, InvokeModel) and
/userguide/prompt-caching.html: `inputTokens`, and the input count in headers and invocation
metrics, leave out what was read from or written to a cache.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from spanmeter.instrumentation.clients.anthropic_messages import message_attributes, said_in
from spanmeter.instrumentation.clients.bedrock_guardrails import guardrail_units
from spanmeter.instrumentation.clients.openai_completions import (
    completion_attributes,
    said_in_completion,
)
from spanmeter.instrumentation.endpoint import (
    Attributes,
    Endpoint,
    Json,
    Reading,
    counts,
    items,
    mapping,
)
from spanmeter.instrumentation.texts import texts_in
from spanmeter.metering import attributes as names

# The same count has one name in Converse, another in invocation metrics (ours for the headers too,
# and Nova's), and others in the bodies of Titan and Llama.
_INPUT: Final = ("inputTokens", "inputTokenCount", "inputTextTokenCount", "prompt_token_count")
_OUTPUT: Final = (
    "outputTokens",
    "outputTokenCount",
    "totalOutputTextTokenCount",
    "generation_token_count",
)
_READ: Final = ("cacheReadInputTokens", "cacheReadInputTokenCount")
_WRITTEN: Final = ("cacheWriteInputTokens", "cacheWriteInputTokenCount")
_COUNTS: Final = frozenset((*_INPUT, *_OUTPUT, *_READ, *_WRITTEN))

_METRICS: Final = "amazon-bedrock-invocationMetrics"

_HEADERS: Final = {
    "x-amzn-bedrock-input-token-count": "inputTokenCount",
    "x-amzn-bedrock-output-token-count": "outputTokenCount",
    "x-amzn-bedrock-cache-read-input-token-count": "cacheReadInputTokenCount",
    "x-amzn-bedrock-cache-write-input-token-count": "cacheWriteInputTokenCount",
}


def read_headers(headers: Mapping[str, str]) -> Reading:
    """The request id, which is the id in AWS's own logs, and what InvokeModel says in headers."""
    usage = {count: int(headers[header]) for header, count in _HEADERS.items() if header in headers}
    return Reading(
        response_id=headers.get("x-amzn-requestid"),
        service_tier=_tier(
            headers.get("x-amzn-bedrock-service-tier"),
            headers.get("x-amzn-bedrock-performanceconfig-latency"),
        ),
        usage=usage,
        # They come with an answer that is complete.
        last="outputTokenCount" in usage,
    )


def _tier(tier: str | None, latency: str | None) -> str | None:
    """The service tier; latency-optimized inference has prices of its own as a tier has."""
    return latency if latency == "optimized" and tier in {None, "default"} else tier


def read_converse(body: Json) -> Reading:
    """A whole answer of Converse, or an event of its stream: `metadata` has the usage."""
    usage = mapping(body.get("usage"))
    trace = mapping(body.get("trace"))
    router = mapping(trace.get("promptRouter"))
    error = _error(body)
    return Reading(
        model=model_name(router.get("invokedModelId")),
        service_tier=_tier(
            mapping(body.get("serviceTier")).get("type"),
            mapping(body.get("performanceConfig")).get("latency"),
        ),
        usage=usage,
        error=error,
        last=bool(usage) or error is not None,
        quantities=guardrail_units(trace),
    )


def read_invoked(body: Json) -> Reading:
    """A whole answer of a model, or an event of its stream; the last one has Bedrock's metrics."""
    metrics = mapping(body.get(_METRICS))
    holders = (body, mapping(body.get("message")), mapping(body.get("metadata")))
    usage: dict[str, Any] = {}
    for found in (*(mapping(holder.get("usage")) for holder in holders), metrics, body):
        own = found.items() if found is not body and found is not metrics else ()
        usage.update(own)
        usage.update((name, count) for name, count in found.items() if name in _COUNTS)
    images = items(body.get("images"))
    error = _error(body)
    return Reading(
        usage=usage,
        error=error,
        last=bool(metrics) or error is not None,
        quantities={
            **({"images": len(images)} if images else {}),
            **guardrail_units(mapping(body.get("amazon-bedrock-trace"))),
        },
    )


def read_invoked_and_model(body: Json) -> Reading:
    """As `read_invoked`, with the model's name of itself: where the id that was asked for does not
    tell."""
    model = body.get("model") or mapping(body.get("message")).get("model")
    return read_invoked(body)._replace(model=model)


def _error(body: Json) -> str | None:
    error = body.get("error")
    return str(mapping(error).get("type") or "error") if error else None


def token_attributes(usage: Json) -> Attributes:
    """Bedrock's counts, made inclusive."""
    plain, read, written = (_first(usage, among) for among in (_INPUT, _READ, _WRITTEN))
    return _attributes(
        usage, None if plain is None else plain + (read or 0) + (written or 0), read, written
    )


def openai_stream_attributes(usage: Json) -> Attributes:
    """Bedrock's counts in streams of OpenAI's models, whose input includes the cache against the
    documentation.

    Measured in maximhq/bifrost#6942 (2026-09): 4,995 tokens with 4,993 written, in a stream; 2 for
    the same prompt unstreamed. Where the input is too small to include them it does not.
    """
    plain, read, written = (_first(usage, among) for among in (_INPUT, _READ, _WRITTEN))
    cached = (read or 0) + (written or 0)
    inclusive = plain if plain is None or plain >= cached else plain + cached
    return _attributes(usage, inclusive, read, written)


def _attributes(
    usage: Json, inclusive: int | None, read: int | None, written: int | None
) -> Attributes:
    return counts(
        {
            names.INPUT_TOKENS: inclusive,
            names.CACHE_READ_INPUT_TOKENS: read,
            names.CACHE_WRITE_INPUT_TOKENS: written,
            **{
                names.cache_write(detail["ttl"]): detail.get("inputTokens")
                for detail in map(mapping, items(usage.get("cacheDetails")))
                if "ttl" in detail
            },
            names.OUTPUT_TOKENS: _first(usage, _OUTPUT),
        }
    )


def _first(usage: Json, among: Iterable[str]) -> int | None:
    return next((usage[name] for name in among if type(usage.get(name)) is int), None)


def invoked_attributes(usage: Json) -> Attributes:
    """The counts of the model's own usage block over Bedrock's: it has more of them."""
    attributes = token_attributes(usage)
    if "prompt_tokens" in usage:
        attributes |= completion_attributes(usage)
    elif "input_tokens" in usage:
        attributes |= message_attributes(usage)
    return attributes


def said_in_converse(event: Json) -> Iterable[str]:
    """What an event of a Converse stream, or a whole answer, says."""
    delta = mapping(event.get("delta"))
    message = mapping(mapping(event.get("output")).get("message"))
    for part in (delta, *map(mapping, items(message.get("content")))):
        reasoning = mapping(part.get("reasoningContent"))
        yield from texts_in(part)
        yield from texts_in(part.get("toolUse"))
        yield from texts_in(reasoning.get("reasoningText") or reasoning)


def said_in_invoked(event: Json) -> Iterable[str]:
    """What an event of a model's stream, or a whole answer, says, in any of the models' forms."""
    yield from said_in(event)
    yield from said_in_completion(event)
    yield from said_in_converse(mapping(event.get("contentBlockDelta")))
    yield from said_in_converse({"output": event.get("output")})
    for member in ("outputText", "generation", "outputs"):
        yield from texts_in(event.get(member))


def model_name(model_id: str | None) -> str | None:
    """A model's or inference profile's id, of an ARN of either; any other ARN as it is, whose
    resource has a name that tells nothing."""
    if model_id is None or not model_id.startswith("arn:"):
        return model_id
    kind, _, name = model_id.split(":", 5)[-1].partition("/")
    return name if kind in {"foundation-model", "inference-profile"} else model_id


_TELLING: Final = (b'"usage"', b'"error"')

CONVERSE: Final = Endpoint(
    names.CHAT,
    read_converse,
    read_converse,
    token_attributes,
    _TELLING,
    said=said_in_converse,
    read_headers=read_headers,
    output_limit=("inferenceConfig", "maxTokens"),
)
INVOKE: Final = Endpoint(
    names.CHAT,
    read_invoked,
    read_invoked,
    invoked_attributes,
    (*_TELLING, _METRICS.encode()),
    said=said_in_invoked,
    read_headers=read_headers,
)
