"""Cohere's wire: both of its APIs.

Source: docs.cohere.com/reference, and the types of Cohere's Python SDK. A stream of the first API
is JSON lines, one of the second is server-sent events. Billed are the tokens that the client sent
and got; `tokens` counts what the provider adds to a prompt as well. Numbers are written as decimals.
"""

import uuid
from collections.abc import Callable, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

from simulated_provider.answers import Answer, compose, prompt_of, tokens
from simulated_provider.exchange import JSON, Call, Endpoint, Event, Exchange, Wire, listed, section
from simulated_provider.prices import ListPrice, PriceList, Tokens
from simulated_provider.reply import Framing
from simulated_provider.sse import to_json

# cohere.com/pricing, US dollars per million tokens.
PRICES = PriceList(
    {
        "command-a-03-2025": ListPrice("command-a-03-2025", Decimal("2.50"), Decimal(10)),
        "command-r-08-2024": ListPrice("command-r-08-2024", Decimal("0.15"), Decimal("0.60")),
        "embed-v4.0": ListPrice("embed-v4.0", Decimal("0.12")),
        # By the search, the document and the page.
        "rerank-v3.5": ListPrice("rerank-v3.5", Decimal(0)),
        "embed-english-v3.0": ListPrice("embed-english-v3.0", Decimal("0.10")),
        "parse-v1": ListPrice("parse-v1", Decimal(0)),
    }
)
SEARCH, CLASSIFIED, PAGE = Decimal("0.002"), Decimal("0.00005"), Decimal("0.002")

# Tokens of the instructions that Cohere puts before a prompt, and does not bill.
ADDED = 496

# Documents that are ranked for one search unit.
RANKED = 100

_ERRORS: dict[int, str] = {
    400: "invalid request",
    401: "invalid api token",
    404: "model not found",
    429: "You are past the per minute request limit, please wait and try again later.",
    500: "internal server error",
    503: "service unavailable",
}


def error_body(
    status: int,
    request_id: str,
    message: str | None = None,
    replaced: Mapping[str, Any] | None = None,
) -> JSON:
    """The body of an error response."""
    error = {"id": request_id, "message": message or _ERRORS.get(status, "It failed.")}
    return error if replaced is None else dict(replaced)


def headers(request_id: str) -> Mapping[str, str]:
    """The headers that Cohere adds to every answer."""
    return {"x-debug-trace-id": request_id, "x-endpoint-monthly-call-limit": "1000"}


def lines(event: Event, framing: Framing) -> bytes:
    """One event as a JSON line."""
    return f"{to_json(event.data)}\n".encode()


def new_id() -> str:
    """A fresh identifier."""
    return str(uuid.uuid4())


WIRE = Wire(request_id=new_id, headers=headers, error=error_body)
LINES = replace(WIRE, stream_type="application/stream+json", encode=lines)


def usage_of(call: Call, billed_units: JSON, *, added: int = 0) -> JSON:
    """The counts to bill: those that the script gives, or what was counted."""
    if call.reply.usage is not None:
        return dict(call.reply.usage)
    usage: JSON = {"billed_units": {unit: float(count) for unit, count in billed_units.items()}}
    if added:
        usage["tokens"] = {
            "input_tokens": float(billed_units["input_tokens"] + added),
            "output_tokens": float(billed_units["output_tokens"]),
        }
        usage["cached_tokens"] = float(added)
    return usage


def billed(usage: JSON) -> Tokens:
    """The tokens that are billed."""
    units = section(usage, "billed_units")
    return Tokens(
        input=int(units.get("input_tokens") or 0), output=int(units.get("output_tokens") or 0)
    )


def _answer(call: Call, prompt: str) -> tuple[Answer, JSON]:
    answer = compose(
        prompt,
        text=call.reply.text,
        chunks=call.reply.chunks,
        limit=call.body.get("max_tokens"),
    )
    counted = {"input_tokens": len(tokens(prompt)), "output_tokens": answer.output_tokens}
    return answer, usage_of(call, counted, added=ADDED)


def chat(call: Call) -> Exchange:
    """POST /v2/chat."""
    price = call.price(PRICES)
    prompt = prompt_of(listed(call.body, "messages"), call.body.get("documents"))
    answer, usage = _answer(call, prompt)
    response_id = new_id()
    end: JSON = {"finish_reason": "MAX_TOKENS" if answer.truncated else "COMPLETE"}
    counted = {} if call.reply.without_usage else {"usage": usage}
    message = {"role": "assistant", "content": [{"type": "text", "text": answer.text}]}
    opening: JSON = {"role": "assistant", "content": [], "tool_plan": "", "tool_calls": []}
    start: JSON = {"type": "message-start", "id": response_id, "delta": {"message": opening}}
    content = {"message": {"content": {"type": "text", "text": ""}}}
    return Exchange(
        price=price,
        response_id=response_id,
        usage=usage,
        tokens=billed(usage),
        body={"id": response_id, "message": message, **end, **counted},
        events=[
            _event(start),
            _event({"type": "content-start", "index": 0, "delta": content}),
            *(_event(_piece(text), delta=True) for text in answer.deltas),
            _event({"type": "content-end", "index": 0}),
            _event({"type": "message-end", "id": response_id, "delta": end | counted}),
            Event("[DONE]"),
        ],
        failure=lambda sent: [
            _event(
                {"type": "message-end", "delta": {"error": "It failed", "finish_reason": "ERROR"}}
            )
        ],
    )


