"""OpenAI's wire: what its endpoints share, and the answers that come as choices.

Source: the API reference at developers.openai.com/api, and the types of its Python SDK.
Azure OpenAI serves the same under /openai/deployments/{deployment}, with content-filter results.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from simulated_provider.exchange import JSON, Call, Event, Exchange, Wire, new_id, section
from simulated_provider.prices import OPENAI, ListPrice, PriceList, Tokens

PRICES = PriceList(OPENAI)

FILTERED: JSON = {
    category: {"filtered": False, "severity": "safe"}
    for category in ("hate", "self_harm", "sexual", "violence")
}

PROMPT_FILTERED: list[JSON] = [{"prompt_index": 0, "content_filter_results": FILTERED}]

_ERRORS: dict[int, tuple[str, str | None, str]] = {
    400: ("invalid_request_error", None, "Invalid request."),
    401: ("invalid_request_error", "invalid_api_key", "Incorrect API key provided."),
    404: ("invalid_request_error", "model_not_found", "The model does not exist."),
    429: ("tokens", "rate_limit_exceeded", "Rate limit reached on tokens per min (TPM)."),
    500: ("server_error", None, "The server had an error while processing your request. Sorry!"),
    503: ("server_error", "server_overloaded", "The engine is currently overloaded."),
}


def error_body(
    status: int,
    request_id: str,
    message: str | None = None,
    replaced: Mapping[str, Any] | None = None,
) -> JSON:
    """The body of an error response; also the data of a mid-stream error of the older endpoints."""
    kind, code, default = _ERRORS.get(status, ("server_error", None, "The request failed."))
    error = {"message": message or default, "type": kind, "param": None, "code": code}
    return {"error": error if replaced is None else dict(replaced)}


def headers(request_id: str) -> Mapping[str, str]:
    """The headers that OpenAI adds to every answer."""
    return {
        "x-request-id": request_id,
        "openai-organization": "simulated",
        "openai-processing-ms": "42",
        "openai-version": "2020-10-01",
        "x-ratelimit-limit-requests": "10000",
        "x-ratelimit-limit-tokens": "2000000",
        "x-ratelimit-remaining-requests": "9999",
        "x-ratelimit-remaining-tokens": "1999000",
        "x-ratelimit-reset-requests": "6ms",
        "x-ratelimit-reset-tokens": "30ms",
    }


WIRE = Wire(request_id=lambda: new_id("req_", 32), headers=headers, error=error_body)


def usage_of(call: Call, counted: JSON) -> JSON:
    """The usage block to bill: the one that the script gives, or what was counted."""
    return counted if call.reply.usage is None else dict(call.reply.usage)


def billed(usage: JSON) -> Tokens:
    """The tokens of a usage block of chat, completions or embeddings. Input includes cached."""
    prompt = section(usage, "prompt_tokens_details")
    completed = section(usage, "completion_tokens_details")
    return Tokens(
        input=usage.get("prompt_tokens", 0),
        cache_read=prompt.get("cached_tokens") or 0,
        cache_write=prompt.get("cache_write_tokens") or 0,
        output=usage.get("completion_tokens", 0),
        reasoning=completed.get("reasoning_tokens") or 0,
    )


def choices_exchange(
    call: Call,
    price: ListPrice,
    usage: JSON,
    head: JSON,
    *,
    choice: JSON,
    deltas: list[JSON],
) -> Exchange:
    """The answer of an endpoint that knows choices; `deltas` are those of the chunks, one each."""
    body = head | {"choices": [choice]}
    if call.deployed:
        body["prompt_filter_results"] = PROMPT_FILTERED
    if not call.reply.without_usage:
        body["usage"] = usage
    return Exchange(
        price=price,
        response_id=head["id"],
        usage=usage,
        tokens=billed(usage),
        body=body,
        events=list(_chunks(call, usage, head, deltas)),
        failure=lambda sent: [Event(error_body(500, call.request_id, None, call.reply.error))],
    )


def _chunks(call: Call, usage: JSON, head: JSON, choices: list[JSON]) -> Iterator[Event]:
    """Every chunk, then [DONE]. Who asked for usage gets null, and last a chunk of its own."""
    options = section(call.body, "stream_options")
    counted = bool(options.get("include_usage")) and not call.reply.without_usage
    if head["object"] == "chat.completion":
        head = head | {"object": "chat.completion.chunk"}
    base = head | ({"usage": None} if counted else {})
    if call.deployed:
        yield Event(_azure_opening())
    for choice in choices:
        yield Event(base | {"choices": [choice]}, delta=_has_text(choice))
    if counted:
        yield Event(head | {"choices": [], "usage": usage})
    yield Event("[DONE]")


def _azure_opening() -> JSON:
    """Azure opens each stream with a chunk that has no choice, only the filter's results."""
    empty: JSON = {"id": "", "object": "", "created": 0, "model": "", "choices": []}
    return empty | {"prompt_filter_results": PROMPT_FILTERED}


def _has_text(choice: JSON) -> bool:
    return bool(choice.get("text") or choice.get("delta", {}).get("content"))


PREFIXES = ("/v1", "/openai/v1", "/openai/deployments/{deployment}")
"""Where OpenAI serves, and where Azure does: its newer form, and a path for each deployment."""
