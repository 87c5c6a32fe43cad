"""Google's wire: `generateContent`, whole and streamed, of the Gemini API and of Vertex AI.

Source: ai.google.dev/api/generate-content, and the types of Google's Python SDK. Each chunk of a
stream carries the usage so far; the last one's is that of the whole call.
"""

from collections.abc import Iterator, Mapping
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
from simulated_provider.prices import GOOGLE, PriceList, Tokens

PRICES = PriceList(GOOGLE)

PREFIXES = ("/{version}", "/{version}/projects/{project}/locations/{location}/publishers/google")
"""Where the Gemini API serves, and where Vertex AI does. SDKs up to 2.x ask for `v1beta`."""

_ERRORS: dict[int, tuple[str, str]] = {
    400: ("INVALID_ARGUMENT", "Request contains an invalid argument."),
    401: ("UNAUTHENTICATED", "API keys are not supported by this API."),
    403: ("PERMISSION_DENIED", "The caller does not have permission"),
    404: ("NOT_FOUND", "Requested entity was not found."),
    429: ("RESOURCE_EXHAUSTED", "Resource has been exhausted (e.g. check quota)."),
    500: ("INTERNAL", "An internal error has occurred."),
    503: ("UNAVAILABLE", "The model is overloaded. Please try again later."),
    504: ("DEADLINE_EXCEEDED", "Deadline expired before operation could complete."),
}


def error_body(
    status: int,
    request_id: str,
    message: str | None = None,
    replaced: Mapping[str, Any] | None = None,
) -> JSON:
    """The body of an error response; also the data of the event with which a stream breaks off."""
    name, default = _ERRORS.get(status, ("UNKNOWN", "The request failed."))
    error = {"code": status, "message": message or default, "status": name}
    return {"error": error if replaced is None else dict(replaced)}


def headers(request_id: str) -> Mapping[str, str]:
    """The headers that Google adds to every answer."""
    return {"server": "scaffolding on HTTPServer2", "vary": "Origin", "x-request-id": request_id}


WIRE = Wire(request_id=lambda: new_id("", 22), headers=headers, error=error_body)


def is_vertex(call: Call) -> bool:
    """Whether the call came over Vertex AI."""
    return "project" in call.path


def usage_of(call: Call, counted: JSON) -> JSON:
    """The usage block to bill: the one that the script gives, or what was counted."""
    return counted if call.reply.usage is None else dict(call.reply.usage)


def billed(usage: JSON) -> Tokens:
    """The tokens of a `usageMetadata`. The prompt includes the cached; a tool's is beside it."""
    thoughts = usage.get("thoughtsTokenCount") or 0
    return Tokens(
        input=usage.get("promptTokenCount", 0) + usage.get("toolUsePromptTokenCount", 0),
        cache_read=usage.get("cachedContentTokenCount") or 0,
        output=usage.get("candidatesTokenCount", 0) + thoughts,
        reasoning=thoughts,
    )


def generate(call: Call) -> Exchange:
    """POST …/models/{model}:generateContent and :streamGenerateContent."""
    price = call.price(PRICES)
    prompt = prompt_of(call.body.get("systemInstruction"), listed(call.body, "contents"))
    config = section(call.body, "generationConfig")
    answer = compose(
        prompt,
        text=call.reply.text,
        chunks=call.reply.chunks,
        limit=config.get("maxOutputTokens"),
        reasons=price.reasons,
    )
    cached = call.cache.implicit(price.response_model, tokens(prompt))
    usage = usage_of(call, _usage(call, len(tokens(prompt)), cached.read, answer))
    head: JSON = {"modelVersion": price.response_model, "responseId": new_id("", 22)}
    parts = [_call_of(call)] if _wants_function(call) else [{"text": answer.text}]
    body = _chunk(call, head, parts, usage, finish=_finish_reason(answer))
    failure = Event(error_body(503, call.request_id, None, call.reply.error))
    return Exchange(
        price=price,
        response_id=head["responseId"],
        usage=usage,
        tokens=billed(usage),
        body=body,
        events=list(_events(call, head, parts, usage, answer)),
        failure=lambda sent: [failure],
    )


