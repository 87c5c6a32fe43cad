"""The wires that litellm speaks by itself, told apart by the path of a request."""

import re
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple
from urllib.parse import SplitResult, unquote

from spanmeter.instrumentation.clients import (
    anthropic_messages,
    bedrock,
    cohere_usage,
    google_usage,
    groq,
    mistralai_usage,
    ollama,
    openai,
    together,
)
from spanmeter.instrumentation.clients.bedrock_usage import CONVERSE, INVOKE, model_name
from spanmeter.instrumentation.clients.openai_providers import (
    COMPATIBLE,
    declared,
    provider_of_host,
)
from spanmeter.instrumentation.endpoint import (
    Attributes,
    Endpoint,
    Json,
    Reading,
    counts,
    endpoint_for,
    mapping,
)
from spanmeter.instrumentation.texts import prompt_of
from spanmeter.metering import attributes as names

PROVIDERS: Final[Mapping[str, str]] = {
    "anthropic_text": "anthropic",
    "azure": "azure.ai.openai",
    "azure_ai": "azure.ai.inference",
    "azure_text": "azure.ai.openai",
    "bedrock": "aws.bedrock",
    "codestral": "mistral_ai",
    "cohere_chat": "cohere",
    "fireworks_ai": "fireworks",
    "gemini": "gcp.gemini",
    "hosted_vllm": "vllm",
    "mistral": "mistral_ai",
    "moonshot": "moonshot_ai",
    "ollama_chat": "ollama",
    "text-completion-codestral": "mistral_ai",
    "together_ai": "together",
    "vertex_ai": "gcp.vertex_ai",
    "vertex_ai_beta": "gcp.vertex_ai",
    "watsonx": "ibm.watsonx.ai",
    "xai": "x_ai",
}
"""litellm's names of providers, where they are not OpenTelemetry's or the provider's own."""

BY_HOST: Final = frozenset({"openai", "custom_openai", "openai_like", "litellm_proxy"})
"""litellm's names of whatever serves at an address and speaks OpenAI's API."""

_BEDROCK: Final = re.compile(r"/model/([^/]+)/(converse|invoke)((?:-with-response)?-stream)?$")
_LOCATION: Final = re.compile(r"/locations/([^/]+)/")
_RAW: Final = re.compile(r"/publishers/anthropic/models/([^/:]+):(?:stream)?[rR]awPredict$")


def read_event(event: Json) -> Reading:
    """An event of a streamed message of Anthropic's. litellm reads on no further than to why the
    message ends, which comes with the last counts."""
    reading = anthropic_messages.read_event(event)
    ended = mapping(event.get("delta")).get("stop_reason") is not None
    return reading._replace(last=reading.last or ended)


MESSAGES: Final = anthropic_messages.MESSAGES._replace(read_event=read_event)


def total_attributes(usage: Json) -> Attributes:
    """The usage of embeddings and reranking, of which some services tell the total alone."""
    return counts({names.INPUT_TOKENS: usage.get("prompt_tokens", usage.get("total_tokens"))})


_BY_PROVIDER: Final[Mapping[str, Mapping[str, Endpoint]]] = {
    "cohere": cohere_usage.ENDPOINTS,
    "groq": groq.ENDPOINTS,
    "together": together.ENDPOINTS,
    "mistral_ai": mistralai_usage.ENDPOINTS,
}
_BY_PATH: Final = (
    ("anthropic", {**anthropic_messages.ENDPOINTS, "POST /v1/messages": MESSAGES}),
    ("cohere", {key: each for key, each in cohere_usage.ENDPOINTS.items() if "/v2/" in key}),
    ("ollama", ollama.ENDPOINTS),
    (
        COMPATIBLE,
        {
            **openai.ENDPOINTS,
            "POST /embeddings": openai.ENDPOINTS["POST /embeddings"]._replace(
                attributes=total_attributes
            ),
            "POST /rerank": together.ENDPOINTS["POST /rerank"]._replace(
                attributes=total_attributes
            ),
        },
    ),
)


class Asked(NamedTuple):
    """What a request asks for. `model` is the one that its path names, where it does so."""

    endpoint: Endpoint
    provider: str
    model: str | None = None
    region: str | None = None


def asked(url: SplitResult, body: Json, named: str | None) -> Asked | None:
    """What a POST request asks for; `None` for what is no use of a model that we know.

    `named` is litellm's name of the provider, as far as it has told.
    """
    wires: tuple[Callable[[SplitResult, Json, str | None], Asked | None], ...]
    wires = (_bedrock, _google, _vertex_anthropic, _by_path)
    provider = _provider(url, named)
    return next((found for wire in wires if (found := wire(url, body, provider))), None)


def _provider(url: SplitResult, named: str | None) -> str | None:
    """Who serves, if it is told by the operator, by litellm or by the host."""
    stated = declared(url.hostname or "", url.port)
    if stated is None and named is not None and named not in BY_HOST:
        return PROVIDERS.get(named, named)
    host = stated or provider_of_host(url.hostname or "", url.port)
    return None if host == COMPATIBLE else host


def _bedrock(url: SplitResult, body: Json, provider: str | None) -> Asked | None:
    path = _BEDROCK.search(url.path)
    if path is None:
        return None
    model_id = unquote(path[1])
    operation = ("Converse" if path[2] == "converse" else "InvokeModel") + (
        "Stream" if path[3] else ""
    )
    endpoint = (CONVERSE if path[2] == "converse" else INVOKE)._replace(prompt=prompt_of)
    of_host = re.search(r"\.([a-z]{2}(?:-[a-z]+)+-\d+)\.", url.hostname or "")
    return Asked(
        bedrock.endpoint_of(endpoint, operation, model_id),
        provider or "aws.bedrock",
        model_name(model_id),
        bedrock.region_of(model_id, of_host[1] if of_host else None),
    )


def _google(url: SplitResult, body: Json, provider: str | None) -> Asked | None:
    found = google_usage.endpoint_of(url.path, body)
    if found is None:
        return None
    location = _LOCATION.search(url.path)
    served_by = "gcp.gemini" if location is None else "gcp.vertex_ai"
    return Asked(found[0], provider or served_by, found[1], location and location[1])


def _vertex_anthropic(url: SplitResult, body: Json, provider: str | None) -> Asked | None:
    path, location = _RAW.search(url.path), _LOCATION.search(url.path)
    if path is None:
        return None
    return Asked(MESSAGES, provider or "gcp.vertex_ai", path[1], location and location[1])


def _by_path(url: SplitResult, body: Json, provider: str | None) -> Asked | None:
    own = () if provider is None else ((provider, _BY_PROVIDER.get(provider, {})),)
    for whose, endpoints in (*own, *_BY_PATH):
        endpoint = endpoint_for(endpoints, "POST", url.path)
        if endpoint is not None:
            return Asked(endpoint, provider or whose)
    return None
