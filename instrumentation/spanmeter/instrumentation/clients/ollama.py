"""ollama 0.x.

Usage: docs.ollama.com/api. Each answer, and the last line of each stream, holds the counts beside
what it says; older servers leave the prompt's out where they had it cached. The older embeddings
have none. The module's own functions are methods of a client that it makes when it is imported:
all of them come by `Client._request`, which begins a stream only when it is first read.
"""

import inspect
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import Any, Final

from opentelemetry.context import Context

from spanmeter.instrumentation.budgets.rewriting import Rewriting
from spanmeter.instrumentation.clients.openai_providers import declared
from spanmeter.instrumentation.endpoint import (
    Attributes,
    Endpoint,
    Json,
    Reading,
    counts,
    endpoint_for,
    mapping,
)
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
from spanmeter.instrumentation.lazy_streams import read_async_in, read_in
from spanmeter.instrumentation.texts import prompt_of, texts_in
from spanmeter.metering import attributes as names

COUNTS: Final = (
    "prompt_eval_count",
    "eval_count",
    "total_duration",
    "load_duration",
    "prompt_eval_duration",
    "eval_duration",
)
"""Members of an answer that are its usage: tokens, and nanoseconds."""


def read_answer(body: Json) -> Reading:
    """An answer, or a line of a streamed one."""
    error = body.get("error")
    return Reading(
        model=body.get("model"),
        usage={name: body[name] for name in COUNTS if name in body},
        error="error" if error else None,
        last=bool(body.get("done")),
        quantities={"images": 1} if body.get("image") else {},
    )


def answer_attributes(usage: Json) -> Attributes:
    """The counts of an answer. A prompt that is read from the cache is counted like any other."""
    return counts(
        {
            names.INPUT_TOKENS: usage.get("prompt_eval_count"),
            names.OUTPUT_TOKENS: usage.get("eval_count"),
        }
    )


def read_scores(body: Json) -> Reading:
    """The answers of a System One model."""
    return Reading(model=body.get("model"), usage=mapping(body.get("usage")))


def scores_attributes(usage: Json) -> Attributes:
    """`SystemOneUsage`."""
    return counts(
        {
            names.INPUT_TOKENS: usage.get("input_tokens"),
            names.OUTPUT_TOKENS: usage.get("output_tokens"),
        }
    )


def said_in(body: Json) -> Iterable[str]:
    """What an answer, or a line of one, says."""
    yield from texts_in(body.get("message"))
    yield from texts_in(body.get("response"))
    yield from texts_in(body.get("thinking"))


def _endpoint(operation: str) -> Endpoint:
    return Endpoint(
        operation,
        read_answer,
        read_answer,
        answer_attributes,
        (b'"done":true', b'"done": true', b'"error"'),
        prompt_of,
        said_in,
        output_limit=("options", "num_predict"),
    )


_EMBEDDINGS: Final = Endpoint(
    names.EMBEDDINGS, read_answer, read_answer, answer_attributes, prompt=prompt_of
)

ENDPOINTS: Final[dict[str, Endpoint]] = {
    "POST /api/chat": _endpoint(names.CHAT),
    "POST /api/generate": _endpoint(names.TEXT_COMPLETION),
    "POST /api/embed": _EMBEDDINGS,
    "POST /api/embeddings": _EMBEDDINGS,
    "POST /v1/systemone": Endpoint(names.CHAT, read_scores, read_scores, scores_attributes),
}


def describe(client: Any, args: Arguments, kwargs: Keywords) -> Request | None:
    """What `_request(cls, method, path, json=..., stream=...)` asks for. Before 0.4 it has no `cls`,
    and streams have a function of their own."""
    words = [each for each in args if isinstance(each, str)]
    endpoint = endpoint_for(ENDPOINTS, *words) if len(words) == 2 else None
    if endpoint is None:
        return None
    http_client = client._client  # noqa: SLF001 - the same name in every version
    url = http_client.base_url
    body = mapping(kwargs.get("json"))
    return Request(
        endpoint=endpoint,
        provider=declared(str(url.host), url.port) or "ollama",
        model=body.get("model"),
        http_client=http_client,
        server_address=str(url.host),
        server_port=url.port or (443 if url.scheme == "https" else 80),
        body=body,
        streamed=bool(body.get("stream")),
    )


def _describe_whole(client: Any, args: Arguments, kwargs: Keywords) -> Request | None:
    if kwargs.get("stream"):
        return None
    request = describe(client, args, kwargs)
    rewriting = Rewriting(partial(kwargs.__setitem__, "json"))
    return request and request._replace(rewrite=rewriting.rewrite, rename=rewriting.rename)


@guarded
def _reading_context(
    begin: Begin, client: Any, args: Arguments, kwargs: Keywords
) -> Context | None:
    """The context to read a stream in, of a call that is begun here: its request is sent when it
    is first read."""
    request = describe(client, args, kwargs)
    call = begin(request) if request is not None else None
    return call.provider_context() if call is not None else None


def _stream(begin: Begin) -> Callable[..., Any]:
    def wrapper(
        wrapped: Callable[..., Any], instance: Any, args: Arguments, kwargs: Keywords
    ) -> Any:
        stream = wrapped(*args, **kwargs)
        if not inspect.isgenerator(stream):
            return stream
        context = _reading_context(begin, instance, args, kwargs)
        return stream if context is None else read_in(context, stream)

    return wrapper


def _stream_async(begin: Begin) -> Callable[..., Awaitable[Any]]:
    async def wrapper(
        wrapped: Callable[..., Awaitable[Any]], instance: Any, args: Arguments, kwargs: Keywords
    ) -> Any:
        stream = await wrapped(*args, **kwargs)
        if not inspect.isasyncgen(stream):
            return stream
        context = _reading_context(begin, instance, args, kwargs)
        return stream if context is None else read_async_in(context, stream)

    return wrapper


class OllamaInstrumentor(ClientInstrumentor):
    """Meters the `ollama` package, its module functions included."""

    package = "ollama"
    verified = (("ollama", ">=0.1.9,<0.7"),)
    patches = (
        Patch("ollama._client", "Client._request", _describe_whole),
        Patch("ollama._client", "AsyncClient._request", _describe_whole, is_async=True),
    )
    taps = (
        Tap("ollama._client", "Client._request", _stream),
        Tap("ollama._client", "AsyncClient._request", _stream_async),
        Tap("ollama._client", "Client._stream", _stream),
        Tap("ollama._client", "AsyncClient._stream", _stream_async),
    )
