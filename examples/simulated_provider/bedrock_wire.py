"""Amazon Bedrock's wire: what its endpoints share, and Converse, whole and streamed.

Source: docs.aws.amazon.com/bedrock/latest/APIReference (Converse, ConverseStream, TokenUsage) and
the service model in botocore. Signatures are not checked. `inputTokens` leaves out what was read
from or written to a cache.
"""

import math
import uuid
from collections.abc import Iterator, Mapping
from itertools import zip_longest
from typing import Any

from simulated_provider import aws_events
from simulated_provider.answers import Answer, compose, prompt_of, tokens
from simulated_provider.exchange import (
    JSON,
    Call,
    Endpoint,
    Event,
    Exchange,
    RefusedError,
    Wire,
    listed,
    section,
)
from simulated_provider.prices import BEDROCK, ListPrice, PriceList, Tokens
from simulated_provider.prompt_cache import Block, CacheUse, TimeToLive

PRICES = PriceList(BEDROCK)

_ERRORS: dict[int, tuple[str, str]] = {
    400: ("ValidationException", "The provided request is not valid."),
    403: ("AccessDeniedException", "You don't have access to the model with the specified id."),
    404: ("ResourceNotFoundException", "Could not resolve the foundation model."),
    408: ("ModelTimeoutException", "Model took too long to respond."),
    424: ("ModelErrorException", "The model failed while processing the request."),
    429: ("ThrottlingException", "Too many requests, please wait before trying again."),
    500: ("InternalServerException", "The system encountered an unexpected error."),
    503: ("ServiceUnavailableException", "The service is temporarily unavailable."),
}


def error_body(
    status: int,
    request_id: str,
    message: str | None = None,
    replaced: Mapping[str, Any] | None = None,
) -> JSON:
    """The body of an error response; its name is in a header."""
    error = {"message": message or _ERRORS.get(status, _ERRORS[500])[1]}
    return error if replaced is None else dict(replaced)


def error_headers(status: int) -> Mapping[str, str]:
    """The name of the error."""
    return {"x-amzn-errortype": _ERRORS.get(status, _ERRORS[500])[0]}


WIRE = Wire(
    request_id=lambda: str(uuid.uuid4()),
    headers=lambda request_id: {"x-amzn-requestid": request_id},
    error=error_body,
    error_headers=error_headers,
    stream_type=aws_events.STREAM_TYPE,
    encode=aws_events.encode,
)


def price_of(call: Call) -> ListPrice:
    """The price of a model, or of the inference profile it is asked for by. Raises
    RefusedError."""
    # A foundation model or a profile of AWS's own may be asked for by its ARN.
    price = PRICES.find(call.model.rpartition("/")[2])
    if price is None:
        raise RefusedError(400, "The provided model identifier is invalid.")
    return price


def failure(call: Call) -> list[Event]:
    """The exception with which a stream breaks off."""
    error = error_body(500, call.request_id, None, call.reply.error)
    return [Event(error, name="modelStreamErrorException")]


def converse(call: Call) -> Exchange:
    """POST /model/{modelId}/converse, and /converse-stream."""
    price = price_of(call)
    blocks = list(_blocks(call.body))
    answer = compose(
        "\n".join(block.text for block in blocks),
        text=call.reply.text,
        chunks=call.reply.chunks,
        limit=section(call.body, "inferenceConfig").get("maxTokens"),
    )
    cached = call.cache.explicit(price.response_model, blocks)
    usage: JSON = (
        _usage(sum(block.tokens for block in blocks), cached, answer)
        if call.reply.usage is None
        else dict(call.reply.usage)
    )
    end: JSON = {"metrics": {"latencyMs": 42}}
    if not call.reply.without_usage:
        end["usage"] = usage
    end |= _served_as(call)
    if section(call.body, "guardrailConfig").get("trace") == "enabled":
        end["trace"] = {"guardrail": _assessed("\n".join(block.text for block in blocks), answer)}
    message = {"role": "assistant", "content": [{"text": answer.text}]}
    reason = "max_tokens" if answer.truncated else "end_turn"
    return Exchange(
        price=price,
        response_id=call.request_id,
        usage=usage,
        tokens=billed(usage),
        body=end | {"output": {"message": message}, "stopReason": reason},
        events=list(_events(answer, reason, end)),
        failure=lambda sent: failure(call),
    )


