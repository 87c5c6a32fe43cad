"""anthropic 0.x to 2.x, with its clients for the clouds."""

import functools
from typing import Any, Final

from spanmeter.instrumentation.call import current_call
from spanmeter.instrumentation.clients.anthropic_messages import ENDPOINTS, without_model
from spanmeter.instrumentation.clients.openai_providers import PROVIDERS_BY_HOST
from spanmeter.instrumentation.endpoint import Endpoint
from spanmeter.instrumentation.guard import guarded
from spanmeter.instrumentation.instrumentor import ClientInstrumentor
from spanmeter.instrumentation.stainless import host_of, stainless_patches

PROVIDERS_BY_CLASS: Final = (
    ("Bedrock", "aws.bedrock"),
    ("Vertex", "gcp.vertex_ai"),
    ("Foundry", "azure.ai.inference"),
)
"""Parts of class names of clients, whose host may be a proxy's. Those for Anthropic's own platform
in AWS and Google Cloud are not among them: Anthropic serves there, at its own prices."""


def provider_of(client: Any) -> str:
    """The provider that serves the client's requests: a cloud, a service that speaks the same API,
    else Anthropic itself, perhaps behind a gateway."""
    host = host_of(client)
    return _provider_of_class(client.__class__) or next(
        (provider for end, provider in PROVIDERS_BY_HOST if host.endswith(end)), "anthropic"
    )


@functools.cache
def _provider_of_class(client_class: type[object]) -> str | None:
    class_names = " ".join(each.__name__ for each in client_class.__mro__)
    return next((provider for part, provider in PROVIDERS_BY_CLASS if part in class_names), None)


def region_of(client: Any) -> str | None:
    """The region of a cloud that a client is for."""
    region = getattr(client, "aws_region", None) or getattr(client, "region", None)
    return region if isinstance(region, str) else None


def as_served(client: Any, endpoint: Endpoint, model: str | None) -> Endpoint:
    """The endpoint as the client's provider serves it."""
    by_id = _provider_of_class(client.__class__) == "aws.bedrock"
    return without_model(endpoint) if by_id and not (model or "").startswith("arn:") else endpoint


def silence_own_tracing(base_client: Any) -> None:
    """Keeps the SDK, from 1.14 on, from making a span of its own for a call that we meter: one
    call, one record."""
    own_property = getattr(base_client.BaseClient, "_tracer", None)
    own_tracer = own_property.fget if isinstance(own_property, property) else None
    if own_tracer is not None:
        base_client.BaseClient._tracer = property(  # noqa: SLF001 - there is no public way, per call
            lambda client: None if _is_metered() else own_tracer(client)
        )


@guarded
def _is_metered() -> bool:
    return current_call() is not None


class AnthropicInstrumentor(ClientInstrumentor):
    """Meters the `anthropic` package, its Bedrock, Vertex, Foundry and AWS clients included."""

    package = "anthropic"
    verified = (("anthropic", ">=0.20,<3"),)
    patches = stainless_patches(
        package,
        ENDPOINTS,
        provider_of=provider_of,
        region_of=region_of,
        as_served=as_served,
        also=silence_own_tracing,
    )
