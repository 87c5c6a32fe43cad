"""Google's wire: batches, done at once, whose results are in the batch or in a file.

Source: ai.google.dev/gemini-api/docs/batch-api, and the types of Google's Python SDK. A batch costs
half of what its requests would. A file of requests is one that the provider was given to `keep`:
`{"lines": [{"key": …, "request": …}]}`.
"""

import json
from dataclasses import replace
from decimal import Decimal

from simulated_provider.answers import prompt_of, tokens
from simulated_provider.exchange import (
    JSON,
    Call,
    Endpoint,
    Exchange,
    RefusedError,
    listed,
    new_id,
    section,
)
from simulated_provider.gemini_wire import PRICES, WIRE, generate
from simulated_provider.prices import Tokens

DISCOUNT = Decimal("0.5")

# Of the versions in use; OpenAI's batches are at `/v1/batches`.
_API = "/v1beta"
_JOBS = f"{_API}/batches"


def create(call: Call) -> Exchange:
    """POST …:batchGenerateContent, with the requests inline or in a file."""
    asked = section(section(call.body, "batch"), "inputConfig")
    name = str(asked.get("fileName", "")).removeprefix("files/")
    lines = listed(call.kept[name], "lines") if name else _inline(asked)
    exchanges = [_half(generate(replace(call, body=line["request"]))) for line in lines]
    results = [
        _labelled(line, {"response": exchange.body})
        for line, exchange in zip(lines, exchanges, strict=True)
    ]
    if not name:
        return _created(call, {"inlinedResponses": {"inlinedResponses": results}}, exchanges)
    file = new_id("batch-", 12)
    call.kept[file] = {"lines": results}
    return _created(call, {"responsesFile": f"files/{file}"}, exchanges)


def create_embeddings(call: Call) -> Exchange:
    """POST …:asyncBatchEmbedContent: each result has its count of tokens, as a text."""
    asked = section(section(call.body, "batch"), "inputConfig")
    sizes = [len(tokens(prompt_of(line["request"].get("content")))) for line in _inline(asked)]
    price = call.price(PRICES)
    exchanges = [
        _half(Exchange(price, new_id("", 22), {"tokenCount": str(size)}, Tokens(input=size), {}))
        for size in sizes
    ]
    results = [
        {"response": {"embedding": {"values": [0.6, 0.8]}, **exchange.usage}}
        for exchange in exchanges
    ]
    return _created(call, {"inlinedResponses": {"inlinedResponses": results}}, exchanges)


def _inline(asked: JSON) -> list[JSON]:
    return listed(section(asked, "requests"), "requests")


def _half(exchange: Exchange) -> Exchange:
    return replace(exchange, beyond=-exchange.price.cost(exchange.tokens) * DISCOUNT)


def _labelled(line: JSON, result: JSON) -> JSON:
    """In a file results have the key of what was asked, inline what was asked for beside it."""
    label = "key" if "key" in line else "metadata"
    return {label: line[label], **result} if label in line else result


def _created(call: Call, output: JSON, exchanges: list[Exchange]) -> Exchange:
    name = f"batches/{new_id('', 20).lower()}"
    count = len(exchanges)
    job: JSON = {
        "@type": "type.googleapis.com/google.ai.generativelanguage.v1main.GenerateContentBatch",
        "model": f"models/{call.model}",
        "displayName": section(call.body, "batch").get("displayName", ""),
        "name": name,
        "state": "BATCH_STATE_PENDING",
        "batchStats": {"requestCount": str(count), "pendingRequestCount": str(count)},
    }
    done = {
        "state": "BATCH_STATE_SUCCEEDED",
        "output": output,
        "batchStats": {"requestCount": str(count), "successfulRequestCount": str(count)},
    }
    call.kept[name] = {"name": name, "metadata": job | done, "done": True, "response": output}
    return replace(_free(call, {"name": name, "metadata": job}), further=exchanges)


def fetch(call: Call) -> Exchange:
    """GET /v1beta/batches/{batch}."""
    return _free(call, _kept(call, f"batches/{call.path['batch']}"))


def list_all(call: Call) -> Exchange:
    """GET /v1beta/batches."""
    jobs = [job for name, job in call.kept.items() if name.startswith("batches/")]
    return _free(call, {"operations": jobs})


def download(call: Call) -> Exchange:
    """GET /v1beta/files/{file}:download."""
    lines = listed(_kept(call, call.path["file"]), "lines")
    content = "".join(json.dumps(line) + "\n" for line in lines).encode()
    return replace(_free(call, {}), media="application/octet-stream", content=content)


def _kept(call: Call, name: str) -> JSON:
    found = call.kept.get(name)
    if found is None:
        raise RefusedError(404, "Requested entity was not found.")
    return found


def _free(call: Call, body: JSON) -> Exchange:
    price = call.price_of(PRICES, "gemini-2.5-flash")
    return Exchange(price, new_id("", 22), {}, Tokens(), body, billed=False)


_MODEL = f"{_API}/models/{{deployment}}"

ENDPOINTS = (
    Endpoint(f"{_MODEL}:batchGenerateContent", "gemini.batches", WIRE, create),
    Endpoint(f"{_MODEL}:asyncBatchEmbedContent", "gemini.batches", WIRE, create_embeddings),
    Endpoint(_JOBS, "gemini.batches", WIRE, list_all, method="GET"),
    Endpoint(f"{_JOBS}/{{batch}}", "gemini.batches", WIRE, fetch, method="GET"),
    Endpoint(f"{_API}/files/{{file}}:download", "gemini.files", WIRE, download, method="GET"),
)
