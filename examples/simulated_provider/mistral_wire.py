"""Mistral's wire, under /mistral: completions, embeddings, documents, audio and classifications.

Source: docs.mistral.ai/api, and the types of Mistral's Python SDK. Usage comes with a stream's last
chunk, asked for or not. Audio is counted in seconds; its tokens are in `total_tokens` alone.
"""

import base64
import time
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from simulated_provider.answers import Answer, compose, prompt_of, tokens
from simulated_provider.exchange import (
    JSON,
    Call,
    Endpoint,
    Event,
    Exchange,
    Wire,
    listed,
    new_id,
    section,
)
from simulated_provider.prices import ListPrice, PriceList, Tokens

PREFIX = "/mistral/v1"

# mistral.ai/pricing, US dollars per million tokens.
PRICES = PriceList(
    {
        "mistral-small-latest": ListPrice("mistral-small-2603", Decimal("0.15"), Decimal("0.60")),
        "mistral-medium-latest": ListPrice("mistral-medium-2508", Decimal("0.40"), Decimal(2)),
        "codestral-latest": ListPrice("codestral-2508", Decimal("0.30"), Decimal("0.90")),
        "mistral-embed": ListPrice("mistral-embed", Decimal("0.10")),
        "mistral-moderation-latest": ListPrice("mistral-moderation-2411", Decimal("0.10")),
        # By the page, the minute and the character.
        "mistral-ocr-latest": ListPrice("mistral-ocr-2512", Decimal(0)),
        "voxtral-mini-latest": ListPrice("voxtral-mini-2602", Decimal(0)),
        "voxtral-mini-tts": ListPrice("voxtral-mini-tts-2603", Decimal(0)),
    }
)
PAGE, SECOND, CHARACTER = Decimal("0.002"), Decimal("0.00005"), Decimal("0.000016")
AGENTS_MODEL = "mistral-medium-latest"

# Bytes of a second of the audio that the tests send, and tokens that it takes (12.5 frames).
BYTES_A_SECOND, TOKENS_A_SECOND = 1000, 13

_ERRORS: dict[int, tuple[str, str, str]] = {
    400: ("invalid_request_error", "3051", "Invalid request."),
    401: ("unauthorized", "1001", "Unauthorized"),
    404: ("invalid_request_error", "1500", "No such model."),
    429: ("rate_limited", "1300", "Rate limit exceeded"),
    500: ("internal_server_error", "1000", "Service unavailable."),
    503: ("internal_server_error", "1000", "Service unavailable."),
}


def error_body(
    status: int,
    request_id: str,
    message: str | None = None,
    replaced: Mapping[str, Any] | None = None,
) -> JSON:
    """The body of an error response; also the data of the event with which a stream breaks off."""
    kind, code, default = _ERRORS.get(status, ("internal_server_error", "1000", "It failed."))
    error = {"message": message or default, "type": kind, "param": None, "code": code}
    return {"object": "error", **(error if replaced is None else dict(replaced))}


def headers(request_id: str) -> Mapping[str, str]:
    """The headers that Mistral adds to every answer."""
    return {"mistral-correlation-id": request_id, "x-kong-request-id": request_id}


WIRE = Wire(request_id=lambda: new_id("", 32), headers=headers, error=error_body)


def usage_of(call: Call, counted: JSON) -> JSON:
    """The usage block to bill: the one that the script gives, or what was counted."""
    return counted if call.reply.usage is None else dict(call.reply.usage)


def billed(usage: JSON) -> Tokens:
    """The tokens of a usage block."""
    return Tokens(
        input=usage.get("prompt_tokens", 0),
        cache_read=section(usage, "prompt_tokens_details").get("cached_tokens") or 0,
        output=usage.get("completion_tokens", 0),
    )


def failure_of(call: Call) -> list[Event]:
    """The event with which a stream breaks off."""
    return [Event(error_body(500, call.request_id, None, call.reply.error))]


