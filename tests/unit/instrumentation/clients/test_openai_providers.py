"""Calls through the openai package are those of whoever serves them, in whose way they count."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from openai import AsyncAzureOpenAI, AzureOpenAI, OpenAI

from simulated_provider import Reply, SimulatedProvider
from spanmeter.instrumentation.clients.openai import ask_for_usage
from spanmeter.instrumentation.clients.openai_completions import completion_attributes
from spanmeter.instrumentation.clients.openai_providers import (
    PROVIDER_HOSTS,
    provider_of,
    region_of,
)
from spanmeter.metering import attributes as names
from unit.instrumentation.recording import Recorder, check_usage

ASK: Any = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "How did we do?"}]}


@pytest.mark.parametrize(
    ("base_url", "provider", "region"),
    [
        ("https://api.openai.com/v1", "openai", None),
        ("https://eu.api.openai.com/v1", "openai", "eu"),
        ("https://acme.openai.azure.com/openai/v1", "azure.ai.openai", None),
        ("https://acme.services.ai.azure.com/openai/v1", "azure.ai.openai", None),
        ("https://openrouter.ai/api/v1", "openrouter", None),
        ("https://api.deepseek.com", "deepseek", None),
        ("https://api.x.ai/v1", "x_ai", None),
        ("https://api.perplexity.ai", "perplexity", None),
        ("https://api.fireworks.ai/inference/v1", "fireworks", None),
        ("https://api.together.xyz/v1", "together", None),
        ("https://api.groq.com/openai/v1", "groq", None),
        ("https://api.mistral.ai/v1", "mistral_ai", None),
        ("https://generativelanguage.googleapis.com/v1beta/openai/", "gcp.gemini", None),
        ("https://us-east5-aiplatform.googleapis.com/v1/x/openapi", "gcp.vertex_ai", None),
        (
            "https://bedrock-runtime.eu-west-1.amazonaws.com/openai/v1",
            "aws.bedrock",
            "eu-west-1",
        ),
        ("https://llm.internal/v1", "openai_compatible", None),
        ("http://localhost:8000/v1", "openai_compatible", None),
    ],
)
def test_a_host_tells_the_provider(
    monkeypatch: pytest.MonkeyPatch,
    base_url: str,
    provider: str,
    region: str | None,
) -> None:
    """A host that is not known is not OpenAI, whose prices it does not have."""
    monkeypatch.delenv(PROVIDER_HOSTS)
    client = OpenAI(base_url=base_url, api_key="any")
    assert provider_of(client) == provider
    assert region_of(client) == region


@pytest.mark.parametrize(
    ("base_url", "provider"),
    [
        ("http://llm.internal/v1", "vllm"),
        ("http://gpu-7.llm.internal/v1", "vllm"),
        ("http://10.0.0.7:30000/v1", "sglang"),
        ("http://10.0.0.7:11434/v1", "openai_compatible"),
        ("https://api.openai.com/v1", "my_gateway"),
        ("http://notllm.internal/v1", "openai_compatible"),
    ],
)
def test_the_operator_tells_the_provider(
    monkeypatch: pytest.MonkeyPatch,
    base_url: str,
    provider: str,
) -> None:
    declared = "llm.internal=vllm, 10.0.0.7:30000=sglang,api.openai.com=my_gateway,nonsense"
    monkeypatch.setenv(PROVIDER_HOSTS, declared)
    client = OpenAI(base_url=base_url, api_key="any")
    assert provider_of(client) == provider


def test_a_class_tells_the_provider_behind_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(PROVIDER_HOSTS)

    class OurClient(AzureOpenAI):
        """An application's own."""

    client = OurClient(base_url="http://proxy.internal", api_version="1", api_key="any")
    assert provider_of(client) == "azure.ai.openai"