def _piece(text: str) -> JSON:
    return {"type": "content-delta", "index": 0, "delta": {"message": {"content": {"text": text}}}}


def _event(data: JSON, *, delta: bool = False) -> Event:
    return Event(data, name=data["type"], delta=delta)


def chat_v1(call: Call) -> Exchange:
    """POST /v1/chat."""
    price = call.price(PRICES)
    body = call.body
    prompt = prompt_of(*(body.get(part) for part in ("preamble", "chat_history", "message")))
    answer, usage = _answer(call, prompt)
    finish = "MAX_TOKENS" if answer.truncated else "COMPLETE"
    whole: JSON = {
        "response_id": new_id(),
        "generation_id": new_id(),
        "text": answer.text,
        "chat_history": [],
        "finish_reason": finish,
        "meta": _meta(call, usage, "1"),
    }
    end = {"event_type": "stream-end", "finish_reason": finish, "response": whole}
    start = {"event_type": "stream-start", "generation_id": whole["generation_id"]}
    return Exchange(
        price=price,
        response_id=whole["generation_id"],
        usage=usage,
        tokens=billed(usage),
        body=whole,
        events=[
            Event({"is_finished": False, **start}),
            *(_line(text) for text in answer.deltas),
            Event({"is_finished": True, **end}),
        ],
        failure=lambda sent: [
            Event({"is_finished": True, "event_type": "stream-end", "finish_reason": "ERROR"})
        ],
    )


def _line(text: str) -> Event:
    piece = {"is_finished": False, "event_type": "text-generation", "text": text}
    return Event(piece, delta=True)


def _meta(call: Call, usage: JSON, version: str) -> JSON:
    meta: JSON = {"api_version": {"version": version}, "warnings": ["a model is to be retired"]}
    return meta if call.reply.without_usage else meta | usage


def _charged(
    billed_units: Callable[[JSON], JSON], body: Callable[[JSON], JSON], each: Mapping[str, Decimal]
) -> Callable[[Call], Exchange]:
    """An endpoint that is charged by units: `each` is the price of one."""

    def answer(call: Call) -> Exchange:
        price = call.price(PRICES)
        usage = usage_of(call, billed_units(call.body))
        whole: JSON = {"id": new_id(), **body(call.body), "meta": _meta(call, usage, "2")}
        units = usage["billed_units"]
        beyond = sum((cost * int(units.get(unit, 0)) for unit, cost in each.items()), Decimal(0))
        return Exchange(price, whole["id"], usage, billed(usage), whole, beyond=beyond)

    return answer


def _embedded_units(body: JSON) -> JSON:
    if body.get("images"):
        return {"images": len(body["images"])}
    return {"input_tokens": len(tokens(prompt_of(body.get("texts"))))}


def _embedded(body: JSON) -> JSON:
    vectors = [[0.03125] * 16 for _ in body.get("texts") or body.get("images") or ()]
    if "embedding_types" in body:
        return {"response_type": "embeddings_by_type", "embeddings": {"float": vectors}}
    return {"response_type": "embeddings_floats", "embeddings": vectors, "texts": []}


def _ranked_units(body: JSON) -> JSON:
    return {"search_units": -(-len(body["documents"]) // RANKED)}


def _ranked(body: JSON) -> JSON:
    ranks = range(min(len(body["documents"]), 3))
    return {"results": [{"index": index, "relevance_score": 0.5} for index in ranks]}


def _classified(body: JSON) -> JSON:
    label: JSON = {"confidences": [0.9], "classification_type": "single-label", "labels": {}}
    return {
        "classifications": [
            label | {"id": new_id(), "input": text, "prediction": "a", "predictions": ["a"]}
            for text in body["inputs"]
        ]
    }


embed = _charged(_embedded_units, _embedded, {})
rerank = _charged(_ranked_units, _ranked, {"search_units": SEARCH})
classify = _charged(
    lambda body: {"classifications": len(body["inputs"])},
    _classified,
    {"classifications": CLASSIFIED},
)
parse = _charged(
    lambda body: {"pages": 3},
    lambda body: {"pages": [], "finish_reason": "COMPLETE"},
    {"pages": PAGE},
)

ENDPOINTS = (
    Endpoint("/v1/chat", "cohere.chat", LINES, chat_v1),
    *(
        Endpoint(path, api, WIRE, answer)
        for path, api, answer in (
            ("/v2/chat", "cohere.chat", chat),
            ("/v1/embed", "cohere.embed", embed),
            ("/v2/embed", "cohere.embed", embed),
            ("/v1/rerank", "cohere.rerank", rerank),
            ("/v2/rerank", "cohere.rerank", rerank),
            ("/v1/classify", "cohere.classify", classify),
            ("/v2/parse", "cohere.parse", parse),
        )
    ),
)
