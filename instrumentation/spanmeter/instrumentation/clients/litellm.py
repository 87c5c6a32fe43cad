"""litellm, as of its HTTP handlers (1.40).

For some providers litellm calls their own SDK (openai, azure and what speaks OpenAI's API): that
SDK's instrumentor meters those calls, and this one is silent. To all others litellm speaks itself,
through `HTTPHandler.post` and `AsyncHTTPHandler.post`, over httpx, whose transport may be aiohttp's:
each of those is a call, and so is each of litellm's own retries and fallbacks.
"""

import inspect
import json
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final
from urllib.parse import urlsplit

from opentelemetry.context import Context, get_current

from spanmeter.instrumentation.call import current_call
from spanmeter.instrumentation.clients.litellm_wires import asked
from spanmeter.instrumentation.clients.openai import UNASKED, opted_out
from spanmeter.instrumentation.clients.openai_completions import ENDPOINTS as COMPLETIONS
from spanmeter.instrumentation.endpoint import Json, mapping
from spanmeter.instrumentation.entering import within
from spanmeter.instrumentation.errors import SpanmeterError
from spanmeter.instrumentation.guard import guarded
from spanmeter.instrumentation.instrumentor import (
    Arguments,
    Begin,
    ClientInstrumentor,
    Keywords,
    Patch,
    Request,
    Tap,
    may_begin,
)

_HANDLERS: Final = "litellm.llms.custom_httpx.http_handler"
_STREAMS: Final = "litellm.litellm_core_utils.streaming_handler"

DEEPEST: Final = 20
"""Errors of errors that are looked through."""

TELLING_UNASKED: Final = UNASKED | {"groq", "together"}
"""Providers whose streams of chat report usage anyhow."""


def describe(handler: Any, args: Arguments, kwargs: Keywords) -> Request | None:
    """What `post(url, data, json, ...)` of a handler asks for."""
    url = urlsplit(str(args[0] if args else kwargs.get("url")))
    body = _body(args[1] if len(args) > 1 else kwargs.get("data") or kwargs.get("json"))
    found = asked(url, body, _provider_named(kwargs.get("logging_obj")))
    if found is None:
        return None
    model = found.model or body.get("model")

    def rewrite(changed: Json) -> None:
        nonlocal body
        body = changed
        kwargs["data"] = json.dumps(changed)

    is_text = isinstance(kwargs.get("data"), str)
    return Request(
        endpoint=found.endpoint,
        provider=found.provider,
        model=model if isinstance(model, str) else None,
        http_client=handler.client,
        server_address=url.hostname or "",
        server_port=url.port or (443 if url.scheme == "https" else 80),
        body=body,
        streamed=bool(kwargs.get("stream")),
        region=found.region,
        ask_for_usage=lambda: _ask_for_usage(found.provider, url.hostname, body, kwargs),
        rewrite=rewrite if is_text else None,
    )


def _body(given: object) -> Json:
    """The request's body, as far as it is JSON."""
    if isinstance(given, (str, bytes)):
        try:
            return mapping(json.loads(given))
        except ValueError:
            return {}
    return mapping(given)


def _provider_named(logging: Any) -> str | None:
    """litellm's own name of the provider, which it hands to the handler with what it logs."""
    named = mapping(getattr(logging, "model_call_details", None)).get("custom_llm_provider")
    return named if isinstance(named, str) else None


def _ask_for_usage(provider: str, host: str | None, body: Json, kwargs: Keywords) -> bool:
    """Has a streamed chat in OpenAI's form report its usage. True where litellm did not ask."""
    streams = body.get("stream") is True and str(kwargs.get("url")).endswith("completions")
    asks = mapping(body.get("stream_options"))
    if not streams or asks.get("include_usage") or not isinstance(kwargs.get("data"), str):
        return False
    if provider in TELLING_UNASKED or host in opted_out():
        return False
    kwargs["data"] = json.dumps({**body, "stream_options": {**asks, "include_usage": True}})
    return True


def _sent_anew(begin: Begin) -> Callable[..., Any]:
    """The wrapper of what sends a request again, by a client of its own, after the connection
    broke: another attempt."""

    async def wrapper(
        wrapped: Callable[..., Awaitable[Any]], instance: Any, args: Arguments, kwargs: Keywords
    ) -> Any:
        _sent_by(kwargs.get("client"))
        return await wrapped(*args, **kwargs)

    return wrapper


