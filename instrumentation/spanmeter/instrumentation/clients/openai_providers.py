"""Who serves a client that speaks OpenAI's API: told by its class, its host, or the operator.

A host that is none of these is `openai_compatible`: it has no price list, so its calls are
unpriced until `SPANMETER_PROVIDER_HOSTS` says what it is.
"""

import functools
import os
import re
from collections.abc import Mapping
from typing import Any, Final

from spanmeter.instrumentation.endpoint import NOTHING, Reading

PROVIDER_HOSTS: Final = "SPANMETER_PROVIDER_HOSTS"
"""Environment variable: `llm.internal=vllm,10.0.0.7:8000=sglang`. A host stands for those below it
too; a port narrows it."""

COMPATIBLE: Final = "openai_compatible"

PROVIDERS_BY_HOST: Final = (
    ("api.openai.com", "openai"),
    ("openai.azure.com", "azure.ai.openai"),
    ("cognitiveservices.azure.com", "azure.ai.openai"),
    ("services.ai.azure.com", "azure.ai.openai"),
    ("models.ai.azure.com", "azure.ai.inference"),
    ("openrouter.ai", "openrouter"),
    ("api.deepseek.com", "deepseek"),
    ("api.x.ai", "x_ai"),
    ("api.perplexity.ai", "perplexity"),
    ("api.fireworks.ai", "fireworks"),
    ("api.together.xyz", "together"),
    ("api.together.ai", "together"),
    ("api.groq.com", "groq"),
    ("api.mistral.ai", "mistral_ai"),
    ("generativelanguage.googleapis.com", "gcp.gemini"),
    ("aiplatform.googleapis.com", "gcp.vertex_ai"),
    ("amazonaws.com", "aws.bedrock"),
    ("api.aws", "aws.bedrock"),
    ("api.anthropic.com", "anthropic"),
    ("api.cohere.ai", "cohere"),
    ("api.cohere.com", "cohere"),
    ("api.moonshot.ai", "moonshot_ai"),
    ("api.moonshot.cn", "moonshot_ai"),
    ("api.cerebras.ai", "cerebras"),
    ("api.novita.ai", "novita"),
    ("api.deepinfra.com", "deepinfra"),
    ("router.huggingface.co", "huggingface"),
    ("ml.cloud.ibm.com", "ibm.watsonx.ai"),
)
"""Ends of host names of services that speak this API, with OpenTelemetry's names where it has one.
"""

PROVIDERS_BY_CLASS: Final = (("Azure", "azure.ai.openai"), ("Bedrock", "aws.bedrock"))
"""Parts of class names of clients whose host may be a proxy's."""

_OPENAI_REGION: Final = re.compile(r"([a-z]{2})\.api\.openai\.com")
_AWS_REGION: Final = re.compile(r"\.([a-z]{2}(?:-[a-z]+)+-\d+)\.(?:amazonaws\.com|api\.aws)")


def provider_of(client: Any) -> str:
    """The provider that a client object calls."""
    url = client.base_url
    return _provider(client.__class__, url.host, url.port, os.environ.get(PROVIDER_HOSTS, ""))


def provider_of_host(host: str, port: int | None) -> str:
    """The provider behind a host, whatever asks it."""
    return _provider(object, host, port, os.environ.get(PROVIDER_HOSTS, ""))


def declared(host: str, port: int | None) -> str | None:
    """What the operator says that serves there."""
    return _declared(os.environ.get(PROVIDER_HOSTS, ""), host, port)


# Every call asks, and an application has few clients.
@functools.lru_cache(maxsize=1024)
def _provider(client_class: type[object], host: str, port: int | None, setting: str) -> str:
    class_names = " ".join(each.__name__ for each in client_class.__mro__)
    return (
        _declared(setting, host, port)
        or next((provider for part, provider in PROVIDERS_BY_CLASS if part in class_names), None)
        or next((provider for end, provider in PROVIDERS_BY_HOST if host.endswith(end)), None)
        or COMPATIBLE
    )


@functools.lru_cache(maxsize=1024)
def _declared(setting: str, host: str, port: int | None) -> str | None:
    for entry in setting.split(","):
        name, _, provider = entry.strip().partition("=")
        if provider and (name in (host, f"{host}:{port}") or host.endswith(f".{name}")):
            return provider
    return None


def region_of(client: Any) -> str | None:
    """The region that the client's address names: OpenAI's for data residency, Amazon's."""
    return _region(client.base_url.host)


@functools.lru_cache(maxsize=1024)
def _region(host: str) -> str | None:
    found = _OPENAI_REGION.fullmatch(host) or _AWS_REGION.search(host)
    return found[1] if found is not None else None


def read_region(headers: Mapping[str, str]) -> Reading:
    """The region that Azure names in its answers."""
    region = headers.get("x-ms-region")
    return NOTHING if region is None else Reading(region=region)
