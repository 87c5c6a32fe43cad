"""OpenAI's wire: embeddings, as floats or as base64 (what its SDK asks for)."""

import base64
import hashlib
import math
import random
import struct
from typing import Any

from simulated_provider import openai_wire
from simulated_provider.answers import prompt_of, tokens
from simulated_provider.exchange import JSON, Call, Endpoint, Exchange, new_id

DIMENSIONS = {"text-embedding-3-small": 1536, "text-embedding-3-large": 3072}


def embeddings(call: Call) -> Exchange:
    """POST /v1/embeddings. Inputs are texts or token numbers, one or many."""
    price = call.price(openai_wire.PRICES)
    inputs = _inputs(call.body.get("input"))
    size = sum(len(each) for each in inputs)
    usage = openai_wire.usage_of(call, {"prompt_tokens": size, "total_tokens": size})
    dimensions = call.body.get("dimensions") or DIMENSIONS.get(price.response_model, 1536)
    encoded = call.body.get("encoding_format") == "base64"
    vectors = [_vector(each, dimensions) for each in inputs]
    body: JSON = {
        "object": "list",
        "data": [
            {
                "object": "embedding",
                "index": index,
                "embedding": _base64(vector) if encoded else vector,
            }
            for index, vector in enumerate(vectors)
        ],
        "model": price.response_model,
    }
    if not call.reply.without_usage:
        body["usage"] = usage
    # Embeddings have no id on the wire; the record needs one.
    return Exchange(price, new_id("embd-", 29), usage, openai_wire.billed(usage), body)


def _inputs(given: Any) -> list[list[str]]:
    """Each input as its tokens."""
    if isinstance(given, list):
        numbers = [str(each) for each in given if isinstance(each, int)]  # pyright: ignore[reportUnknownVariableType]
        if numbers:
            return [numbers]
        return [tokens for each in given for tokens in _inputs(each)]  # pyright: ignore[reportUnknownVariableType]
    return [tokens(prompt_of(given))]


def _vector(of: list[str], dimensions: int) -> list[float]:
    """A unit vector that depends on the input alone."""
    chance = random.Random(hashlib.sha256("\0".join(of).encode()).digest())
    raw = [chance.uniform(-1, 1) for _ in range(dimensions)]
    length = math.sqrt(sum(x * x for x in raw))
    return [x / length for x in raw]


def _base64(vector: list[float]) -> str:
    """Little-endian 32-bit floats."""
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()


ENDPOINTS = tuple(
    Endpoint(prefix + "/embeddings", "openai.embeddings", openai_wire.WIRE, embeddings)
    for prefix in openai_wire.PREFIXES
)