def answered(call: Call, prompt: str) -> Answer:
    """What the model says."""
    limit = call.body.get("max_tokens")
    return compose(prompt, text=call.reply.text, chunks=call.reply.chunks, limit=limit)


def completion(call: Call) -> Exchange:
    """POST /v1/chat/completions, /v1/fim/completions, /v1/agents/completions."""
    price = call.price_of(PRICES, AGENTS_MODEL if "agent_id" in call.body else call.model)
    prompt = prompt_of(*(call.body.get(part) for part in ("messages", "tools", "prompt", "suffix")))
    size = len(tokens(prompt))
    cached = call.cache.implicit(price.response_model, tokens(prompt))
    answer = answered(call, prompt)
    usage = usage_of(
        call,
        {
            "prompt_tokens": size,
            "completion_tokens": answer.output_tokens,
            "total_tokens": size + answer.output_tokens,
            "prompt_tokens_details": {"cached_tokens": cached.read},
            "service_tier": call.reply.service_tier or "standard",
        },
    )
    head: JSON = {
        "id": new_id("", 32),
        "object": "chat.completion",
        "created": int(time.time()),
        "model": price.response_model,
    }
    counted = {} if call.reply.without_usage else {"usage": usage}
    finish = "length" if answer.truncated else "stop"
    message = {"role": "assistant", "tool_calls": None, "content": answer.text}
    chunk = head | {"object": "chat.completion.chunk"}
    deltas = [{"content": piece} for piece in answer.deltas]
    return Exchange(
        price=price,
        response_id=head["id"],
        usage=usage,
        tokens=billed(usage),
        body=head | {"choices": [_choice("message", message, finish)]} | counted,
        events=[
            Event(chunk | {"choices": [_choice("delta", {"role": "assistant", "content": ""})]}),
            *(Event(chunk | {"choices": [_choice("delta", each)]}, delta=True) for each in deltas),
            Event(chunk | {"choices": [_choice("delta", {"content": ""}, finish)]} | counted),
            Event("[DONE]"),
        ],
        failure=lambda sent: failure_of(call),
    )


def _choice(kind: str, value: JSON, finish: str | None = None) -> JSON:
    return {"index": 0, kind: value, "finish_reason": finish}


def embeddings(call: Call) -> Exchange:
    """POST /v1/embeddings."""
    price = call.price(PRICES)
    given = call.body.get("input")
    texts = [given] if isinstance(given, str) else listed(call.body, "input")
    size = len(tokens(prompt_of(texts)))
    usage = usage_of(call, {"prompt_tokens": size, "completion_tokens": 0, "total_tokens": size})
    vectors = [
        {"object": "embedding", "index": index, "embedding": [0.03125] * 16}
        for index, _ in enumerate(texts)
    ]
    body: JSON = {"id": new_id("", 32), "object": "list", "data": vectors, "usage": usage}
    return _whole(price, usage, body | {"model": price.response_model})


def moderation(call: Call) -> Exchange:
    """POST /v1/moderations, /v1/chat/moderations."""
    return _judged(call, {"categories": {"pii": False}, "category_scores": {"pii": 0.01}})


def classification(call: Call) -> Exchange:
    """POST /v1/classifications, /v1/chat/classifications."""
    return _judged(call, {"language": {"scores": {"en": 0.99}}})


def _judged(call: Call, result: JSON) -> Exchange:
    price = call.price(PRICES)
    size = len(tokens(prompt_of(call.body.get("input"))))
    usage = usage_of(call, {"prompt_tokens": size, "completion_tokens": 0, "total_tokens": size})
    body: JSON = {"id": new_id("mod-", 32), "model": price.response_model, "results": [result]}
    return _whole(price, usage, body | {"usage": usage})


def document(call: Call) -> Exchange:
    """POST /v1/ocr: two pages, whatever is sent."""
    price = call.price(PRICES)
    annotates = call.body.get("document_annotation_format") is not None
    page: JSON = {"markdown": "# Report", "images": [], "dimensions": None}
    usage: JSON = {"pages_processed": 2, "doc_size_bytes": 4096}
    body: JSON = {
        "pages": [page | {"index": index} for index in range(2)],
        "model": price.response_model,
        "document_annotation": '{"title": "Report"}' if annotates else None,
        "usage_info": usage,
    }
    return _whole(price, usage, body, beyond=2 * PAGE)


