"""google-genai 1.x to 3.x: the Gemini API, and Vertex AI.

Every request of the SDK's own goes through `BaseApiClient._request` or `_async_request`, above its
retries and below its automatic function calling and continuation, so that each turn is a call of
its own, and the functions that the model calls run in the application's context. Files are
downloaded beside them.
"""

import re
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import SplitResult, urlsplit

from spanmeter.instrumentation.aiohttp_transport import ANY_SESSION, patch_aiohttp
from spanmeter.instrumentation.clients.google_batches import endpoint_fetched
from spanmeter.instrumentation.clients.google_interactions import INTERACTIONS
from spanmeter.instrumentation.clients.google_live import LIVE
from spanmeter.instrumentation.clients.google_usage import endpoint_of
from spanmeter.instrumentation.endpoint import Endpoint, Json, mapping
from spanmeter.instrumentation.instrumentor import (
    Arguments,
    ClientInstrumentor,
    Keywords,
    Patch,
    Request,
)
from spanmeter.instrumentation.lazy_streams import lazy_async_stream, lazy_stream

_LOCATION: Final = re.compile(r"/locations/([^/]+)/")


def _describe(
    http_client_of: Callable[[Any], object],
) -> Callable[[Any, Arguments, Keywords], Request | None]:
    def describe(client: Any, args: Arguments, kwargs: Keywords) -> Request | None:
        http_request = args[0] if args else kwargs["http_request"]
        url = urlsplit(str(http_request.url))
        method = http_request.method.upper()
        if method == "GET":
            return _fetching(client, url, url.path, http_client_of(client))
        body = mapping(http_request.data)
        found = endpoint_of(url.path, body) if method == "POST" else None
        if found is None:
            return None
        endpoint, model = found
        location = _LOCATION.search(url.path)

        def rewrite(body: Json) -> None:
            http_request.data = {**body}

        def rename(renamed: str, body: Json) -> Json:
            http_request.url = str(http_request.url).replace(f"/{model}:", f"/{renamed}:")
            return body

        request = _request(client, url, endpoint, http_client_of(client))
        return request._replace(
            model=model,
            body=body,
            streamed=url.path.endswith(":streamGenerateContent"),
            region=location.group(1) if location else None,
            rewrite=rewrite,
            rename=rename,
        )

    return describe


def _describe_download(
    http_client_of: Callable[[Any], object],
) -> Callable[[Any, Arguments, Keywords], Request | None]:
    def describe(client: Any, args: Arguments, kwargs: Keywords) -> Request | None:
        url = urlsplit(str(client._http_options.base_url))  # noqa: SLF001 - the same name in every major
        path = urlsplit("/" + str(args[0] if args else kwargs["path"])).path
        return _fetching(client, url, path, http_client_of(client))

    return describe


def _fetching(client: Any, url: SplitResult, path: str, http_client: object) -> Request | None:
    endpoint = endpoint_fetched(path)
    return None if endpoint is None else _request(client, url, endpoint, http_client)


def _request(client: Any, url: SplitResult, endpoint: Endpoint, http_client: object) -> Request:
    return Request(
        endpoint=endpoint,
        provider="gcp.vertex_ai" if client.vertexai else "gcp.gemini",
        model=None,
        http_client=http_client,
        server_address=url.hostname or "",
        server_port=url.port or (443 if url.scheme == "https" else 80),
        body={},
    )


def _http_client(client: Any) -> object:
    return client._httpx_client  # noqa: SLF001 - the same name in every major


def _async_http_client(client: Any) -> object:
    # Versions before 1.17 know no aiohttp.
    use_aiohttp = getattr(client, "_use_aiohttp", None)
    if use_aiohttp is not None and use_aiohttp():
        return ANY_SESSION
    http_client = client._async_httpx_client  # noqa: SLF001 - as above
    # Since 3.x the SDK's own client sends through another one for each event loop.
    per_loop = getattr(http_client, "_per_loop", False)
    return http_client._client_for_running_loop() if per_loop else http_client  # noqa: SLF001


def _send_by_aiohttp(module: Any) -> None:
    """Async requests go by aiohttp where it is installed."""
    patch_aiohttp()


class GoogleGenAIInstrumentor(ClientInstrumentor):
    """Meters the `google-genai` package."""

    package = "google_genai"
    verified = (("google-genai", ">=1.10,<4"),)
    patches = (
        *(
            Patch(
                "google.genai._api_client",
                f"BaseApiClient.{function}",
                describe(_async_http_client if is_async else _http_client),
                is_async=is_async,
                also=_send_by_aiohttp,
                private=True,
            )
            for function, describe, is_async in (
                ("_request", _describe, False),
                ("_async_request", _describe, True),
                ("download_file", _describe_download, False),
                ("async_download_file", _describe_download, True),
            )
        ),
        *INTERACTIONS,
    )
    taps = (
        lazy_stream("google.genai.models", "Models.generate_content_stream"),
        lazy_async_stream("google.genai.models", "AsyncModels.generate_content_stream"),
        lazy_stream("google.genai.chats", "Chat.send_message_stream"),
        lazy_async_stream("google.genai.chats", "AsyncChat.send_message_stream"),
        *LIVE,
    )
