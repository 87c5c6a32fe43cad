"""cohere 5.6 to 7.x: the clients of both of its APIs, and those for Amazon and Oracle.

Every request goes through `HttpClient.request` or `HttpClient.stream`. A stream of the first API is
JSON lines, one of the second is server-sent events.
"""

import inspect
from collections.abc import Mapping
from functools import partial
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from spanmeter.instrumentation.budgets.rewriting import Rewriting
from spanmeter.instrumentation.clients.cohere_usage import ENDPOINTS
from spanmeter.instrumentation.endpoint import endpoint_for, mapping
from spanmeter.instrumentation.entered import entered_call
from spanmeter.instrumentation.framing import Lines
from spanmeter.instrumentation.instrumentor import (
    Arguments,
    ClientInstrumentor,
    Keywords,
    Patch,
    Request,
)
from spanmeter.instrumentation.lazy_streams import lazy_stream

_TRANSPORT: Final = "cohere.core.http_client"
CLOUDS: Final = frozenset({"cohere.aws_client", "cohere.oci_client"})
"""Modules of the clients that turn every request into one of a cloud's, in a hook of `httpx`."""


class Host(NamedTuple):
    """Where a client's requests are served."""

    provider: str
    address: str
    port: int
    region: str | None = None


def host_of(http_client: Any, base_url: str) -> Host:
    """The host that serves a client's requests."""
    for hook in http_client.event_hooks["request"]:
        if getattr(hook, "__module__", None) in CLOUDS:
            return _cloud(inspect.getclosurevars(hook).nonlocals)
    url = urlsplit(base_url)
    return Host("cohere", url.hostname or "", url.port or (443 if url.scheme == "https" else 80))


def _cloud(hook: Mapping[str, Any]) -> Host:
    """The host that a hook was made to send its client's requests to."""
    if "oci_region" in hook:
        region = hook["oci_region"]
        return Host("oci", f"inference.generativeai.{region}.oci.oraclecloud.com", 443, region)
    service, region = hook["service"], hook["aws_region"]
    server = "bedrock-runtime" if service == "bedrock" else "runtime.sagemaker"
    return Host(f"aws.{service}", f"{server}.{region}.amazonaws.com", 443, region)


def describe(client: Any, args: Arguments, kwargs: Keywords) -> Request | None:
    """What the library's own HTTP client is asked to send."""
    if kwargs.get("retries"):
        # It tries again by calling itself: that is an attempt of the call in progress.
        return None
    base_url = client.get_base_url(kwargs.get("base_url"))
    url = f"{base_url}/{args[0] if args else kwargs.get('path')}"
    endpoint = endpoint_for(ENDPOINTS, kwargs["method"], url)
    if endpoint is None:
        return None
    body = mapping(kwargs.get("json") or kwargs.get("data"))
    model, streamed = body.get("model"), body.get("stream") is True
    host = host_of(client.httpx_client, base_url)
    rewriting = Rewriting(partial(kwargs.__setitem__, "json"))
    return Request(
        endpoint=endpoint._replace(framing=Lines) if streamed and "/v1/" in url else endpoint,
        provider=host.provider,
        model=model if isinstance(model, str) else None,
        http_client=client.httpx_client,
        server_address=host.address,
        server_port=host.port,
        body=body,
        streamed=streamed,
        region=host.region,
        rewrite=rewriting.rewrite if kwargs.get("json") else None,
        rename=rewriting.rename if kwargs.get("json") else None,
    )


class CohereInstrumentor(ClientInstrumentor):
    """Meters the `cohere` package."""

    package = "cohere"
    verified = (("cohere", ">=5.6,<8"),)
    patches = (
        Patch(_TRANSPORT, "HttpClient.request", describe, private=True),
        Patch(_TRANSPORT, "AsyncHttpClient.request", describe, is_async=True, private=True),
    )
    taps = (
        entered_call(_TRANSPORT, "HttpClient.stream", describe),
        entered_call(_TRANSPORT, "AsyncHttpClient.stream", describe),
        *(
            lazy_stream(module, f"{client}.{stream}")
            for module, client, stream in (
                ("cohere.base_client", "BaseCohere", "chat_stream"),
                ("cohere.base_client", "AsyncBaseCohere", "chat_stream"),
                ("cohere.base_client", "BaseCohere", "generate_stream"),
                ("cohere.base_client", "AsyncBaseCohere", "generate_stream"),
                ("cohere.client", "Client", "embed_stream"),
                ("cohere.v2.client", "V2Client", "chat_stream"),
                ("cohere.v2.client", "AsyncV2Client", "chat_stream"),
            )
        ),
    )