def transcription(call: Call) -> Exchange:
    """POST /v1/audio/transcriptions."""
    price = call.price(PRICES)
    seconds = max(1, len(call.body["file"]) // BYTES_A_SECOND)
    answer = answered(call, str(len(call.body["file"])))
    asked, said = 4, answer.output_tokens
    usage = usage_of(
        call,
        {
            "prompt_audio_seconds": seconds,
            "prompt_tokens": asked,
            "total_tokens": asked + seconds * TOKENS_A_SECOND + said,
            "completion_tokens": said,
        },
    )
    body: JSON = {"model": price.response_model, "text": answer.text, "language": None}
    done: JSON = {"type": "transcription.done", **body, "segments": [], "usage": usage}
    return Exchange(
        price=price,
        response_id=new_id("", 32),
        usage=usage,
        tokens=billed(usage),
        body=body | {"segments": [], "usage": usage},
        events=[
            *(
                _event({"type": "transcription.text.delta", "text": piece}, delta=True)
                for piece in answer.deltas
            ),
            _event(done),
        ],
        failure=lambda sent: failure_of(call),
        beyond=SECOND * seconds,
    )


def speech(call: Call) -> Exchange:
    """POST /v1/audio/speech: sound in JSON, or events whose last has the usage."""
    price, text = call.price(PRICES), call.body["input"]
    said = len(tokens(text))
    usage = usage_of(
        call, {"prompt_tokens": said, "completion_tokens": 20 * said, "total_tokens": 21 * said}
    )
    sound = base64.b64encode(b"\xff\xf3" * 400).decode()
    delta = _event({"type": "speech.audio.delta", "audio_data": sound}, delta=True)
    return Exchange(
        price=price,
        response_id=new_id("", 32),
        usage=usage,
        tokens=billed(usage),
        body={"audio_data": sound},
        events=[*[delta] * 3, _event({"type": "speech.audio.done", "usage": usage})],
        failure=lambda sent: failure_of(call),
        beyond=CHARACTER * len(text),
    )


def _event(data: JSON, *, delta: bool = False) -> Event:
    return Event(data, name=data["type"], delta=delta)


def _whole(price: ListPrice, usage: JSON, body: JSON, *, beyond: Decimal = Decimal(0)) -> Exchange:
    response_id = body.get("id", new_id("", 32))
    return Exchange(price, response_id, usage, billed(usage), body, beyond=beyond)


_PATHS = (
    ("/chat/completions", "mistral.chat", completion),
    ("/fim/completions", "mistral.fim", completion),
    ("/agents/completions", "mistral.agents", completion),
    ("/embeddings", "mistral.embeddings", embeddings),
    ("/moderations", "mistral.moderations", moderation),
    ("/chat/moderations", "mistral.moderations", moderation),
    ("/classifications", "mistral.classifications", classification),
    ("/chat/classifications", "mistral.classifications", classification),
    ("/ocr", "mistral.ocr", document),
    ("/audio/transcriptions", "mistral.audio.transcriptions", transcription),
    ("/audio/speech", "mistral.audio.speech", speech),
)
AZURE = "/mistral/models"
VERTEX = "/v1/projects/{project}/locations/{location}/publishers/mistralai/models/{deployment}"

ENDPOINTS = (
    *(Endpoint(PREFIX + path, api, WIRE, answer) for path, api, answer in _PATHS),
    Endpoint(f"{AZURE}/chat/completions", "mistral.chat", WIRE, completion),
    Endpoint(f"{VERTEX}:rawPredict", "mistral.chat", WIRE, completion),
    Endpoint(f"{VERTEX}:streamRawPredict", "mistral.chat", WIRE, completion),
)
