"""What openai's file says of services that speak its API, and of what they send."""

from __future__ import annotations

from typing import Any

import pytest
from openai import AsyncOpenAI, AzureOpenAI, OpenAI

from spanmeter.instrumentation.clients.openai_completions import read_completion
from spanmeter.instrumentation.clients.openai_providers import provider_of

USAGE = {"prompt_tokens": 9, "completion_tokens": 3}


@pytest.mark.parametrize(
    ("base_url", "provider"),
    [
        ("https://api.openai.com/v1", "openai"),
        ("https://acme.openai.azure.com/openai/v1", "azure.ai.openai"),
        ("https://api.deepseek.com", "deepseek"),
        ("https://api.x.ai/v1", "x_ai"),
        ("https://openrouter.ai/api/v1", "openrouter"),
        ("https://generativelanguage.googleapis.com/v1beta/openai/", "gcp.gemini"),
        ("http://localhost:4000", "openai_compatible"),
        # Not the service whose name it ends with.
        ("https://notopenrouter.ai.example/v1", "openai_compatible"),
    ],
)
@pytest.mark.parametrize("client_class", [OpenAI, AsyncOpenAI])
def test_a_provider_is_known_by_its_host(
    client_class: type[OpenAI] | type[AsyncOpenAI], base_url: str, provider: str
) -> None:
    assert provider_of(client_class(base_url=base_url, api_key="any")) == provider


def test_azure_is_known_by_its_client_behind_any_gateway() -> None:
    client = AzureOpenAI(
        azure_endpoint="https://gateway.example", api_key="any", api_version="2025-04-01-preview"
    )
    assert provider_of(client) == "azure.ai.openai"


CHUNKS: list[tuple[dict[str, Any], bool]] = [
    ({"choices": [{"delta": {}}]}, False),
    # vLLM, xAI and Perplexity count on in every chunk where they are asked to.
    ({"choices": [{"delta": {}}], "usage": USAGE}, False),
    ({"choices": [{"delta": {}}], "usage": None}, False),
    ({"choices": [], "usage": USAGE}, True),
    ({"error": {"code": "server_error"}}, True),
]


@pytest.mark.parametrize(("chunk", "last"), CHUNKS)
def test_a_stream_ends_with_its_usage_or_an_error(chunk: dict[str, Any], *, last: bool) -> None:
    assert read_completion(chunk).last is last


@pytest.mark.parametrize(
    ("error", "name"),
    [
        ({"code": "rate_limit_exceeded", "type": "tokens"}, "rate_limit_exceeded"),
        ({"code": None, "type": "server_error"}, "server_error"),
        ({"message": "what went wrong, and with which prompt"}, "error"),
        ("what went wrong, and with which prompt", "error"),
    ],
)
def test_an_error_is_named_by_its_code_and_never_by_its_message(error: Any, name: str) -> None:
    assert read_completion({"error": error}).error == name
