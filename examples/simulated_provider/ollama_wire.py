"""Ollama's wire: chat, generate, and both kinds of embeddings.

Source: docs.ollama.com/api. A stream is JSON lines, of which the last holds the counts.
"""

import datetime
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
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
    new_id,
    section,
)
from simulated_provider.prices import ListPrice, PriceList, Tokens
from simulated_provider.reply import Framing
from simulated_provider.sse import to_json

# A server of one's own charges nothing.
PRICES = PriceList(
    {
        model: ListPrice(model, input=Decimal(0))
        for model in ("llama3.2", "gemma3", "nomic-embed-text")
    }
)

# Nanoseconds.
_TIMES = {"total_duration": 4_883_583_458, "load_duration": 1_334_875}


def _line(event: Event, framing: Framing) -> bytes:
    return to_json(event.data).encode() + b"\n"


def _error(
    status: int,
    request_id: str,
    message: str | None = None,
    replaced: Mapping[str, Any] | None = None,
) -> JSON:
    """Ollama's errors are one sentence."""
    return {"error": message or "llama runner process has terminated"}


WIRE = Wire(
    request_id=lambda: new_id("", 12),
    headers=lambda request_id: {},
    error=_error,
    stream_type="application/x-ndjson",
    encode=_line,
)


def chat(call: Call) -> Exchange:
    """POST /api/chat."""
    return _answered(call, call.body.get("messages"), _message)


def generate(call: Call) -> Exchange:
    """POST /api/generate."""
    return _answered(call, [call.body.get("system"), call.body.get("prompt")], _text)


def _message(piece: str) -> JSON:
    return {"message": {"role": "assistant", "content": piece}}


def _text(piece: str) -> JSON:
    return {"response": piece}


def _answered(call: Call, prompt: Any, say: Callable[[str], JSON]) -> Exchange:
    price, text = call.price(PRICES), prompt_of(prompt)
    limit = section(call.body, "options").get("num_predict")
    answer = compose(text, text=call.reply.text, chunks=call.reply.chunks, limit=limit)
    usage = _usage(call, text, answer)
    head = _head(price)
    told = {} if call.reply.without_usage else usage
    ending = {"done": True, "done_reason": "length" if answer.truncated else "stop", **told}
    pieces = [Event({**head, **say(piece), "done": False}, delta=True) for piece in answer.deltas]
    return Exchange(
        price=price,
        # Ollama names its answers by nothing; the record needs a name.
        response_id=call.request_id,
        usage=usage,
        tokens=_billed(usage),
        body={**head, **say(answer.text), **ending},
        events=[*pieces, Event({**head, **say(""), **ending})],
        failure=lambda sent: _failed(call),
    )


def _usage(call: Call, prompt: str, answer: Answer) -> JSON:
    counted = {
        **_TIMES,
        "prompt_eval_count": len(tokens(prompt)),
        "prompt_eval_duration": 342_546_000,
        "eval_count": answer.output_tokens,
        "eval_duration": 4_535_599_000,
    }
    return counted if call.reply.usage is None else dict(call.reply.usage)


def _failed(call: Call) -> list[Event]:
    return [Event(_error(500, call.request_id))]


def _head(price: ListPrice) -> JSON:
    now = datetime.datetime.now(datetime.UTC).isoformat()
    return {"model": price.response_model, "created_at": now}


def _billed(usage: JSON) -> Tokens:
    return Tokens(input=usage.get("prompt_eval_count", 0), output=usage.get("eval_count", 0))


def embed(call: Call) -> Exchange:
    """POST /api/embed."""
    price, inputs = call.price(PRICES), call.body.get("input")
    usage = {**_TIMES, "prompt_eval_count": len(tokens(prompt_of(inputs)))}
    vectors = list(_vectors(inputs))
    body: JSON = {"model": price.response_model, "embeddings": vectors, **usage}
    return Exchange(price, call.request_id, usage, _billed(usage), body)


def embeddings(call: Call) -> Exchange:
    """POST /api/embeddings, which came before `embed` and counts nothing."""
    price, prompt = call.price(PRICES), call.body.get("prompt")
    if prompt is None:
        raise RefusedError(400, "missing prompt")
    usage: JSON = {"prompt_eval_count": len(tokens(prompt_of(prompt)))}
    body: JSON = {"embedding": [0.25, -0.5, 0.125]}
    return Exchange(price, call.request_id, usage, _billed(usage), body)


def _vectors(inputs: Any) -> Iterator[list[float]]:
    for _ in range(len(inputs) if isinstance(inputs, list) else 1):  # pyright: ignore[reportUnknownArgumentType]
        yield [0.25, -0.5, 0.125]


ENDPOINTS = tuple(
    Endpoint(f"/api/{name}", f"ollama.{name}", WIRE, answer)
    for name, answer in (
        ("chat", chat),
        ("generate", generate),
        ("embed", embed),
        ("embeddings", embeddings),
    )
)
