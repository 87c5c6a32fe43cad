"""One question to each provider, by its own client library: answered as a whole, or streamed."""

from __future__ import annotations

import ssl
from collections import deque
from collections.abc import Callable, Generator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager
from typing import Any

import boto3  # type: ignore[import-untyped]
from google.genai import Client, types

from simulated_provider import SimulatedProvider
from unit.instrumentation.forms import CHAT, MESSAGES, RESPONSES, Api, client_of

Opened = Callable[[SimulatedProvider], AbstractContextManager[Any]]

GEMINI: Mapping[str, Any] = {"model": "gemini-2.5-flash", "contents": "How did we do?"}
CONVERSE: Mapping[str, Any] = {
    "modelId": "us.anthropic.claude-haiku-4-5-20251001-v1:0",
    "messages": [{"role": "user", "content": [{"text": "How did we do?"}]}],
}


@contextmanager
def gemini_client(provider: SimulatedProvider) -> Generator[Any]:
    # Reading the certificate authorities takes longer than the whole test.
    unverified = {"verify": ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)}
    options = types.HttpOptions(base_url=provider.url, client_args=unverified)
    with Client(api_key="any", http_options=options) as client:
        yield client


@contextmanager
def bedrock_client(provider: SimulatedProvider) -> Generator[Any]:
    boto: Any = boto3
    keys = {"aws_access_key_id": "any", "aws_secret_access_key": "any"}
    with closing(
        boto.client("bedrock-runtime", endpoint_url=provider.url, region_name="eu-west-1", **keys)
    ) as client:
        yield client


def _streamed(api: Api) -> Opened:
    @contextmanager
    def opened(provider: SimulatedProvider) -> Generator[Any]:
        with (
            client_of(api, provider, max_retries=0) as client,
            closing(api.resource(client).create(**api.arguments, stream=True)) as stream,
        ):
            yield stream

    return opened


@contextmanager
def _gemini_streamed(provider: SimulatedProvider) -> Generator[Any]:
    with (
        gemini_client(provider) as client,
        closing(client.models.generate_content_stream(**GEMINI)) as stream,
    ):
        yield stream


@contextmanager
def _bedrock_streamed(provider: SimulatedProvider) -> Generator[Any]:
    with (
        bedrock_client(provider) as client,
        closing(client.converse_stream(**CONVERSE)["stream"]) as stream,
    ):
        yield stream


STREAMS: Mapping[str, Opened] = {
    "chat": _streamed(CHAT),
    "responses": _streamed(RESPONSES),
    "messages": _streamed(MESSAGES),
    "gemini": _gemini_streamed,
    "bedrock": _bedrock_streamed,
}
"""Opens a stream that nobody has read yet, and closes it."""

_APIS = {"chat": CHAT, "responses": RESPONSES, "messages": MESSAGES}


def ask(name: str, provider: SimulatedProvider, *, stream: bool = False) -> None:
    """Asks, and takes the whole answer."""
    if stream:
        with STREAMS[name](provider) as opened:
            deque(opened)
    elif name == "gemini":
        with gemini_client(provider) as client:
            client.models.generate_content(**GEMINI)
    elif name == "bedrock":
        with bedrock_client(provider) as client:
            client.converse(**CONVERSE)
    else:
        api = _APIS[name]
        with client_of(api, provider) as client:
            api.resource(client).create(**api.arguments)
