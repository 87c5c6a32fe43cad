"""Anthropic's wire: messages, whole and streamed (also with `?beta=true`).

Source: "Messages", "Streaming messages", "Prompt caching" and "Errors" at platform.claude.com/docs.
`input_tokens` leaves out what was read from or written to the cache; the usage of `message_delta`
is cumulative, and the output count of `message_start` is only a beginning.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

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
    new_id,
    section,
)
from simulated_provider.prices import ANTHROPIC, PriceList, Tokens
from simulated_provider.prompt_cache import Block, CacheUse, TimeToLive

PRICES = PriceList(ANTHROPIC)

# What `message_delta` repeats of the usage (MessageDeltaUsage; `iterations` in beta).
_CUMULATIVE = (
    "input_tokens",
    "cache_creation_input_tokens",
    "cache_read_input_tokens",
    "output_tokens",
    "output_tokens_details",
    "server_tool_use",
    "iterations",
)

# Known only when the answer is complete.
_FINAL_ONLY = ("output_tokens_details", "server_tool_use", "iterations")

_ERRORS: dict[int, tuple[str, str]] = {
    400: ("invalid_request_error", "Invalid request."),
    401: ("authentication_error", "invalid x-api-key"),
    403: ("permission_error", "Your API key may not use this resource."),
    404: ("not_found_error", "Not found."),
    413: ("request_too_large", "Request exceeds the maximum size."),
    429: ("rate_limit_error", "This request would exceed your organization's rate limit."),
    500: ("api_error", "Internal server error"),
    529: ("overloaded_error", "Overloaded"),
}


def error_body(
    status: int,
    request_id: str,
    message: str | None = None,
    replaced: Mapping[str, Any] | None = None,
) -> JSON:
    """The body of an error response; also the data of a mid-stream `error` event."""
    kind, default = _ERRORS.get(status, ("api_error", "The request failed."))
    error = {"type": kind, "message": message or default}
    return {
        "type": "error",
        "error": error if replaced is None else dict(replaced),
        "request_id": request_id,
    }


def headers(request_id: str) -> Mapping[str, str]:
    """The headers that Anthropic adds to every answer."""
    return {
        "request-id": request_id,
        "anthropic-organization-id": "5e3b1f0a-0000-4000-8000-000000000000",
        "anthropic-ratelimit-requests-limit": "4000",
        "anthropic-ratelimit-requests-remaining": "3999",
        "anthropic-ratelimit-requests-reset": "2026-01-01T00:00:00Z",
        "anthropic-ratelimit-input-tokens-limit": "2000000",
        "anthropic-ratelimit-input-tokens-remaining": "1999000",
        "anthropic-ratelimit-output-tokens-limit": "400000",
        "anthropic-ratelimit-output-tokens-remaining": "399000",
    }


WIRE = Wire(request_id=lambda: new_id("req_011", 21), headers=headers, error=error_body)


def messages(call: Call) -> Exchange:
    """POST /v1/messages."""
    price = call.price(PRICES)
    limit = call.body.get("max_tokens")
    if not isinstance(limit, int):
        raise RefusedError(400, "max_tokens: Field required")
    blocks = list(_blocks(call.body))
    answer = compose(
        "\n".join(block.text for block in blocks),
        text=call.reply.text,
        chunks=call.reply.chunks,
        limit=limit,
    )
    cached = call.cache.explicit(price.response_model, blocks)
    usage: JSON = (
        _usage(call, sum(block.tokens for block in blocks), cached, answer)
        if call.reply.usage is None
        else dict(call.reply.usage)
    )
    body: JSON = {
        "model": price.response_model,
        "id": new_id("msg_01", 22),
        "type": "message",
        "role": "assistant",
        "content": [{"type": "text", "text": answer.text}],
        "stop_reason": "max_tokens" if answer.truncated else "end_turn",
        "stop_sequence": None,
        "usage": {} if call.reply.without_usage else usage,
    }
    failure = Event(error_body(529, call.request_id, None, call.reply.error), name="error")
    return Exchange(
        price=price,
        response_id=body["id"],
        usage=usage,
        tokens=billed(usage),
        body=body,
        events=[
            Event(d, d["type"], d["type"] == "content_block_delta")
            for d in _events(call, body, answer)
        ],
        failure=lambda sent: [failure],
        further=[
            _advice(call, body["id"], part)
            for part in listed(usage, "iterations")
            if part["type"] == "advisor_message"
        ],
    )


def _advice(call: Call, response_id: str, usage: JSON) -> Exchange:
    """What the model that is asked for advice has used: billed at its own prices."""
    price = call.price_of(PRICES, usage["model"])
    return Exchange(price, response_id, usage, _tokens(usage), {})


def billed(usage: JSON) -> Tokens:
    """The tokens of a usage block, and of the compactions beside its totals (`BetaUsage`)."""
    parts = [part for part in listed(usage, "iterations") if part["type"] == "compaction"]
    return sum(map(_tokens, parts), _tokens(usage))


def _tokens(usage: JSON) -> Tokens:
    """Tokens of a block without iterations. Writes without a time to live are five-minute ones."""
    read = usage.get("cache_read_input_tokens") or 0
    written = usage.get("cache_creation_input_tokens") or 0
    hour = section(usage, "cache_creation").get("ephemeral_1h_input_tokens") or 0
    details = section(usage, "output_tokens_details")
    return Tokens(
        input=usage.get("input_tokens", 0) + read + written,
        cache_read=read,
        cache_write=written - hour,
        cache_write_1h=hour,
        output=usage.get("output_tokens", 0),
        reasoning=details.get("thinking_tokens") or 0,
    )


def _usage(call: Call, size: int, cached: CacheUse, answer: Answer) -> JSON:
    return {
        "input_tokens": size - cached.total,
        "cache_creation_input_tokens": cached.write + cached.write_1h,
        "cache_read_input_tokens": cached.read,
        "cache_creation": {
            "ephemeral_5m_input_tokens": cached.write,
            "ephemeral_1h_input_tokens": cached.write_1h,
        },
        "output_tokens": answer.output_tokens,
        "service_tier": call.reply.service_tier or "standard",
    }


def _blocks(body: JSON) -> Iterator[Block]:
    """The prompt in the order in which it is cached: tools, system, messages."""
    for tool in listed(body, "tools"):
        yield _block(json.dumps(tool, sort_keys=True), tool)
    yield from _content_blocks(body.get("system") or [])
    for message in listed(body, "messages"):
        yield from _content_blocks(message.get("content") or [])


def _content_blocks(content: Any) -> Iterator[Block]:
    if isinstance(content, str):
        yield _block(content, {})
    else:
        for part in content:
            yield _block(prompt_of(part), part)


def _block(text: str, part: JSON) -> Block:
    control = part.get("cache_control")
    keep: TimeToLive | None = None
    if control is not None:
        keep = "1h" if control.get("ttl") == "1h" else "5m"
    return Block(text, len(tokens(text)), keep)


def _events(call: Call, body: JSON, answer: Answer) -> Iterator[JSON]:
    started: JSON = body | {"content": [], "stop_reason": None, "usage": _start_usage(call, body)}
    yield {"type": "message_start", "message": started}
    block = {"type": "text", "text": ""}
    yield {"type": "content_block_start", "index": 0, "content_block": block}
    yield {"type": "ping"}
    for piece in answer.deltas:
        delta = {"type": "text_delta", "text": piece}
        yield {"type": "content_block_delta", "index": 0, "delta": delta}
    yield {"type": "content_block_stop", "index": 0}
    yield {
        "type": "message_delta",
        "delta": {"stop_reason": body["stop_reason"], "stop_sequence": None},
        "usage": {key: body["usage"][key] for key in _CUMULATIVE if key in body["usage"]},
    }
    yield {"type": "message_stop"}


def _start_usage(call: Call, body: JSON) -> JSON:
    """The usage of `message_start`: the input side, and a first few output tokens."""
    if call.reply.start_usage is not None:
        return dict(call.reply.start_usage)
    usage: JSON = {key: count for key, count in body["usage"].items() if key not in _FINAL_ONLY}
    if "output_tokens" in usage:
        usage["output_tokens"] = min(3, usage["output_tokens"])
    return usage


ENDPOINTS: Sequence[Endpoint] = (Endpoint("/v1/messages", "anthropic.messages", WIRE, messages),)