@pytest.mark.parametrize("stream", [False, True])
def test_azure(
    recorder: Recorder,
    provider: SimulatedProvider,
    monkeypatch: pytest.MonkeyPatch,
    *,
    stream: bool,
) -> None:
    """The deployment is what is asked for; the model and the region are what is served."""
    monkeypatch.delenv(PROVIDER_HOSTS)
    provider.enqueue(Reply(headers={"x-ms-region": "Sweden Central"}))
    client: Any = AzureOpenAI(azure_endpoint=provider.url, api_version="2024-10-21", api_key="any")
    with client:
        answer = client.chat.completions.create(**{**ASK, "model": "chat-eu"}, stream=stream)
        if stream:
            assert all(chunk.usage is None for chunk in answer)
    span, [served] = recorder.only(), provider.served
    check_usage(span, served)
    assert span[names.PROVIDER_NAME] == "azure.ai.openai"
    assert span[names.REQUEST_MODEL] == "chat-eu"
    assert span[names.RESPONSE_MODEL] == "gpt-4o-mini-2024-07-18"
    assert span[names.USAGE_REGION] == "Sweden Central"


class Options:
    """What a client is about to send."""

    method = "post"
    url = "/chat/completions"

    def __init__(self) -> None:
        self.json_data: dict[str, Any] = {"stream": True}


CLIENTS: Mapping[str, tuple[Callable[[], Any], bool]] = {
    "openai": (lambda: OpenAI(api_key="any"), True),
    "mistral": (
        lambda: OpenAI(base_url="https://api.mistral.ai/v1", api_key="a"),
        False,
    ),
    "azure": (
        lambda: AzureOpenAI(
            azure_endpoint="https://a.openai.azure.com",
            api_version="2024-10-21",
            api_key="any",
        ),
        True,
    ),
    "azure before it could": (
        lambda: AzureOpenAI(
            azure_endpoint="https://a.openai.azure.com",
            api_version="2024-02-01",
            api_key="any",
        ),
        False,
    ),
    "azure, async": (
        lambda: AsyncAzureOpenAI(
            azure_endpoint="https://a.openai.azure.com",
            api_version="2024-06-01",
            api_key="any",
        ),
        False,
    ),
}


@pytest.mark.parametrize(("client_of", "asked"), CLIENTS.values(), ids=CLIENTS)
def test_who_is_asked_for_usage(client_of: Callable[[], Any], *, asked: bool) -> None:
    """Nobody who refuses the question, and nobody who answers unasked."""
    options = Options()
    assert ask_for_usage(client_of(), options) == asked
    assert ("stream_options" in options.json_data) == asked