@guarded
def _sent_by(client: object) -> None:
    """Notes that the call in progress is sent by another client from here on."""
    call = current_call()
    if call is not None and client is not None:
        call.http_client = client


def _asked_here(begin: Begin) -> Callable[..., Any]:
    """The wrapper of the making of a stream, of which some are begun only when they are read: that
    is done in the context in which they were asked for."""

    def wrapper(
        wrapped: Callable[..., Any], instance: Any, args: Arguments, kwargs: Keywords
    ) -> Any:
        wrapped(*args, **kwargs)
        _carry(instance, get_current())

    return wrapper


@guarded
def _carry(stream: Any, context: Context) -> None:
    make_call = getattr(stream, "make_call", None)
    if make_call is None:
        return
    is_async = inspect.iscoroutinefunction(getattr(make_call, "func", make_call))
    stream.make_call = partial(_call_async_in if is_async else _call_in, context, make_call)


def _call_in(context: Context, make_call: Callable[..., Any], **options: Any) -> Any:
    with within(context):
        return make_call(**options)


async def _call_async_in(
    context: Context, make_call: Callable[..., Awaitable[Any]], **options: Any
) -> Any:
    with within(context):
        return await make_call(**options)


def _refused(begin: Begin) -> Callable[..., Any]:
    """The wrapper of what an application calls. What is raised further in, litellm would make an
    error of its own, and send the request again."""

    def wrapper(
        wrapped: Callable[..., Any], instance: Any, args: Arguments, kwargs: Keywords
    ) -> Any:
        may_begin(begin, COMPLETIONS["POST /chat/completions"])
        return _outright(wrapped, args, kwargs)

    return wrapper


def _read(begin: Begin) -> Callable[..., Any]:
    """The wrapper of the reading of a stream, which may send its request only then."""

    def wrapper(
        wrapped: Callable[..., Any], instance: Any, args: Arguments, kwargs: Keywords
    ) -> Any:
        return _outright(wrapped, args, kwargs)

    return wrapper


def _outright(wrapped: Callable[..., Any], args: Arguments, kwargs: Keywords) -> Any:
    """What it returns. A refusal that litellm made an error of its own is raised as what it is."""
    try:
        answer = wrapped(*args, **kwargs)
    except Exception as error:
        _raise_refusal(error)
        raise
    return _awaited(answer) if inspect.iscoroutine(answer) else answer


async def _awaited(answer: Awaitable[Any]) -> Any:
    try:
        return await answer
    except Exception as error:
        _raise_refusal(error)
        raise


def _raise_refusal(error: BaseException) -> None:
    """Raises the refusal that an error was made of, if it was."""
    seen: BaseException | None = error
    for _ in range(DEEPEST):
        if seen is None or isinstance(seen, SpanmeterError):
            break
        seen = seen.__cause__ or seen.__context__
    if isinstance(seen, SpanmeterError) and seen is not error:
        raise seen from None


CALLED: Final = (
    *("completion", "text_completion", "embedding", "transcription", "speech"),
    *("image_generation", "image_edit", "image_variation", "rerank", "responses"),
    "anthropic_messages",
)
"""The functions that an application calls; the async ones are named with an `a` before."""


class LiteLLMInstrumentor(ClientInstrumentor):
    """Meters what the `litellm` package sends by itself."""

    package = "litellm"
    verified = (("litellm", ">=1.83,<1.107"),)
    patches = (
        Patch(_HANDLERS, "HTTPHandler.post", describe),
        Patch(_HANDLERS, "AsyncHTTPHandler.post", describe, is_async=True),
    )
    taps = (
        Tap(_HANDLERS, "AsyncHTTPHandler.single_connection_post_request", _sent_anew),
        Tap(_STREAMS, "CustomStreamWrapper.__init__", _asked_here),
        *(
            Tap(_STREAMS, f"CustomStreamWrapper.{read}", _read)
            for read in ("__next__", "__anext__")
        ),
        *(
            Tap("litellm", prefix + function, _refused)
            for function in CALLED
            for prefix in ("", "a")
        ),
    )
