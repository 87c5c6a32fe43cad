"""OpenAI's wire: the Responses API, whole and as its sequence of named events.

Source: "Streaming events" of the Responses API reference. A mid-stream `error` event is sent with
its details in an `error` object, as the service does, and then `response.failed`.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace

from simulated_provider import openai_wire
from simulated_provider.answers import Answer, compose, prompt_of, tokens
from simulated_provider.exchange import (
    JSON,
    Call,
    Endpoint,
    Event,
    Exchange,
    RefusedError,
    listed,
    new_id,
    section,
)
from simulated_provider.prices import ListPrice, Tokens
from simulated_provider.prompt_cache import CacheUse

# What the service adds to a prompt that is a plain string.
_FRAMING_TOKENS = 3


def responses(call: Call) -> Exchange:
    """POST /v1/responses."""
    price = call.price(openai_wire.PRICES)
    body, reply = call.body, call.reply
    prompt = prompt_of(body.get("instructions"), body.get("input"), body.get("tools"))
    size = len(tokens(prompt)) + _FRAMING_TOKENS
    cached = call.cache.implicit(price.response_model, tokens(prompt))
    answer = compose(
        prompt,
        text=reply.text,
        chunks=reply.chunks,
        limit=body.get("max_output_tokens"),
        reasons=price.reasons,
    )
    usage = openai_wire.usage_of(call, _usage(size, cached, price, answer))
    begun = _begun(call, price.response_model)
    items = [*_tool_calls(call), *_items(answer)]
    ended = begun | {
        "status": "incomplete" if answer.truncated else "completed",
        "incomplete_details": {"reason": "max_output_tokens"} if answer.truncated else None,
        "output": items,
        "service_tier": reply.service_tier or "default",
        "usage": None if reply.without_usage else usage,
    }
    if begun["background"]:
        call.kept[begun["id"]] = ended
    whole = ended if not begun["background"] else begun | {"status": "queued"}
    return Exchange(
        price=price,
        response_id=begun["id"],
        usage=usage,
        tokens=billed(usage),
        body=whole,
        events=_numbered(_events(answer, begun, ended)),
        failure=lambda sent: _failure(call, begun, sent),
    )


def retrieved(call: Call) -> Exchange:
    """GET /v1/responses/{id}, also as a stream; POST .../cancel. Nothing is charged for it.

    A response that was made in the background is still in progress when it is first asked for.
    """
    response_id = call.path["response_id"]
    ended = call.kept.get(response_id)
    if ended is None:
        raise RefusedError(404, f"Response with id '{response_id}' not found.")
    polled = call.kept.setdefault(f"{response_id}/polled", {"times": 0})
    polled["times"] += 1
    working: JSON = ended | {"status": "in_progress", "output": [], "usage": None}
    done = polled["times"] > 1 or not ended["background"] or call.streams
    events: list[JSON] = [
        {"type": "response.created", "response": working},
        {"type": f"response.{ended['status']}", "response": ended},
    ]
    return Exchange(
        price=call.price_of(openai_wire.PRICES, ended["model"]),
        response_id=response_id,
        usage={},
        tokens=Tokens(),
        body=ended if done else working,
        events=_numbered(iter(events)),
        billed=False,
    )


def compacted(call: Call) -> Exchange:
    """POST /v1/responses/compact: a pass of the model over a conversation."""
    exchange = responses(call)
    body = {
        "id": exchange.response_id,
        "object": "response.compaction",
        "created_at": exchange.body["created_at"],
        "output": [{"id": new_id("cmp_", 48), "type": "compaction", "encrypted_content": "gAAAA"}],
        "usage": exchange.usage,
    }
    return replace(exchange, body=body, events=())


def _tool_calls(call: Call) -> list[JSON]:
    """One call of each of the provider's own tools that is offered; a web search looks further."""
    offered = {str(tool.get("type")) for tool in listed(call.body, "tools")}
    made: list[JSON] = []
    if "web_search" in offered:
        for action in ("search", "open_page", "search"):
            head = {"id": new_id("ws_", 48), "type": "web_search_call", "status": "completed"}
            made.append(head | {"action": {"type": action}})
    if "file_search" in offered:
        head = {"id": new_id("fs_", 48), "type": "file_search_call", "status": "completed"}
        made.append(head | {"queries": ["revenue"], "results": None})
    if "code_interpreter" in offered:
        head = {"id": new_id("ci_", 48), "type": "code_interpreter_call", "status": "completed"}
        made.append(head | {"code": "1 + 1", "container_id": "cntr_1", "outputs": []})
    if "image_generation" in offered:
        head = {"id": new_id("ig_", 48), "type": "image_generation_call", "status": "completed"}
        made.append(head | {"result": "cGljdHVyZQ==", "size": "1024x1024", "quality": "low"})
    return made


