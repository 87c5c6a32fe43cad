"""Which spans tell of the use of a model.

When a span starts it is only probable, by its scope, name or first attributes; when it has ended its
kind is certain. What a kind means is for the collector's dialects to say: here are left out only those
that are no request to a provider in any of them.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from itertools import pairwise
from typing import Final

from opentelemetry.trace import SpanKind

from spanmeter.metering import attributes as names

Attributes = Mapping[str, object]

OWN_SCOPES: Final = (names.SCOPE_PREFIX, names.TRACING_SCOPE_PREFIX)

_ABOUT_MODELS: Final = frozenset(
    {
        # Instrumentations and conventions.
        *("genai", "llm", "openinference", "traceloop", "openlit", "langfuse"),
        # Providers and their packages.
        *("anthropic", "bedrock", "cohere", "deepseek", "gemini", "generativeai", "groq"),
        *("mistral", "mistralai", "ollama", "openai", "replicate", "sagemaker", "together"),
        *("vertexai", "voyageai", "watsonx"),
        # Frameworks.
        *("agno", "autogen", "crewai", "dspy", "haystack", "langchain", "langgraph", "litellm"),
        *("llamaindex", "pydantic_ai", "semantic_kernel", "smolagents", "strands"),
    }
)
"""Words of which the scopes of instrumentations that are about models have one."""

_FIRST_ATTRIBUTES: Final = (
    "gen_ai.",
    "llm.",
    "openinference.",
    "langfuse.observation.",
    "ai.model.",
)
"""Beginnings of attribute names by which a span that starts is about a model."""

_FIRST_WORDS: Final = frozenset(
    {
        names.CHAT,
        names.GENERATE_CONTENT,
        names.TEXT_COMPLETION,
        names.EMBEDDINGS,
        "invoke_agent",
    }
)
"""OpenTelemetry names spans `{operation} {model}`: operations by which a span is about a model."""

_NO_CALLS: Final = frozenset(
    {
        names.FETCH_RESPONSE,
        "create_agent",
        "execute_tool",
        "invoke_workflow",
        "plan",
        "retrieval",
    }
)
"""Operations of OpenTelemetry's that ask no model anything, or only in spans inside."""

_CALLS: Final[Mapping[str, frozenset[str]]] = {
    "openinference.span.kind": frozenset({"LLM", "EMBEDDING", "RERANKER"}),
    "langfuse.observation.type": frozenset({"generation", "embedding"}),
}
"""Attributes that tell the kind of a span, and the kinds that are calls."""

_CALLS_UNLESS_UNKNOWN: Final = ("llm.request.type", "ai.operationId")
"""Attributes that only calls and what wraps them have; the collector tells them apart."""

TELLTALES: Final = frozenset({names.OPERATION_NAME, *_CALLS, *_CALLS_UNLESS_UNKNOWN})
"""Attributes of which every call's span has one."""


@lru_cache(maxsize=1024)
def is_about_models(scope: str) -> bool:
    """Whether a scope is that of an instrumentation that makes spans of the use of models."""
    words = re.split(r"[^a-z0-9]+", scope[:256].lower())
    pairs = map("_".join, pairwise(words))
    return not _ABOUT_MODELS.isdisjoint(words) or not _ABOUT_MODELS.isdisjoint(pairs)


@lru_cache(maxsize=1024)
def is_own(scope: str) -> bool:
    """Whether a scope is ours: its spans have records already."""
    return scope.startswith(OWN_SCOPES)


def is_probable(name: str, attributes: Attributes | None) -> bool:
    """Whether a span that starts with this name and these attributes is about a model."""
    for each in attributes or ():
        if each.startswith(_FIRST_ATTRIBUTES):
            return True
    return name.partition(" ")[0] in _FIRST_WORDS


def is_call(attributes: Attributes, kind: SpanKind) -> bool:
    """Whether a span that has ended may be one request to a provider.

    An agent's may where another service runs the agent. Those of workflows, chains, tools and agents
    that run here are not: the calls in their course have spans of their own.
    """
    operation = attributes.get(names.OPERATION_NAME)
    if isinstance(operation, str) and _asks(operation, kind):
        return True
    if any(attributes.get(name) in calls for name, calls in _CALLS.items()):
        return True
    return any(attributes.get(name, "unknown") != "unknown" for name in _CALLS_UNLESS_UNKNOWN)


def _asks(operation: str, kind: SpanKind) -> bool:
    if operation == "invoke_agent":
        return kind is SpanKind.CLIENT
    return operation not in _NO_CALLS and "memory" not in operation


def tells_usage(attributes: Attributes) -> bool:
    """Whether a span says how much was used."""
    return any(map(_is_count, attributes, attributes.values()))


def _is_count(name: str, value: object) -> bool:
    if isinstance(value, str):
        return name in names.READ_USAGE
    return bool(value) and ("usage" in name or "token_count" in name)
