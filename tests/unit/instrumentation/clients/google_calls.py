"""The forms of a google-genai call, and clients that make them."""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from importlib.metadata import version
from typing import Any

import httpx
import httpx2
from google.genai import Client, types
from google.oauth2.credentials import Credentials

from simulated_provider import SimulatedProvider

# The SDK sends by httpx2 since 3.0.
HTTP: Any = httpx if version("google-genai") < "3" else httpx2
NO_AUTHORITIES = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
MODEL = "gemini-2.5-flash"
ASK: dict[str, Any] = {"model": MODEL, "contents": "How did we do?"}
LONG: dict[str, Any] = {"model": MODEL, "contents": "What did we say of it? " * 400}

AsyncForm = Callable[[Any], Awaitable[object]]
Form = Callable[[Any], object]


def options_of(provider: SimulatedProvider, **options: Any) -> types.HttpOptions:
    retries = types.HttpRetryOptions(attempts=3, initial_delay=0.001, max_delay=0.002)
    # Reading the certificate authorities takes longer than the whole test.
    options.setdefault("client_args", {"verify": NO_AUTHORITIES})
    options.setdefault("async_client_args", {"verify": NO_AUTHORITIES, "ssl": NO_AUTHORITIES})
    return types.HttpOptions(base_url=provider.url, retry_options=retries, **options)


def client_of(provider: SimulatedProvider, **options: Any) -> Any:
    return Client(api_key="any", http_options=options_of(provider, **options))


def vertex_client_of(provider: SimulatedProvider) -> Any:
    return Client(
        vertexai=True,
        project="any",
        location="europe-west4",
        credentials=Credentials(token="any"),  # type: ignore[no-untyped-call]
        http_options=options_of(provider),
    )


def run(client: Any, form: AsyncForm) -> None:
    """Runs a form with the async side of a client."""

    async def call() -> None:
        async with client.aio as aio:
            await form(aio)

    asyncio.run(call())


async def drained(stream: AsyncIterator[object]) -> None:
    async for _ in stream:
        pass


FORMS: Mapping[str, Form] = {
    "plain": lambda client: client.models.generate_content(**ASK),
    "long": lambda client: client.models.generate_content(**LONG),
    "chat": lambda client: client.chats.create(model=MODEL).send_message("How did we do?"),
    "stream": lambda client: deque(client.models.generate_content_stream(**ASK)),
    "long stream": lambda client: deque(client.models.generate_content_stream(**LONG)),
    "chat stream": lambda client: deque(
        client.chats.create(model=MODEL).send_message_stream("How did we do?")
    ),
}


async def stream_async(aio: Any) -> None:
    await drained(await aio.models.generate_content_stream(**ASK))


async def chat_stream_async(aio: Any) -> None:
    await drained(await aio.chats.create(model=MODEL).send_message_stream("How did we do?"))


ASYNC_FORMS: Mapping[str, AsyncForm] = {
    "plain": lambda aio: aio.models.generate_content(**ASK),
    "chat": lambda aio: aio.chats.create(model=MODEL).send_message("How did we do?"),
    "stream": stream_async,
    "chat stream": chat_stream_async,
}