def billed(usage: JSON) -> Tokens:
    """The tokens of a Responses usage block. Input includes cached, output includes reasoning."""
    read = section(usage, "input_tokens_details")
    written = section(usage, "output_tokens_details")
    return Tokens(
        input=usage.get("input_tokens", 0),
        cache_read=read.get("cached_tokens") or 0,
        cache_write=read.get("cache_write_tokens") or 0,
        output=usage.get("output_tokens", 0),
        reasoning=written.get("reasoning_tokens") or 0,
    )


def _usage(size: int, cached: CacheUse, price: ListPrice, answer: Answer) -> JSON:
    return {
        "input_tokens": size,
        "input_tokens_details": {
            "cached_tokens": cached.read,
            "cache_write_tokens": 0 if price.cache_write is None else cached.write,
        },
        "output_tokens": answer.output_tokens,
        "output_tokens_details": {"reasoning_tokens": answer.reasoning_tokens},
        "total_tokens": size + answer.output_tokens,
    }


def _begun(call: Call, response_model: str) -> JSON:
    """The response object as it stands when the model starts."""
    body = call.body
    return {
        "id": new_id("resp_", 48),
        "object": "response",
        "created_at": int(time.time()),
        "status": "in_progress",
        "background": bool(body.get("background")),
        "error": None,
        "incomplete_details": None,
        "instructions": body.get("instructions"),
        "max_output_tokens": body.get("max_output_tokens"),
        "max_tool_calls": None,
        "metadata": body.get("metadata") or {},
        "model": response_model,
        "output": [],
        "parallel_tool_calls": True,
        "previous_response_id": body.get("previous_response_id"),
        "prompt_cache_key": body.get("prompt_cache_key"),
        "reasoning": {"effort": None, "summary": None},
        "safety_identifier": None,
        "service_tier": body.get("service_tier", "auto"),
        "store": body.get("store", True),
        "temperature": 1.0,
        "text": {"format": {"type": "text"}, "verbosity": "medium"},
        "tool_choice": body.get("tool_choice", "auto"),
        "tools": body.get("tools", []),
        "top_logprobs": 0,
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": None,
        "user": None,
    }


def _items(answer: Answer) -> list[JSON]:
    """The output: a reasoning item where the model reasoned, then the message."""
    reasoning: JSON = {"id": new_id("rs_", 48), "type": "reasoning", "summary": []}
    message: JSON = {
        "id": new_id("msg_", 48),
        "type": "message",
        "status": "incomplete" if answer.truncated else "completed",
        "role": "assistant",
        "content": [_part(answer.text)],
    }
    return [reasoning, message] if answer.reasoning_tokens else [message]


def _part(text: str) -> JSON:
    return {"type": "output_text", "annotations": [], "logprobs": [], "text": text}


def _events(answer: Answer, begun: JSON, ended: JSON) -> Iterator[JSON]:
    yield {"type": "response.created", "response": begun}
    yield {"type": "response.in_progress", "response": begun}
    for index, item in enumerate(ended["output"]):
        opened = item | {"status": "in_progress", "content": []} if "content" in item else item
        yield {"type": "response.output_item.added", "output_index": index, "item": opened}
        if "content" in item:
            yield from _message_events(answer, index, item)
        yield {"type": "response.output_item.done", "output_index": index, "item": item}
    yield {"type": f"response.{ended['status']}", "response": ended}


def _message_events(answer: Answer, index: int, item: JSON) -> Iterator[JSON]:
    where: JSON = {"item_id": item["id"], "output_index": index, "content_index": 0}
    yield {"type": "response.content_part.added", **where, "part": _part("")}
    for piece in answer.deltas:
        yield {"type": "response.output_text.delta", **where, "delta": piece, "logprobs": []}
    yield {"type": "response.output_text.done", **where, "text": answer.text, "logprobs": []}
    yield {"type": "response.content_part.done", **where, "part": item["content"][0]}


def _numbered(events: Iterator[JSON], start: int = 0) -> Sequence[Event]:
    return [
        Event(
            data | {"sequence_number": number},
            name=data["type"],
            delta=data["type"] == "response.output_text.delta",
        )
        for number, data in enumerate(events, start)
    ]


def _failure(call: Call, begun: JSON, sent: int) -> Sequence[Event]:
    error = openai_wire.error_body(500, call.request_id, None, call.reply.error)["error"]
    summary = {"code": error.get("code") or "server_error", "message": error.get("message")}
    failed = begun | {"status": "failed", "error": summary}
    pair: list[JSON] = [
        {"type": "error", "error": error},
        {"type": "response.failed", "response": failed},
    ]
    return _numbered(iter(pair), start=sent)


ENDPOINTS = tuple(
    Endpoint(prefix + path, "openai.responses", openai_wire.WIRE, answer, method)
    for prefix in ("/v1", "/openai/v1", "/openai")
    for method, path, answer in (
        ("POST", "/responses/compact", compacted),
        ("POST", "/responses", responses),
        ("GET", "/responses/{response_id}", retrieved),
        ("POST", "/responses/{response_id}/cancel", retrieved),
    )
)