DIALECTS: Mapping[str, tuple[dict[str, Any], dict[str, int]]] = {
    "deepseek: cache hits and misses": (
        {
            "prompt_tokens": 100,
            "completion_tokens": 20,
            "total_tokens": 120,
            "prompt_cache_hit_tokens": 64,
            "prompt_cache_miss_tokens": 36,
        },
        {names.INPUT_TOKENS: 100, names.CACHE_READ_INPUT_TOKENS: 64, names.OUTPUT_TOKENS: 20},
    ),
    "moonshot: cached at the top": (
        {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120, "cached_tokens": 64},
        {names.INPUT_TOKENS: 100, names.CACHE_READ_INPUT_TOKENS: 64, names.OUTPUT_TOKENS: 20},
    ),
    "xai: reasoning beside the completion": (
        {
            "prompt_tokens": 32,
            "completion_tokens": 9,
            "total_tokens": 135,
            "prompt_tokens_details": {"cached_tokens": 8},
            "completion_tokens_details": {"reasoning_tokens": 94},
            "num_sources_used": 3,
            "server_side_tool_usage_details": {"web_search_calls": 2, "x_search_calls": 1},
        },
        {
            names.INPUT_TOKENS: 32,
            names.CACHE_READ_INPUT_TOKENS: 8,
            names.OUTPUT_TOKENS: 103,
            names.REASONING_OUTPUT_TOKENS: 94,
            names.quantity("web_searches"): 2,
            names.quantity("social_searches"): 1,
            names.quantity("search_sources"): 3,
        },
    ),
    "gemini: thoughts in the total alone": (
        {"prompt_tokens": 20, "completion_tokens": 198, "total_tokens": 623},
        {names.INPUT_TOKENS: 20, names.OUTPUT_TOKENS: 603},
    ),
    "a gateway whose total is no sum": (
        {
            "prompt_tokens": 20,
            "completion_tokens": 10,
            "total_tokens": 80,
            "prompt_tokens_details": {"cached_tokens": 50},
        },
        {
            names.INPUT_TOKENS: 20,
            names.CACHE_READ_INPUT_TOKENS: 50,
            names.OUTPUT_TOKENS: 10,
        },
    ),
    "perplexity: reasoning and citations beside the completion": (
        {
            "prompt_tokens": 33,
            "completion_tokens": 7163,
            "total_tokens": 7196,
            "citation_tokens": 20016,
            "num_search_queries": 28,
            "reasoning_tokens": 95305,
        },
        {
            names.INPUT_TOKENS: 33,
            names.OUTPUT_TOKENS: 122484,
            names.REASONING_OUTPUT_TOKENS: 95305,
            names.quantity("output_citation_tokens"): 20016,
            names.quantity("web_searches"): 28,
        },
    ),
    "openrouter: searches": (
        {
            "prompt_tokens": 10,
            "completion_tokens": 5,
            "total_tokens": 15,
            "cost": 0.0123,
            "prompt_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 4},
            "server_tool_use": {"web_search_requests": 2},
        },
        {
            names.INPUT_TOKENS: 10,
            names.CACHE_READ_INPUT_TOKENS: 0,
            names.CACHE_WRITE_INPUT_TOKENS: 4,
            names.OUTPUT_TOKENS: 5,
            names.quantity("web_searches"): 2,
        },
    ),
    "sglang: reasoning at the top, inside the completion": (
        {"prompt_tokens": 10, "completion_tokens": 50, "total_tokens": 60, "reasoning_tokens": 40},
        {
            names.INPUT_TOKENS: 10,
            names.OUTPUT_TOKENS: 50,
            names.REASONING_OUTPUT_TOKENS: 40,
        },
    ),
    "openai: sound": (
        {
            "prompt_tokens": 100,
            "completion_tokens": 50,
            "total_tokens": 150,
            "prompt_tokens_details": {"audio_tokens": 80, "cached_tokens": 0, "image_tokens": None},
            "completion_tokens_details": {"audio_tokens": 30, "reasoning_tokens": 0},
        },
        {
            names.INPUT_TOKENS: 100,
            names.AUDIO_INPUT_TOKENS: 80,
            names.CACHE_READ_INPUT_TOKENS: 0,
            names.OUTPUT_TOKENS: 50,
            names.AUDIO_OUTPUT_TOKENS: 30,
            names.REASONING_OUTPUT_TOKENS: 0,
        },
    ),
}


@pytest.mark.parametrize(("block", "counts"), DIALECTS.values(), ids=DIALECTS)
@pytest.mark.parametrize("stream", [False, True])
def test_each_providers_way_to_count(
    recorder: Recorder,
    provider: SimulatedProvider,
    openai_client: Any,
    block: dict[str, Any],
    counts: dict[str, int],
    *,
    stream: bool,
) -> None:
    provider.enqueue(Reply(usage=block))
    answer = openai_client.chat.completions.create(**ASK, stream=stream)
    if stream:
        for _ in answer:
            pass
    span = recorder.only()
    prefixes = ("gen_ai.usage.", names.USAGE_QUANTITY_PREFIX)
    assert {name: span[name] for name in span if name.startswith(prefixes)} == counts


def test_a_block_without_anything_says_nothing() -> None:
    assert completion_attributes({"prompt_tokens": None, "completion_tokens": None}) == {}
