"""OpenAI's chat completions, completions, embeddings and moderations, and what services that
speak the same API make of them.

Usage blocks: developers.openai.com/api/reference (chat, completions, embeddings). Counts are
inclusive: `prompt_tokens` holds cached tokens, `completion_tokens` holds reasoning. Where another
service leaves something out of them, it is put in here.
"""

from collections.abc import Iterable
from typing import Any, Final

from spanmeter.instrumentation.clients.openai_providers import read_region
from spanmeter.instrumentation.endpoint import (
    Attributes,
    Endpoint,
    Json,
    Reading,
    counts,
    items,
    mapping,
    reads,
)
from spanmeter.instrumentation.texts import prompt_of, texts_in
from spanmeter.metering import attributes as names


# Whether there are choices matters in a stream.
@reads("id", "model", "service_tier", "usage", "error")
def read_completion(body: Json) -> Reading:
    """A chat completion, completion, embedding or moderation, or one chunk of it."""
    usage, error = body.get("usage"), error_in(body)
    return Reading(
        body.get("id"),
        body.get("model"),
        body.get("service_tier"),
        mapping(usage),
        error,
        # Compatible servers may count on in every chunk; what ends a stream has no choices.
        last=error is not None or (bool(usage) and not body.get("choices")),
    )


def error_in(body: Json) -> str | None:
    """The provider's name of what went wrong."""
    error = body.get("error")
    if not error:
        return None
    details = mapping(error)
    return str(details.get("code") or details.get("type") or "error")


def completion_attributes(usage: Json) -> Attributes:
    """`CompletionUsage`, and the usage of embeddings, which have input alone."""
    prompt = mapping(usage.get("prompt_tokens_details"))
    completion = mapping(usage.get("completion_tokens_details"))
    reasoning = completion.get("reasoning_tokens")
    found: dict[str, object] = {
        names.INPUT_TOKENS: usage.get("prompt_tokens"),
        names.CACHE_READ_INPUT_TOKENS: _cached(usage, prompt),
        names.CACHE_WRITE_INPUT_TOKENS: prompt.get("cache_write_tokens"),
        names.AUDIO_INPUT_TOKENS: prompt.get("audio_tokens"),
        names.IMAGE_INPUT_TOKENS: prompt.get("image_tokens"),
        names.OUTPUT_TOKENS: _output(usage, reasoning),
        names.REASONING_OUTPUT_TOKENS: (
            usage.get("reasoning_tokens") if reasoning is None else reasoning
        ),
        names.AUDIO_OUTPUT_TOKENS: completion.get("audio_tokens"),
        names.IMAGE_OUTPUT_TOKENS: completion.get("image_tokens"),
    }
    if not _TOOL_COUNTS.isdisjoint(usage):
        found.update((names.quantity(unit), amount) for unit, amount in _tools(usage) if amount)
    return counts(found)


def _cached(usage: Json, prompt: Json) -> object:
    """Cached tokens: OpenAI's field, DeepSeek's, Moonshot's."""
    cached = prompt.get("cached_tokens")
    if cached is None:
        cached = usage.get("prompt_cache_hit_tokens")
    return usage.get("cached_tokens") if cached is None else cached


def _output(usage: Json, reasoning: object) -> object:
    """All that the model made, and is paid for as such.

    xAI and Gemini leave reasoning out of `completion_tokens` but in `total_tokens`; Perplexity,
    which says how often it searched, leaves reasoning and citations out of both.
    """
    said, prompt = usage.get("completion_tokens"), usage.get("prompt_tokens")
    total = usage.get("total_tokens")
    if not isinstance(said, int):
        return said
    if "num_search_queries" in usage or "citation_tokens" in usage:
        return said + (usage.get("reasoning_tokens") or 0) + (usage.get("citation_tokens") or 0)
    if not isinstance(prompt, int) or not isinstance(total, int) or total <= prompt + said:
        return said
    beyond = total - prompt - said
    detailed = usage.get("completion_tokens_details") or usage.get("prompt_tokens_details")
    return said + beyond if beyond == reasoning or not detailed else said


_TOOL_COUNTS: Final = frozenset(
    {
        "citation_tokens",
        "num_search_queries",
        "num_sources_used",
        "server_side_tool_usage_details",
        "server_tool_use",
    }
)
"""Members of a usage block that `_tools` reads."""


def _tools(usage: Json) -> Iterable[tuple[str, Any]]:
    """What the provider's own tools did, by unit: as Perplexity, OpenRouter and xAI report it."""
    xai = mapping(usage.get("server_side_tool_usage_details"))
    openrouter = mapping(usage.get("server_tool_use"))
    searches = usage.get("num_search_queries") or openrouter.get("web_search_requests")
    return (
        ("output_citation_tokens", usage.get("citation_tokens")),
        ("web_searches", searches or xai.get("web_search_calls")),
        ("social_searches", xai.get("x_search_calls")),
        ("storage_searches", xai.get("file_search_calls")),
        ("code_executions", xai.get("code_interpreter_calls")),
        ("search_sources", usage.get("num_sources_used")),
    )


def said_in_completion(body: Json) -> Iterable[str]:
    """What a chat completion, a completion, or a chunk of either says."""
    for choice in items(body.get("choices")):
        yield from texts_in(choice.get("delta") or choice.get("message") or choice)


def _no_usage(usage: Json) -> Attributes:
    return {}


_TELLING: Final = (b'"prompt_tokens"', b'"error"', b"[DONE]")


def _endpoint(operation: str) -> Endpoint:
    return Endpoint(
        operation,
        read_completion,
        read_completion,
        completion_attributes,
        _TELLING,
        prompt_of,
        said_in_completion,
        read_headers=read_region,
    )


ENDPOINTS: Final = {
    "POST /chat/completions": _endpoint(names.CHAT)._replace(
        output_limit=("max_completion_tokens",)
    ),
    "POST /completions": _endpoint(names.TEXT_COMPLETION)._replace(output_limit=("max_tokens",)),
    "POST /embeddings": Endpoint(
        names.EMBEDDINGS,
        read_completion,
        read_completion,
        completion_attributes,
        _TELLING,
        read_headers=read_region,
    ),
    # Free of charge, and without a usage block: a record of the call, not of any count.
    "POST /moderations": Endpoint(
        names.MODERATION, read_completion, read_completion, _no_usage, read_headers=read_region
    ),
}
