"""mistralai 1.x to 3.x, its clients for Azure and Vertex AI included.

Every request goes through `BaseSDK.do_request` or `do_request_async`. From 2.0 on the library can
trace itself: a call that we meter it does not, for one call is one record.
"""

import json
import re
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from spanmeter.instrumentation.budgets.rewriting import Rewriting
from spanmeter.instrumentation.call import current_call
from spanmeter.instrumentation.clients.mistralai_realtime import REALTIME
from spanmeter.instrumentation.clients.mistralai_usage import ENDPOINTS
from spanmeter.instrumentation.endpoint import Json, endpoint_for, mapping
from spanmeter.instrumentation.guard import guarded
from spanmeter.instrumentation.instrumentor import (
    Arguments,
    Begin,
    ClientInstrumentor,
    Keywords,
    Patch,
    Request,
    Tap,
)

MODULES: Final = (
    "mistralai.client.basesdk",
    "mistralai.azure.client.basesdk",
    "mistralai.gcp.client.basesdk",
    # 1.x
    "mistralai.basesdk",
    "mistralai_azure.basesdk",
    "mistralai_gcp.basesdk",
)

PROVIDERS: Final = (
    (re.compile(r"mistralai[._]azure\."), "azure.ai.inference"),
    (re.compile(r"mistralai[._]gcp\."), "gcp.vertex_ai"),
)
"""Modules of the clients for clouds."""

_VERTEX_REGION: Final = re.compile(r"([a-z]+-[a-z]+\d+)-aiplatform\.googleapis\.com")


def provider_of(sdk: Any) -> str:
    """The provider that serves the requests of a client, or of a part of one."""
    modules = [each.__module__ for each in type(sdk).__mro__]
    for pattern, provider in PROVIDERS:
        if any(pattern.match(module) for module in modules):
            return provider
    return "mistral_ai"


def describe(client: str, sdk: Any, args: Arguments, kwargs: Keywords) -> Request | None:
    """What `do_request` is asked to send, with the HTTP client of that name."""
    request = kwargs["request"] if "request" in kwargs else args[1]
    url = request.url
    endpoint = endpoint_for(ENDPOINTS, request.method, url.path)
    if endpoint is None:
        return None
    body = _body_of(request)
    model = body.get("model")
    region = _VERTEX_REGION.fullmatch(url.host)
    is_json = request.headers.get("content-type", "").startswith("application/json")
    rewriting = Rewriting(partial(_put, request))
    return Request(
        endpoint=endpoint,
        provider=provider_of(sdk),
        model=model if isinstance(model, str) else None,
        http_client=getattr(sdk.sdk_configuration, client),
        server_address=url.host,
        server_port=url.port or (443 if url.scheme == "https" else 80),
        body=body,
        streamed=body.get("stream") in {True, "true"},
        region=region[1] if region is not None else None,
        rewrite=rewriting.rewrite if is_json else None,
        rename=rewriting.rename if is_json else None,
    )


def _put(request: Any, body: dict[str, Any]) -> None:
    """Gives an httpx request another body, in the form that httpx itself would."""
    content = json.dumps(body, ensure_ascii=False).encode()
    other = type(request)(request.method, request.url, content=content)
    request.stream, request._content = other.stream, content  # noqa: SLF001 - the same name in every version
    request.headers["content-length"] = str(len(content))


def _body_of(request: Any) -> Json:
    """The body of an httpx request: JSON, or the fields of a form that has not been sent yet."""
    if request.headers.get("content-type", "").startswith("application/json"):
        return mapping(json.loads(request.content))
    fields = getattr(request.stream, "fields", ())
    values = ((field.name, getattr(field, "value", None)) for field in fields)
    return {name: value for name, value in values if isinstance(value, str)}


@guarded
def _is_metered() -> bool:
    return current_call() is not None


def _untraced(begin: Begin) -> Callable[..., Any]:
    """Keeps the library's own tracing away from calls that are metered."""

    def wrapper(
        wrapped: Callable[..., Any], instance: Any, args: Arguments, kwargs: Keywords
    ) -> Any:
        if _is_metered() and "tracing_enabled" in kwargs:
            kwargs = {**kwargs, "tracing_enabled": False}
        return wrapped(*args, **kwargs)

    return wrapper


class MistralAIInstrumentor(ClientInstrumentor):
    """Meters the `mistralai` package."""

    package = "mistralai"
    verified = (("mistralai", ">=1,<4"),)
    patches = tuple(
        Patch(
            module,
            f"BaseSDK.{function}",
            partial(describe, client),
            is_async=is_async,
            private=True,
        )
        for module in MODULES
        for function, client, is_async in (
            ("do_request", "client", False),
            ("do_request_async", "async_client", True),
        )
    )
    taps = (
        Tap("mistralai.client._hooks.tracing", "get_traced_request_and_span", _untraced),
        *REALTIME,
    )
