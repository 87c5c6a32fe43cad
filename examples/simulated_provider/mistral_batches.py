"""Mistral's wire: batches of requests sent inline, done at once, whose outputs are asked for inline.

Source: docs.mistral.ai/api (batch). A batch costs half of what its requests would.
"""

import time
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

from simulated_provider import mistral_wire
from simulated_provider.exchange import JSON, Call, Endpoint, Exchange, RefusedError, listed, new_id
from simulated_provider.prices import Tokens

DISCOUNT = Decimal("0.5")

BATCHED: dict[str, Callable[[Call], Exchange]] = {
    "/v1/chat/completions": mistral_wire.completion,
    "/v1/embeddings": mistral_wire.embeddings,
    "/v1/ocr": mistral_wire.document,
}


def create(call: Call) -> Exchange:
    """POST /v1/batch/jobs."""
    answers = [_answered(call, line) for line in listed(call.body, "requests")]
    count = len(answers)
    job: JSON = {
        "id": new_id("", 36),
        "object": "batch",
        "input_files": [],
        "endpoint": call.body["endpoint"],
        "model": call.model,
        "errors": [],
        "status": "QUEUED",
        "created_at": int(time.time()),
        "total_requests": count,
        "completed_requests": 0,
        "succeeded_requests": 0,
        "failed_requests": 0,
    }
    done = {"status": "SUCCESS", "completed_requests": count, "succeeded_requests": count}
    call.kept[job["id"]] = job | done | {"outputs": [output for output, _ in answers]}
    return replace(_free(call, job), further=[exchange for _, exchange in answers])


def _answered(call: Call, line: JSON) -> tuple[JSON, Exchange]:
    body: JSON = {"model": call.model, **line["body"]}
    exchange = BATCHED[call.body["endpoint"]](replace(call, body=body))
    discount = exchange.price.cost(exchange.tokens) * DISCOUNT
    response = {"status_code": 200, "body": exchange.body}
    return {
        "id": new_id("batch-", 32),
        "custom_id": line["custom_id"],
        "response": response,
        "error": None,
    }, replace(exchange, beyond=-discount)


def fetch(call: Call) -> Exchange:
    """GET /v1/batch/jobs/{job}."""
    job = call.kept.get(call.path["job"])
    if job is None:
        raise RefusedError(404, "No such job.")
    return _free(call, job if call.body.get("inline") else job | {"outputs": None})


def _free(call: Call, job: JSON) -> Exchange:
    price = call.price_of(mistral_wire.PRICES, job["model"])
    return Exchange(price, job["id"], {}, Tokens(), job, billed=False)


_JOBS = f"{mistral_wire.PREFIX}/batch/jobs"

ENDPOINTS = (
    Endpoint(_JOBS, "mistral.batches", mistral_wire.WIRE, create),
    Endpoint(f"{_JOBS}/{{job}}", "mistral.batches", mistral_wire.WIRE, fetch, method="GET"),
)
