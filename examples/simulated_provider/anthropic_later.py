"""Anthropic's wire beside messages: batches of them, counting, the completions of before, Vertex AI.

Source: "Message Batches", "Count tokens" and "Text completions (legacy)" at platform.claude.com
/docs/en/api, and docs.cloud.google.com on partner models (rawPredict). A batch is done when it is
asked for, and booked then, at half the price, but looks under way until it is fetched.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from decimal import Decimal

from simulated_provider.answers import compose, tokens
from simulated_provider.anthropic_wire import PRICES, WIRE, error_body, messages
from simulated_provider.exchange import (
    JSON,
    Call,
    Endpoint,
    Event,
    Exchange,
    RefusedError,
    listed,
    new_id,
)
from simulated_provider.prices import ListPrice, Tokens
from simulated_provider.sse import to_json

BATCH_DISCOUNT = Decimal("0.5")

_NO_MODEL = ListPrice("", input=Decimal(0))


def batch(call: Call) -> Exchange:
    """POST /v1/messages/batches."""
    results = [_result(call, request) for request in listed(call.body, "requests")]
    batch_id = new_id("msgbatch_01", 22)
    made: JSON = {
        "id": batch_id,
        "type": "message_batch",
        "processing_status": "in_progress",
        "request_counts": _counts(processing=len(results)),
        "created_at": "2026-11-20T12:00:00Z",
        "expires_at": "2026-11-21T12:00:00Z",
        "ended_at": None,
        "archived_at": None,
        "cancel_initiated_at": None,
        "results_url": None,
    }
    failed = sum(exchange is None for _, exchange in results)
    call.kept[batch_id] = made | {
        "processing_status": "ended",
        "request_counts": _counts(succeeded=len(results) - failed, errored=failed),
        "ended_at": "2026-11-20T12:01:00Z",
        # Absolute in life; a simulation does not know what it is called.
        "results_url": f"/v1/messages/batches/{batch_id}/results",
    }
    lines = "".join(to_json(line) + "\n" for line, _ in results)
    call.kept[batch_id + "/results"] = {"content": lines.encode()}
    return replace(_free(made), further=[each for _, each in results if each is not None])


def _result(call: Call, request: JSON) -> tuple[JSON, Exchange | None]:
    """A line of a batch's results, and its bill."""
    custom: JSON = {"custom_id": request["custom_id"]}
    try:
        exchange = messages(
            replace(call, body=request["params"], reply=replace(call.reply, service_tier="batch"))
        )
    except RefusedError as refusal:
        error = error_body(refusal.status, call.request_id, refusal.message)
        return custom | {"result": {"type": "errored", "error": error}}, None
    discount = exchange.price.cost(exchange.tokens) * BATCH_DISCOUNT
    result = {"type": "succeeded", "message": exchange.body}
    return custom | {"result": result}, replace(exchange, beyond=-discount)


def _counts(**of: int) -> dict[str, int]:
    kinds = ("processing", "succeeded", "errored", "canceled", "expired")
    return {kind: of.get(kind, 0) for kind in kinds}


def fetched(call: Call) -> Exchange:
    """GET /v1/messages/batches/{id}: as it has ended."""
    return _free(_kept(call, call.path["batch_id"]))


def results(call: Call) -> Exchange:
    """GET /v1/messages/batches/{id}/results."""
    kept = _kept(call, call.path["batch_id"] + "/results")
    return replace(_free({}), media="application/x-jsonl", content=kept["content"])


def count_tokens(call: Call) -> Exchange:
    """POST /v1/messages/count_tokens: free of charge."""
    counted = messages(replace(call, body=call.body | {"max_tokens": 1})).tokens.input
    return _free({"input_tokens": counted})


def complete(call: Call) -> Exchange:
    """POST /v1/complete, whose answers have no usage."""
    price = call.price(PRICES)
    prompt = str(call.body.get("prompt", ""))
    answer = compose(
        prompt,
        text=call.reply.text,
        chunks=call.reply.chunks,
        limit=call.body["max_tokens_to_sample"],
    )
    body: JSON = {
        "type": "completion",
        "id": new_id("compl_01", 22),
        "completion": answer.text,
        "stop_reason": "max_tokens" if answer.truncated else "stop_sequence",
        "model": price.response_model,
    }
    failure = Event(error_body(529, call.request_id, None, call.reply.error), name="error")
    return Exchange(
        price=price,
        response_id=body["id"],
        usage={},
        tokens=Tokens(input=len(tokens(prompt)), output=answer.output_tokens),
        body=body,
        events=list(_pieces(body, answer.deltas)),
        failure=lambda sent: [failure],
    )


def _pieces(body: JSON, deltas: Sequence[str]) -> Iterator[Event]:
    for piece in deltas:
        yield Event(body | {"completion": piece, "stop_reason": None}, "completion", delta=True)
    yield Event(body | {"completion": ""}, "completion")


def predict(call: Call) -> Exchange:
    """POST …/publishers/anthropic/models/{model}:rawPredict of Vertex AI, or :streamRawPredict."""
    if "anthropic_version" not in call.body:
        raise RefusedError(400, "anthropic_version: Field required")
    return messages(replace(call, deployed=(call.deployed or "").replace("@", "-")))


def _kept(call: Call, kept_id: str) -> JSON:
    kept = call.kept.get(kept_id)
    if kept is None:
        raise RefusedError(404, f"No such batch: {kept_id}")
    return kept


def _free(body: JSON) -> Exchange:
    return Exchange(_NO_MODEL, str(body.get("id")), {}, Tokens(), body, billed=False)


_VERTEX = "/v1/projects/{project}/locations/{region}/publishers/anthropic/models/{deployment}"
_BATCH = "/v1/messages/batches/{batch_id}"
_ANSWERS = (
    ("POST", "/v1/messages/count_tokens", "anthropic.count_tokens", count_tokens),
    ("POST", "/v1/messages/batches", "anthropic.batches", batch),
    ("GET", _BATCH, "anthropic.batches", fetched),
    ("GET", _BATCH + "/results", "anthropic.batches", results),
    ("POST", "/v1/complete", "anthropic.complete", complete),
    ("POST", _VERTEX + ":rawPredict", "vertex.anthropic", predict),
    ("POST", _VERTEX + ":streamRawPredict", "vertex.anthropic", predict),
)
ENDPOINTS: Sequence[Endpoint] = tuple(
    Endpoint(path, api, WIRE, answer, method) for method, path, api, answer in _ANSWERS
)
