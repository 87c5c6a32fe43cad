"""openai 1.x to 3.x, and every OpenAI-compatible service it is pointed at."""

import os
from typing import Any, Final

from spanmeter.instrumentation.clients import (
    openai_completions,
    openai_later,
    openai_media,
    openai_responses,
)
from spanmeter.instrumentation.clients.openai_providers import (
    PROVIDERS_BY_HOST,
    provider_of,
    region_of,
)
from spanmeter.instrumentation.clients.openai_websockets import TAPS
from spanmeter.instrumentation.endpoint import Endpoint, mapping
from spanmeter.instrumentation.instrumentor import ClientInstrumentor
from spanmeter.instrumentation.stainless import host_of, stainless_patches

USAGE_OPT_OUT: Final = "SPANMETER_STREAM_USAGE_OPT_OUT"
"""Environment variable: hosts, comma-separated, that refuse `stream_options` and so are not asked
for usage."""

UNASKED: Final = frozenset({"mistral_ai", "perplexity"})
"""Providers whose streams report usage anyhow, and that need not know the option."""

AZURE_SINCE: Final = "2024-09-01"
"""Azure's first API version that knows the option; those before refuse it."""

NAMED_BY_HOST: Final = frozenset(provider for _, provider in PROVIDERS_BY_HOST)

ENDPOINTS: Final[dict[str, Endpoint]] = {
    **openai_completions.ENDPOINTS,
    **openai_responses.ENDPOINTS,
    **openai_media.ENDPOINTS,
    **openai_later.ENDPOINTS,
}


def ask_for_usage(client: Any, options: Any) -> bool:
    """Has a streamed chat or completion report its usage, which this API does only when asked.

    True where the application did not ask itself, so that the event that carries it is kept from
    it.
    """
    body = mapping(options.json_data)
    asked = mapping(body.get("stream_options"))
    if not body.get("stream") or not str(options.url).endswith("completions"):
        return False
    if asked.get("include_usage") or _refuses(client):
        return False
    # A new dict: this one may be the application's own.
    options.json_data = {**body, "stream_options": {**asked, "include_usage": True}}
    return True


def _refuses(client: Any) -> bool:
    if host_of(client) in opted_out() or provider_of(client) in UNASKED:
        return True
    version = getattr(client, "_api_version", None)
    return isinstance(version, str) and version < AZURE_SINCE


def opted_out() -> list[str]:
    """The hosts that are not asked for usage."""
    return [host.strip() for host in os.environ.get(USAGE_OPT_OUT, "").split(",")]


def of_provider(provider: str, endpoint: Endpoint) -> Endpoint:
    """The endpoint as a provider has it: in the headers of whoever names no region, none is looked
    for."""
    looked_for = provider.startswith("azure") or provider not in NAMED_BY_HOST
    return endpoint if looked_for else endpoint._replace(read_headers=None)


class OpenAIInstrumentor(ClientInstrumentor):
    """Meters the `openai` package."""

    package = "openai"
    verified = (("openai", ">=1,<4"),)
    patches = stainless_patches(
        package,
        ENDPOINTS,
        provider_of=provider_of,
        region_of=region_of,
        of_provider=of_provider,
        ask_for_usage=ask_for_usage,
    )
    taps = TAPS
