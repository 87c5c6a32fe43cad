"""Every form in which an application can make a call and take its answer, sync and async."""

from __future__ import annotations

import inspect
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import anthropic
import httpx2
import openai
from anthropic.types.beta import BetaMessage
from openai.types import Completion, CreateEmbeddingResponse
from openai.types.chat import ChatCompletion
from openai.types.responses import Response
from pydantic import BaseModel

from simulated_provider import SimulatedProvider

Arguments = Mapping[str, Any]
# The SDKs' resources differ in type from one API to the next; the forms are the same in all.
Form = Callable[[Any, Arguments], None]
AsyncForm = Callable[[Any, Arguments], Awaitable[None]]


class Answer(BaseModel):
    """What is asked for where an answer is parsed."""

    answer: int


PARSEABLE = '{"answer": 42}'


@dataclass(frozen=True)
class Api:
    """One API of an SDK: the resource that has its `create`, and a call of it."""

    sdk: Literal["openai", "anthropic"]
    resource: Callable[[Any], Any]
    arguments: Arguments
    path: str
    cast_to: type[Any]


_ASK = [{"role": "user", "content": "How did we do?"}]
_CLAUDE = {"model": "claude-haiku-4-5", "max_tokens": 60, "messages": _ASK}

CHAT = Api(
    "openai",
    lambda client: client.chat.completions,
    {"model": "gpt-5-mini", "messages": _ASK},
    "/chat/completions",
    ChatCompletion,
)
COMPLETIONS = Api(
    "openai",
    lambda client: client.completions,
    {"model": "gpt-3.5-turbo-instruct", "prompt": "How did we do?"},
    "/completions",
    Completion,
)
RESPONSES = Api(
    "openai",
    lambda client: client.responses,
    {"model": "gpt-6-luna", "input": "How did we do?"},
    "/responses",
    Response,
)
EMBEDDINGS = Api(
    "openai",
    lambda client: client.embeddings,
    {"model": "text-embedding-3-small", "input": ["How", "did we do?"]},
    "/embeddings",
    CreateEmbeddingResponse,
)
MESSAGES = Api(
    "anthropic",
    lambda client: client.messages,
    _CLAUDE,
    "/v1/messages",
    anthropic.types.Message,
)
BETA_MESSAGES = Api(
    "anthropic",
    lambda client: client.beta.messages,
    _CLAUDE,
    "/v1/messages?beta=true",
    BetaMessage,
)

STREAMING_APIS = {
    "chat": CHAT,
    "completions": COMPLETIONS,
    "responses": RESPONSES,
    "messages": MESSAGES,
    "beta messages": BETA_MESSAGES,
}
APIS = STREAMING_APIS | {"embeddings": EMBEDDINGS}
PARSING_APIS = {name: api for name, api in STREAMING_APIS.items() if name != "completions"}


def client_of(api: Api, provider: SimulatedProvider, **options: Any) -> Any:
    """A client of the API's SDK."""
    # Reading the certificate authorities takes longer than the whole test.
    options.setdefault("http_client", httpx2.Client(verify=False))
    if api.sdk == "openai":
        return openai.OpenAI(base_url=provider.openai_base_url, api_key="any", **options)
    return anthropic.Anthropic(base_url=provider.url, api_key="any", **options)


def async_client_of(api: Api, provider: SimulatedProvider, **options: Any) -> Any:
    """An async client of the API's SDK."""
    options.setdefault("http_client", httpx2.AsyncClient(verify=False))
    if api.sdk == "openai":
        return openai.AsyncOpenAI(base_url=provider.openai_base_url, api_key="any", **options)
    return anthropic.AsyncAnthropic(base_url=provider.url, api_key="any", **options)


def _plain(resource: Any, ask: Arguments) -> None:
    resource.create(**ask)


def _raw(resource: Any, ask: Arguments) -> None:
    resource.with_raw_response.create(**ask).parse()


def _read(resource: Any, ask: Arguments) -> None:
    with resource.with_streaming_response.create(**ask) as response:
        assert response.read()


def _json(resource: Any, ask: Arguments) -> None:
    with resource.with_streaming_response.create(**ask) as response:
        assert response.json()


def _lines(resource: Any, ask: Arguments) -> None:
    with resource.with_streaming_response.create(**ask) as response:
        deque(response.iter_lines())


def _bytes(resource: Any, ask: Arguments) -> None:
    with resource.with_streaming_response.create(**ask) as response:
        deque(response.iter_bytes(7))


def _raw_bytes(resource: Any, ask: Arguments) -> None:
    with resource.with_streaming_response.create(**ask) as response:
        deque(response.http_response.iter_raw())


def _text(resource: Any, ask: Arguments) -> None:
    with resource.with_streaming_response.create(**ask) as response:
        deque(response.iter_text())


def _parsed(resource: Any, ask: Arguments) -> None:
    with resource.with_streaming_response.create(**ask) as response:
        assert response.parse()


