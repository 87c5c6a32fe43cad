"""Amazon Bedrock's wire: InvokeModel, whole and streamed, in each model's own form.

Source: docs.aws.amazon.com/bedrock/latest/APIReference (InvokeModel) and /userguide (inference
parameters of Claude, Llama, Titan Embeddings and Nova Canvas). The counts are in headers, or in the
metrics that Bedrock adds to the last event of a stream; what a cache had is not in the input count.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import cast

from simulated_provider import anthropic_wire, aws_events, bedrock_wire, cohere_wire
from simulated_provider.answers import compose, tokens
from simulated_provider.exchange import JSON, Call, Endpoint, Event, Exchange, RefusedError, section
from simulated_provider.prices import Tokens

CLAUDE = ("claude-haiku-4-5", "claude-sonnet-4-5")
"""Anthropic's names of the models, which are parts of Bedrock's ids."""


def invoke(call: Call) -> Exchange:
    """POST /model/{modelId}/invoke."""
    price = bedrock_wire.price_of(call)
    model = price.response_model
    if "claude" in model:
        exchange = _claude(call, model)
    elif "embed" in model:
        exchange = _titan_embedding(call)
    elif "canvas" in model:
        exchange = _canvas(call)
    elif "cohere" in model:
        exchange = _command(call)
    else:
        exchange = _llama(call)

    def failure(sent: int) -> Sequence[Event]:
        return bedrock_wire.failure(call)

    return replace(
        exchange,
        price=price,
        response_id=call.request_id,
        failure=failure,
        headers={**exchange.headers, **_tier_header(call)},
    )


def stream(call: Call) -> Exchange:
    """POST /model/{modelId}/invoke-with-response-stream, whose headers have no counts."""
    exchange = invoke(call)
    if not exchange.events:
        raise RefusedError(400, "The model is unsupported for streaming.")
    return replace(exchange, headers=_tier_header(call))


def _claude(call: Call, model: str) -> Exchange:
    """Anthropic's own answer, the version that it requires in the body apart."""
    if "anthropic_version" not in call.body:
        raise RefusedError(400, "anthropic_version: Field required")
    name = next(name for name in CLAUDE if name in model)
    exchange = anthropic_wire.messages(replace(call, deployed=name))
    usage = exchange.usage
    counted = metrics(
        usage.get("input_tokens", 0),
        usage.get("output_tokens", 0),
        usage.get("cache_read_input_tokens", 0),
        usage.get("cache_creation_input_tokens", 0),
    )
    return replace(
        exchange,
        usage=usage | counted,
        events=_chunks(exchange.events, counted),
        headers=headers_of(counted),
    )


def _llama(call: Call) -> Exchange:
    prompt = str(call.body.get("prompt", ""))
    answer = compose(
        prompt,
        text=call.reply.text,
        chunks=call.reply.chunks,
        limit=call.body.get("max_gen_len", 512),
    )
    given, made = len(tokens(prompt)), answer.output_tokens
    counted = metrics(given, made)
    usage = {"prompt_token_count": given, "generation_token_count": made}
    reason = {"stop_reason": "length" if answer.truncated else "stop"}
    none: JSON = {"generation_token_count": None, "stop_reason": None, "prompt_token_count": None}
    events = [Event(none | {"generation": piece}, delta=True) for piece in answer.deltas]
    last = Event(usage | reason | {"generation": ""})
    return _plain(
        call,
        usage | reason | {"generation": answer.text},
        usage | counted,
        counted,
        _chunks([*events, last], counted),
    )


def _command(call: Call) -> Exchange:
    """The answer of Cohere's own first API, without what it says of usage."""
    exchange = cohere_wire.chat_v1(replace(call, deployed="command-r-08-2024"))
    counted = metrics(exchange.tokens.input, exchange.tokens.output)
    body = {name: value for name, value in exchange.body.items() if name != "meta"}
    *said, end = exchange.events
    last = Event({**cast(JSON, end.data), "response": body})
    return replace(
        exchange,
        usage=counted,
        body=body,
        events=_chunks([*said, last], counted),
        headers=headers_of(counted),
    )


def _titan_embedding(call: Call) -> Exchange:
    size = len(tokens(str(call.body.get("inputText", ""))))
    usage = {"inputTextTokenCount": size}
    body: JSON = usage | {"embedding": [0.25, -0.5, 0.75]}
    return _plain(call, body, usage | {"inputTokenCount": size}, {"inputTokenCount": size}, [])


def _canvas(call: Call) -> Exchange:
    """Images, of which no tokens are counted."""
    count: int = section(call.body, "imageGenerationConfig").get("numberOfImages", 1)
    return _plain(call, {"images": ["iVBORw0KGgo="] * count}, {}, {}, [])


def _plain(
    call: Call, body: JSON, usage: JSON, counted: Mapping[str, int], events: list[Event]
) -> Exchange:
    return Exchange(
        price=bedrock_wire.price_of(call),
        response_id=call.request_id,
        usage=usage,
        tokens=Tokens(
            input=counted.get("inputTokenCount", 0), output=counted.get("outputTokenCount", 0)
        ),
        body=body,
        events=events,
        headers=headers_of(counted),
    )


def metrics(given: int, made: int, read: int = 0, written: int = 0) -> dict[str, int]:
    """The counts among Bedrock's invocation metrics; those of a cache only where it was used."""
    counted = {"inputTokenCount": given, "outputTokenCount": made}
    if read or written:
        counted |= {"cacheReadInputTokenCount": read, "cacheWriteInputTokenCount": written}
    return counted


_HEADERS = {
    "inputTokenCount": "x-amzn-bedrock-input-token-count",
    "outputTokenCount": "x-amzn-bedrock-output-token-count",
    "cacheReadInputTokenCount": "x-amzn-bedrock-cache-read-input-token-count",
    "cacheWriteInputTokenCount": "x-amzn-bedrock-cache-write-input-token-count",
}


def headers_of(counted: Mapping[str, int]) -> Mapping[str, str]:
    """The counts as headers of a whole answer."""
    counts = {_HEADERS[name]: str(count) for name, count in counted.items()}
    return counts | {"x-amzn-bedrock-invocation-latency": "42"}


def _tier_header(call: Call) -> Mapping[str, str]:
    tier = call.reply.service_tier
    return {"x-amzn-bedrock-service-tier": tier} if tier else {}


def _chunks(events: Sequence[Event], counted: Mapping[str, int]) -> list[Event]:
    """The model's events, wrapped; the last one with Bedrock's metrics."""
    measured = {"invocationLatency": 42, "firstByteLatency": 7, **counted}
    chunks: list[Event] = []
    for event in events:
        data = cast(JSON, event.data)
        if event is events[-1]:
            data = data | {"amazon-bedrock-invocationMetrics": measured}
        chunks.append(Event(aws_events.wrapped(data), "chunk", event.delta))
    return chunks


ENDPOINTS = (
    Endpoint("/model/{deployment:path}/invoke", "bedrock.invoke", bedrock_wire.WIRE, invoke),
    Endpoint(
        "/model/{deployment:path}/invoke-with-response-stream",
        "bedrock.invoke",
        bedrock_wire.WIRE,
        stream,
        streams=True,
    ),
)