def _usage(call: Call, size: int, cached: int, answer: Answer) -> JSON:
    tier = call.reply.service_tier
    usage: JSON = {
        "promptTokenCount": size,
        "candidatesTokenCount": answer.text_tokens,
        "totalTokenCount": size + answer.output_tokens,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": size}],
    }
    if is_vertex(call):
        usage["trafficType"] = tier or "ON_DEMAND"
        usage["candidatesTokensDetails"] = [{"modality": "TEXT", "tokenCount": answer.text_tokens}]
    else:
        usage["serviceTier"] = tier or "standard"
    if cached:
        usage["cachedContentTokenCount"] = cached
        usage["cacheTokensDetails"] = [{"modality": "TEXT", "tokenCount": cached}]
    if answer.reasoning_tokens:
        usage["thoughtsTokenCount"] = answer.reasoning_tokens
    return usage


def _wants_function(call: Call) -> bool:
    """Functions are declared, and the user has just spoken: the model calls the first of them."""
    declared = any(listed(tool, "functionDeclarations") for tool in listed(call.body, "tools"))
    last = listed(call.body, "contents")[-1:]
    answered = any("functionResponse" in part for turn in last for part in listed(turn, "parts"))
    return declared and not answered


def _call_of(call: Call) -> JSON:
    """A call of the first function, with its own name for every text that it takes."""
    [declared, *_] = (
        function
        for tool in listed(call.body, "tools")
        for function in listed(tool, "functionDeclarations")
    )
    schema: JSON = declared.get("parametersJsonSchema") or declared.get("parameters") or {}
    return {
        "functionCall": {
            "name": declared["name"],
            "args": {name: name for name in section(schema, "properties")},
        }
    }


def _finish_reason(answer: Answer) -> str:
    return "MAX_TOKENS" if answer.truncated else "STOP"


def _chunk(
    call: Call, head: JSON, parts: list[JSON], usage: JSON, *, finish: str | None = None
) -> JSON:
    candidate: JSON = {"content": {"parts": parts, "role": "model"}}
    if finish is not None:
        candidate["finishReason"] = finish
    if finish is not None and _searches(call):
        candidate["groundingMetadata"] = {"webSearchQueries": _searches(call)}
    counted = {} if call.reply.without_usage else {"usageMetadata": usage}
    return {"candidates": [candidate | {"index": 0}], **counted, **head}


def _searches(call: Call) -> list[str]:
    """What the model looks up where it may search: two queries to each request."""
    searches = any("googleSearch" in tool for tool in listed(call.body, "tools"))
    return ["revenue by region", "revenue forecast"] if searches else []


def _events(
    call: Call, head: JSON, parts: list[JSON], usage: JSON, answer: Answer
) -> Iterator[Event]:
    """The chunks. What has come so far is counted in each."""
    if "functionCall" in parts[0]:
        yield Event(_chunk(call, head, parts, usage, finish="STOP"), delta=True)
        return
    said = 0
    for piece in answer.deltas:
        said += len(tokens(piece))
        yield Event(_chunk(call, head, [{"text": piece}], _so_far(usage, said)), delta=True)
    yield Event(_chunk(call, head, [{"text": ""}], usage, finish=_finish_reason(answer)))


def _so_far(usage: JSON, said: int) -> JSON:
    """The usage of a chunk in the middle: the prompt's, the thoughts', and what has been said."""
    final = usage.get("candidatesTokenCount", 0)
    so_far = min(said, final)
    counts = {"candidatesTokenCount": so_far}
    if "totalTokenCount" in usage:
        counts["totalTokenCount"] = usage["totalTokenCount"] - final + so_far
    # What is 0 is left out, and so are the details of what is not complete.
    left_out = {"candidatesTokenCount", "candidatesTokensDetails"}
    kept = {key: value for key, value in usage.items() if key not in left_out}
    return kept | {key: value for key, value in counts.items() if value}


# `deployment` is the model's name.
ENDPOINTS = tuple(
    Endpoint(
        f"{prefix}/models/{{deployment}}:{method}",
        "gemini.generate_content",
        WIRE,
        generate,
        streams=method.startswith("stream"),
    )
    for prefix in PREFIXES
    for method in ("generateContent", "streamGenerateContent")
)
