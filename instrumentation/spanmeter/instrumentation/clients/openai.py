"""openai 1.x to 3.x, and every OpenAI-compatible service it is pointed at.

Usage blocks: platform.openai.com/docs/api-reference (chat/object, chat/streaming, responses/object,
completions, embeddings). All counts are inclusive: `prompt_tokens` holds cached tokens,
`completion_tokens` holds reasoning.
"""

import os
from typing import Any, Final

from spanmeter.instrumentation.endpoint import Attributes, Endpoint, Json, Reading, counts, mapping
from spanmeter.instrumentation.instrumentor import ClientInstrumentor
from spanmeter.instrumentation.stainless import host_of, stainless_patches
from spanmeter.metering import attributes as names

USAGE_OPT_OUT: Final = "SPANMETER_STREAM_USAGE_OPT_OUT"
"""Environment variable: hosts, comma-separated, that refuse `stream_options` and so are not asked
for usage."""

PROVIDERS_BY_HOST: Final = (
    (".openai.azure.com", "azure.ai.openai"),
    (".cognitiveservices.azure.com", "azure.ai.openai"),
    (".models.ai.azure.com", "azure.ai.inference"),
    ("openrouter.ai", "openrouter"),
    ("api.deepseek.com", "deepseek"),
    ("api.x.ai", "x_ai"),
    ("api.perplexity.ai", "perplexity"),
    ("api.fireworks.ai", "fireworks"),
    ("api.together.xyz", "together"),
    ("api.groq.com", "groq"),
    ("api.mistral.ai", "mistral_ai"),
    ("generativelanguage.googleapis.com", "gcp.gemini"),
)
"""Ends of host names of services that speak this API, with OpenTelemetry's names where it has one.
"""


def provider_of(client: Any) -> str:
    """The provider behind the client's class or base URL; openai where it is none we know (a gateway, a
    test server)."""
    if "Azure" in type(client).__name__:
        return "azure.ai.openai"
    host = host_of(client)
    return next((provider for end, provider in PROVIDERS_BY_HOST if host.endswith(end)), "openai")


def ask_for_usage(client: Any, options: Any) -> bool:
    """Has a streamed chat or completion report its usage, which this API does only when asked.

    True where the application did not ask itself, so that the event that carries it is kept from
    it.
    """
    body = mapping(options.json_data)
    asked = mapping(body.get("stream_options"))
    if not body.get("stream") or not str(options.url).endswith("completions"):
        return False
    if asked.get("include_usage") or host_of(client) in opted_out():
        return False
    # A new dict: this one may be the application's own.
    options.json_data = {**body, "stream_options": {**asked, "include_usage": True}}
    return True


def opted_out() -> list[str]:
    """The hosts that are not asked for usage."""
    return [host.strip() for host in os.environ.get(USAGE_OPT_OUT, "").split(",")]


def read_completion(body: Json) -> Reading:
    """A chat completion, completion or embedding, or one chunk of it."""
    usage, error = body.get("usage"), _error(body)
    return Reading(
        response_id=body.get("id"),
        model=body.get("model"),
        service_tier=body.get("service_tier"),
        usage=mapping(usage),
        error=error,
        # Compatible servers may count on in every chunk; what ends a stream has no choices.
        last=error is not None or (bool(usage) and not body.get("choices")),
    )


def read_response(body: Json) -> Reading:
    """An object of the Responses API."""
    return read_completion(body)._replace(
        last=body.get("status") in {"completed", "incomplete", "failed"}
    )


def read_response_event(event: Json) -> Reading:
    """An event of a streamed response; the object is inside those that tell its state."""
    if event.get("type") == "error":
        # Its details stand in the event itself, or in an object of their own.
        return Reading(error=_error({"error": event.get("error") or event}))
    return read_response(mapping(event.get("response")))


def _error(body: Json) -> str | None:
    error = body.get("error")
    if not error:
        return None
    details = mapping(error)
    return str(details.get("code") or details.get("type") or "error")


def completion_attributes(usage: Json) -> Attributes:
    """`CompletionUsage`, and the usage of embeddings, which have input alone."""
    prompt = mapping(usage.get("prompt_tokens_details"))
    completion = mapping(usage.get("completion_tokens_details"))
    return counts(
        {
            names.INPUT_TOKENS: usage.get("prompt_tokens"),
            names.CACHE_READ_INPUT_TOKENS: prompt.get("cached_tokens"),
            names.CACHE_WRITE_INPUT_TOKENS: prompt.get("cache_write_tokens"),
            names.AUDIO_INPUT_TOKENS: prompt.get("audio_tokens"),
            names.IMAGE_INPUT_TOKENS: prompt.get("image_tokens"),
            names.OUTPUT_TOKENS: usage.get("completion_tokens"),
            names.REASONING_OUTPUT_TOKENS: completion.get("reasoning_tokens"),
            names.AUDIO_OUTPUT_TOKENS: completion.get("audio_tokens"),
            names.IMAGE_OUTPUT_TOKENS: completion.get("image_tokens"),
        }
    )


def response_attributes(usage: Json) -> Attributes:
    """`ResponseUsage`."""
    given = mapping(usage.get("input_tokens_details"))
    made = mapping(usage.get("output_tokens_details"))
    by_ttl = mapping(given.get("cache_write_tokens_details"))
    return counts(
        {
            names.INPUT_TOKENS: usage.get("input_tokens"),
            names.CACHE_READ_INPUT_TOKENS: given.get("cached_tokens"),
            names.CACHE_WRITE_INPUT_TOKENS: given.get("cache_write_tokens"),
            **{
                names.cache_write(ttl.removeprefix("ttl_")): tokens
                for ttl, tokens in by_ttl.items()
            },
            names.OUTPUT_TOKENS: usage.get("output_tokens"),
            names.REASONING_OUTPUT_TOKENS: made.get("reasoning_tokens"),
        }
    )


_TELLING: Final = (b'"prompt_tokens"', b'"error"', b"[DONE]")

ENDPOINTS: Final = {
    "/chat/completions": Endpoint(
        names.CHAT, read_completion, read_completion, completion_attributes, _TELLING
    ),
    "/completions": Endpoint(
        names.TEXT_COMPLETION, read_completion, read_completion, completion_attributes, _TELLING
    ),
    "/embeddings": Endpoint(
        names.EMBEDDINGS, read_completion, read_completion, completion_attributes, _TELLING
    ),
    "/responses": Endpoint(
        names.CHAT,
        read_response,
        read_response_event,
        response_attributes,
        (b"response.completed", b"response.incomplete", b"response.failed", b'"error"'),
    ),
}


class OpenAIInstrumentor(ClientInstrumentor):
    """Meters the `openai` package."""

    package = "openai"
    patches = stainless_patches(
        package, ENDPOINTS, provider_of=provider_of, ask_for_usage=ask_for_usage
    )