def _served_as(call: Call) -> JSON:
    """The tier and the latency that were asked for, as far as they were granted."""
    tier = call.reply.service_tier or section(call.body, "serviceTier").get("type")
    latency = section(call.body, "performanceConfig").get("latency")
    return ({"serviceTier": {"type": tier}} if tier else {}) | (
        {"performanceConfig": {"latency": latency}} if latency else {}
    )


def guardrail_usage(text: str) -> JSON:
    """What a guardrail with a content and a word policy counts: a unit is up to 1,000 characters."""
    units = max(1, math.ceil(len(text) / 1000))
    return {
        "topicPolicyUnits": 0,
        "contentPolicyUnits": units,
        "wordPolicyUnits": units,
        "sensitiveInformationPolicyFreeUnits": units,
    }


def _assessed(prompt: str, answer: Answer) -> JSON:
    asked, said = (
        {"invocationMetrics": {"guardrailProcessingLatency": 42, "usage": guardrail_usage(text)}}
        for text in (prompt, answer.text)
    )
    return {"inputAssessment": {"abc123": asked}, "outputAssessments": {"abc123": [said]}}


def billed(usage: JSON) -> Tokens:
    """The tokens of a usage block. Writes without a time to live are five-minute ones."""
    read = usage.get("cacheReadInputTokens") or 0
    written = usage.get("cacheWriteInputTokens") or 0
    hour = sum(
        detail["inputTokens"] for detail in listed(usage, "cacheDetails") if detail["ttl"] == "1h"
    )
    return Tokens(
        input=usage.get("inputTokens", 0) + read + written,
        cache_read=read,
        cache_write=written - hour,
        cache_write_1h=hour,
        output=usage.get("outputTokens", 0),
    )


def _usage(size: int, cached: CacheUse, answer: Answer) -> JSON:
    usage: JSON = {
        "inputTokens": size - cached.total,
        "outputTokens": answer.output_tokens,
        "totalTokens": size + answer.output_tokens,
        "cacheReadInputTokens": cached.read,
        "cacheWriteInputTokens": cached.write + cached.write_1h,
    }
    by_ttl = {"1h": cached.write_1h, "5m": cached.write}
    details = [{"ttl": ttl, "inputTokens": size} for ttl, size in by_ttl.items() if size]
    return usage | {"cacheDetails": details} if details else usage


def _blocks(body: JSON) -> Iterator[Block]:
    """The prompt in the order in which it is cached: tools, system, messages."""
    yield from _marked(listed(section(body, "toolConfig"), "tools"))
    yield from _marked(listed(body, "system"))
    for message in listed(body, "messages"):
        yield from _marked(listed(message, "content"))


def _marked(parts: list[JSON]) -> Iterator[Block]:
    """The parts as blocks; one before a cache point is to be kept."""
    nothing: JSON = {}
    for part, following in zip_longest(parts, parts[1:], fillvalue=nothing):
        if "cachePoint" not in part:
            text = prompt_of(part)
            point = following.get("cachePoint")
            keep: TimeToLive | None = None
            if point is not None:
                keep = "1h" if point.get("ttl") == "1h" else "5m"
            yield Block(text, len(tokens(text)), keep)


def _events(answer: Answer, reason: str, end: JSON) -> Iterator[Event]:
    yield Event({"p": "abcd", "role": "assistant"}, "messageStart")
    for piece in answer.deltas:
        delta: JSON = {"contentBlockIndex": 0, "delta": {"text": piece}, "p": "abcdefgh"}
        yield Event(delta, "contentBlockDelta", delta=True)
    yield Event({"contentBlockIndex": 0, "p": "abc"}, "contentBlockStop")
    yield Event({"p": "abcdef", "stopReason": reason}, "messageStop")
    yield Event(end | {"p": "abcde"}, "metadata")


# `deployment` is the model's id: the provider may be told which model is behind an ARN.
ENDPOINTS = (
    Endpoint("/model/{deployment:path}/converse", "bedrock.converse", WIRE, converse),
    Endpoint(
        "/model/{deployment:path}/converse-stream", "bedrock.converse", WIRE, converse, streams=True
    ),
)