FORMS: Mapping[str, Form] = {
    "plain": _plain,
    "raw response": _raw,
    "streaming response, read": _read,
    "streaming response, json": _json,
    "streaming response, lines": _lines,
    "streaming response, bytes": _bytes,
    "streaming response, raw bytes": _raw_bytes,
    "streaming response, text": _text,
    "streaming response, parsed": _parsed,
}


def _stream(resource: Any, ask: Arguments) -> None:
    deque(resource.create(**ask, stream=True))


def _stream_entered(resource: Any, ask: Arguments) -> None:
    with resource.create(**ask, stream=True) as stream:
        deque(stream)


def _raw_stream(resource: Any, ask: Arguments) -> None:
    deque(resource.with_raw_response.create(**ask, stream=True).parse())


def _streaming_stream(resource: Any, ask: Arguments) -> None:
    with resource.with_streaming_response.create(**ask, stream=True) as response:
        deque(response.parse())


def _streaming_lines(resource: Any, ask: Arguments) -> None:
    _lines(resource, {**ask, "stream": True})


def _streaming_bytes(resource: Any, ask: Arguments) -> None:
    _bytes(resource, {**ask, "stream": True})


def _streaming_raw_bytes(resource: Any, ask: Arguments) -> None:
    _raw_bytes(resource, {**ask, "stream": True})


def _streaming_read(resource: Any, ask: Arguments) -> None:
    _read(resource, {**ask, "stream": True})


STREAM_FORMS: Mapping[str, Form] = {
    "stream": _stream,
    "stream, entered": _stream_entered,
    "raw response": _raw_stream,
    "streaming response, parsed": _streaming_stream,
    "streaming response, lines": _streaming_lines,
    "streaming response, bytes": _streaming_bytes,
    "streaming response, raw bytes": _streaming_raw_bytes,
    "streaming response, read": _streaming_read,
}


async def _maybe(value: Any) -> Any:
    # `parse` of an async raw response is a coroutine in one SDK and a plain method in the other.
    return await value if inspect.isawaitable(value) else value


async def _drained(items: Any) -> None:
    async for _ in items:
        pass


async def _plain_async(resource: Any, ask: Arguments) -> None:
    await resource.create(**ask)


async def _raw_async(resource: Any, ask: Arguments) -> None:
    await _maybe((await resource.with_raw_response.create(**ask)).parse())


async def _read_async(resource: Any, ask: Arguments) -> None:
    async with resource.with_streaming_response.create(**ask) as response:
        assert await response.read()


async def _lines_async(resource: Any, ask: Arguments) -> None:
    async with resource.with_streaming_response.create(**ask) as response:
        await _drained(response.iter_lines())


async def _bytes_async(resource: Any, ask: Arguments) -> None:
    async with resource.with_streaming_response.create(**ask) as response:
        await _drained(response.iter_bytes(7))


async def _raw_bytes_async(resource: Any, ask: Arguments) -> None:
    async with resource.with_streaming_response.create(**ask) as response:
        await _drained(response.http_response.aiter_raw())


async def _parsed_async(resource: Any, ask: Arguments) -> None:
    async with resource.with_streaming_response.create(**ask) as response:
        assert await response.parse()


ASYNC_FORMS: Mapping[str, AsyncForm] = {
    "plain": _plain_async,
    "raw response": _raw_async,
    "streaming response, read": _read_async,
    "streaming response, lines": _lines_async,
    "streaming response, bytes": _bytes_async,
    "streaming response, raw bytes": _raw_bytes_async,
    "streaming response, parsed": _parsed_async,
}


async def _stream_async(resource: Any, ask: Arguments) -> None:
    await _drained(await resource.create(**ask, stream=True))


async def _stream_entered_async(resource: Any, ask: Arguments) -> None:
    async with await resource.create(**ask, stream=True) as stream:
        await _drained(stream)


async def _raw_stream_async(resource: Any, ask: Arguments) -> None:
    raw = await resource.with_raw_response.create(**ask, stream=True)
    await _drained(await _maybe(raw.parse()))


async def _streaming_stream_async(resource: Any, ask: Arguments) -> None:
    async with resource.with_streaming_response.create(**ask, stream=True) as response:
        await _drained(await response.parse())


async def _streaming_lines_async(resource: Any, ask: Arguments) -> None:
    await _lines_async(resource, {**ask, "stream": True})


async def _streaming_raw_bytes_async(resource: Any, ask: Arguments) -> None:
    await _raw_bytes_async(resource, {**ask, "stream": True})


ASYNC_STREAM_FORMS: Mapping[str, AsyncForm] = {
    "stream": _stream_async,
    "stream, entered": _stream_entered_async,
    "raw response": _raw_stream_async,
    "streaming response, parsed": _streaming_stream_async,
    "streaming response, lines": _streaming_lines_async,
    "streaming response, raw bytes": _streaming_raw_bytes_async,
}
