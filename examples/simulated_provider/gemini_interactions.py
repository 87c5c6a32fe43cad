"""Google's wire: interactions, whole, streamed, and in the background.

Source: ai.google.dev/api/interactions-api, and the types of Google's Python SDK. Tokens of tools
and thoughts stand beside those of input and output.
"""

from collections.abc import Iterator

from simulated_provider.answers import Answer, compose, prompt_of, tokens
from simulated_provider.exchange import (
    JSON,
    Call,
    Endpoint,
    Event,
    Exchange,
    RefusedError,
    new_id,
    section,
)
from simulated_provider.gemini_wire import PRICES, WIRE, error_body, usage_of
from simulated_provider.prices import ListPrice, Tokens


def create(call: Call) -> Exchange:
    """POST /{version}/interactions."""
    price = call.price(PRICES)
    prompt = prompt_of(call.body.get("system_instruction"), call.body.get("input"))
    answer = compose(
        prompt,
        text=call.reply.text,
        chunks=call.reply.chunks,
        limit=section(call.body, "generation_config").get("max_output_tokens"),
        reasons=price.reasons,
    )
    cached = call.cache.implicit(price.response_model, tokens(prompt))
    usage = usage_of(call, _usage(len(tokens(prompt)), cached.read, answer))
    body: JSON = {
        "id": new_id("v1_", 40),
        "object": "interaction",
        "model": price.response_model,
        "status": "completed",
        "role": "model",
        "created": "2026-11-20T10:00:00Z",
        "updated": "2026-11-20T10:00:02Z",
        "service_tier": call.reply.service_tier or "standard",
        "steps": [{"type": "model_output", "content": [{"type": "text", "text": answer.text}]}],
    }
    if not call.reply.without_usage:
        body["usage"] = usage
    return _exchange(call, price, body, usage, answer)


def _exchange(call: Call, price: ListPrice, body: JSON, usage: JSON, answer: Answer) -> Exchange:
    """The answer; in the background it is an interaction in progress, kept until it is fetched."""
    call.kept[body["id"]] = body
    begun = {key: body[key] for key in ("id", "object", "model", "created", "service_tier")}
    begun["status"] = "in_progress"
    failure: JSON = {"event_type": "error"} | error_body(503, "", None, call.reply.error)
    return Exchange(
        price=price,
        response_id=body["id"],
        usage=usage,
        tokens=billed(usage),
        body=begun if call.body.get("background") else body,
        events=list(_events(body, begun, answer)),
        failure=lambda sent: [Event(failure, "error")],
    )


def fetch(call: Call) -> Exchange:
    """GET /{version}/interactions/{id}: what was made before, which costs nothing again."""
    body = call.kept.get(call.path["interaction"])
    if body is None:
        raise RefusedError(404, "Requested entity was not found.")
    price = PRICES.prices[body["model"]]
    return Exchange(price, body["id"], {}, Tokens(), body, billed=False)


def billed(usage: JSON) -> Tokens:
    """The tokens of a `Usage`."""
    thoughts = usage.get("total_thought_tokens") or 0
    return Tokens(
        input=usage.get("total_input_tokens", 0) + usage.get("total_tool_use_tokens", 0),
        cache_read=usage.get("total_cached_tokens") or 0,
        output=usage.get("total_output_tokens", 0) + thoughts,
        reasoning=thoughts,
    )


def _usage(size: int, cached: int, answer: Answer) -> JSON:
    return {
        "total_input_tokens": size,
        "input_tokens_by_modality": [{"modality": "text", "tokens": size}],
        "total_cached_tokens": cached,
        "total_output_tokens": answer.text_tokens,
        "output_tokens_by_modality": [{"modality": "text", "tokens": answer.text_tokens}],
        "total_thought_tokens": answer.reasoning_tokens,
        "total_tool_use_tokens": 0,
        "total_tokens": size + answer.output_tokens,
    }


def _events(body: JSON, begun: JSON, answer: Answer) -> Iterator[Event]:
    """The events; the interaction that completes comes without its steps."""
    kind = "event_type"
    yield _event({kind: "interaction.created", "interaction": begun})
    yield _event({kind: "step.start", "index": 0, "step": {"type": "model_output"}})
    for piece in answer.deltas:
        delta = {"type": "text", "text": piece}
        yield _event({kind: "step.delta", "index": 0, "delta": delta}, delta=True)
    yield _event({kind: "step.stop", "index": 0})
    completed = {key: value for key, value in body.items() if key != "steps"}
    yield _event({kind: "interaction.completed", "interaction": completed})
    yield Event("[DONE]", "done")


def _event(data: JSON, *, delta: bool = False) -> Event:
    return Event(data, str(data["event_type"]), delta=delta)


ENDPOINTS = (
    Endpoint("/{version}/interactions", "gemini.interactions", WIRE, create),
    Endpoint(
        "/{version}/interactions/{interaction}", "gemini.interactions", WIRE, fetch, method="GET"
    ),
)
