"""OpenAI's wire: what is asked for now and fetched later: batches, videos, runs of assistants.

Source: the API reference at developers.openai.com/api (files, batch, videos, assistants). All of it
is done when it is asked for, and booked then, but looks under way until it is fetched again.
"""

import json
import time
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

from simulated_provider import openai_chat, openai_embeddings, openai_responses, openai_wire
from simulated_provider.answers import compose, tokens
from simulated_provider.exchange import JSON, Call, Endpoint, Event, Exchange, RefusedError, new_id
from simulated_provider.prices import ListPrice, PriceList, Tokens
from simulated_provider.sse import to_json

VIDEOS = PriceList({"sora-2": ListPrice("sora-2", input=Decimal(0))})
VIDEO_SECOND = Decimal("0.10")

BATCHED = {
    "/v1/chat/completions": openai_chat.chat,
    "/v1/responses": openai_responses.responses,
    "/v1/embeddings": openai_embeddings.embeddings,
}
BATCH_DISCOUNT = Decimal("0.5")

_NO_MODEL = ListPrice("", input=Decimal(0))


def upload(call: Call) -> Exchange:
    """POST /v1/files."""
    file_id = _keep_file(call, call.body["file"])
    return _free({"id": file_id, "object": "file", "purpose": call.body["purpose"]})


def content(call: Call) -> Exchange:
    """GET /v1/files/{id}/content."""
    kept = _kept(call, call.path["file_id"])
    answer = _free({})
    return replace(answer, media="application/octet-stream", content=kept["content"])


def batch(call: Call) -> Exchange:
    """POST /v1/batches: every line of the input is answered, at half the price."""
    lines = [
        json.loads(line) for line in _kept(call, call.body["input_file_id"])["content"].splitlines()
    ]
    answers = [_answered(call, line) for line in lines]
    output = "".join(to_json(line) + "\n" for line, _ in answers).encode()
    made: JSON = {
        "id": new_id("batch_", 32),
        "object": "batch",
        "endpoint": call.body["endpoint"],
        "input_file_id": call.body["input_file_id"],
        "completion_window": "24h",
        "created_at": int(time.time()),
        "status": "validating",
    }
    call.kept[made["id"]] = made | {
        "status": "completed",
        "output_file_id": _keep_file(call, output),
        "request_counts": {"total": len(lines), "completed": len(lines), "failed": 0},
    }
    return replace(_free(made), further=[exchange for _, exchange in answers])


def _answered(call: Call, line: JSON) -> tuple[JSON, Exchange]:
    """A line of a batch's output, and its bill."""
    exchange = BATCHED[line["url"]](replace(call, body=line["body"]))
    discount = exchange.price.cost(exchange.tokens) * BATCH_DISCOUNT
    return {
        "id": new_id("batch_req_", 32),
        "custom_id": line["custom_id"],
        "response": {"status_code": 200, "request_id": new_id("", 32), "body": exchange.body},
        "error": None,
    }, replace(exchange, beyond=-discount)


def video(call: Call) -> Exchange:
    """POST /v1/videos: charged by the second."""
    price = call.price(VIDEOS)
    made: JSON = {
        "id": new_id("video_", 48),
        "object": "video",
        "created_at": int(time.time()),
        "model": price.response_model,
        "progress": 0,
        "seconds": call.body.get("seconds", "4"),
        "size": call.body.get("size", "720x1280"),
        "status": "queued",
    }
    call.kept[made["id"]] = made | {"status": "completed", "progress": 100}
    cost = VIDEO_SECOND * int(made["seconds"])
    return Exchange(price, made["id"], {}, Tokens(), made, beyond=cost)


def run(call: Call) -> Exchange:
    """POST /v1/threads/{id}/runs, also as a stream. Its usage is there once it has ended."""
    price = call.price(openai_wire.PRICES)
    asked = str(call.body.get("instructions"))
    answer = compose(asked, text=call.reply.text, chunks=call.reply.chunks, reasons=price.reasons)
    size = len(tokens(asked))
    usage = openai_wire.usage_of(
        call,
        {
            "prompt_tokens": size,
            "completion_tokens": answer.output_tokens,
            "total_tokens": size + answer.output_tokens,
        },
    )
    made: JSON = {
        "id": new_id("run_", 24),
        "object": "thread.run",
        "assistant_id": call.body["assistant_id"],
        "thread_id": call.path["thread_id"],
        "created_at": int(time.time()),
        "model": price.response_model,
        "status": "queued",
        "usage": None,
    }
    ended = call.kept[made["id"]] = made | {"status": "completed", "usage": usage}
    said: list[JSON] = [
        {"object": "thread.message.delta", "delta": {"content": [{"text": {"value": piece}}]}}
        for piece in answer.deltas
    ]
    return Exchange(
        price=price,
        response_id=made["id"],
        usage=usage,
        tokens=openai_wire.billed(usage),
        body=made,
        events=[
            Event(made, name="thread.run.created"),
            *(Event(delta, name="thread.message.delta", delta=True) for delta in said),
            Event(ended, name="thread.run.completed"),
            Event("[DONE]", name="done"),
        ],
        failure=lambda sent: [_failure(call)],
    )


def fetched(call: Call) -> Exchange:
    """GET of a batch, a video or a run: as it has ended."""
    return _free(_kept(call, call.path["fetched_id"]))


def _kept(call: Call, kept_id: str) -> JSON:
    kept = call.kept.get(kept_id)
    if kept is None:
        raise RefusedError(404, f"No such object: {kept_id}")
    return kept


def _keep_file(call: Call, data: bytes) -> str:
    file_id = new_id("file-", 24)
    call.kept[file_id] = {"content": data}
    return file_id


def _free(body: JSON) -> Exchange:
    return Exchange(_NO_MODEL, str(body.get("id")), {}, Tokens(), body, billed=False)


def _failure(call: Call) -> Event:
    error: Any = openai_wire.error_body(500, call.request_id, None, call.reply.error)
    return Event(error, name="error")


ENDPOINTS: Sequence[Endpoint] = tuple(
    Endpoint("/v1" + path, api, openai_wire.WIRE, answer, method)
    for method, path, api, answer in (
        ("POST", "/files", "openai.files", upload),
        ("GET", "/files/{file_id}/content", "openai.files", content),
        ("POST", "/batches", "openai.batch", batch),
        ("GET", "/batches/{fetched_id}", "openai.batch", fetched),
        ("POST", "/videos", "openai.videos", video),
        ("GET", "/videos/{fetched_id}", "openai.videos", fetched),
        ("POST", "/threads/{thread_id}/runs", "openai.runs", run),
        ("GET", "/threads/{thread_id}/runs/{fetched_id}", "openai.runs", fetched),
    )
)
