"""Mistral's wire: conversations, started, continued and restarted, with tools of the provider's.

Source: docs.mistral.ai/api (beta.conversations). What a tool finds is counted apart from the
prompt, as `connector_tokens`, and the tool by its name.
"""

from collections.abc import Iterator

from simulated_provider import mistral_wire
from simulated_provider.answers import Answer, prompt_of, tokens
from simulated_provider.exchange import JSON, Call, Endpoint, Event, Exchange, listed, new_id
from simulated_provider.prices import Tokens

# What a web search finds, in the example of the documentation.
FOUND = 4458


def conversation(call: Call) -> Exchange:
    """POST /v1/conversations, /v1/conversations/{id}, /v1/conversations/{id}/restart."""
    name = call.body.get("model") or mistral_wire.AGENTS_MODEL
    price = call.price_of(mistral_wire.PRICES, name)
    prompt = prompt_of(call.body.get("instructions"), call.body.get("inputs"))
    answer = mistral_wire.answered(call, prompt)
    usage = mistral_wire.usage_of(call, _usage(call, len(tokens(prompt)), answer))
    entry: JSON = {
        "object": "entry",
        "type": "message.output",
        "id": new_id("msg_", 32),
        "model": price.response_model,
        "role": "assistant",
    }
    conversation_id = call.path.get("conversation", new_id("conv_", 32))
    return Exchange(
        price=price,
        response_id=entry["id"],
        usage=usage,
        tokens=_billed(usage),
        body={
            "object": "conversation.response",
            "conversation_id": conversation_id,
            "outputs": [entry | {"content": answer.text}],
            "usage": usage,
        },
        events=list(_events(conversation_id, entry, answer, usage)),
        failure=lambda sent: [
            _event({"type": "conversation.response.error", "message": "Failed", "code": 1000})
        ],
    )


def _usage(call: Call, size: int, answer: Answer) -> JSON:
    tools = [tool["type"] for tool in listed(call.body, "tools")]
    found = FOUND * len(tools)
    return {
        "prompt_tokens": size,
        "completion_tokens": answer.output_tokens,
        "total_tokens": size + found + answer.output_tokens,
        "connector_tokens": found if tools else None,
        "connectors": dict.fromkeys(tools, 1) if tools else None,
    }


def _billed(usage: JSON) -> Tokens:
    found = usage.get("connector_tokens") or 0
    return Tokens(input=usage["prompt_tokens"] + found, output=usage["completion_tokens"])


def _events(conversation_id: str, entry: JSON, answer: Answer, usage: JSON) -> Iterator[Event]:
    yield _event({"type": "conversation.response.started", "conversation_id": conversation_id})
    piece: JSON = {
        "type": "message.output.delta",
        "id": entry["id"],
        "model": entry["model"],
        "output_index": 0,
        "content_index": 0,
        "role": "assistant",
    }
    for text in answer.deltas:
        yield _event(piece | {"content": text}, delta=True)
    yield _event({"type": "conversation.response.done", "usage": usage})


def _event(data: JSON, *, delta: bool = False) -> Event:
    return Event(data | {"created_at": "2026-11-20T12:00:00Z"}, name=data["type"], delta=delta)


ENDPOINTS = tuple(
    Endpoint(mistral_wire.PREFIX + path, "mistral.conversations", mistral_wire.WIRE, conversation)
    for path in (
        "/conversations",
        "/conversations/{conversation}",
        "/conversations/{conversation}/restart",
    )
)
