"""The forms of a Cohere call, of both of its APIs, sync and async."""

from __future__ import annotations

import json
import ssl
from collections.abc import AsyncGenerator, Generator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any

import cohere
import httpx
import pytest

from simulated_provider import Reply, Served, SimulatedProvider
from spanmeter.metering import attributes as names
from unit.instrumentation.clients.older_releases import method_of
from unit.instrumentation.recording import Attributes

Arguments = Mapping[str, Any]
ASK: Arguments = {
    "model": "command-a-03-2025",
    "messages": [{"role": "user", "content": "How did we do?"}],
}
ASK_V1: Arguments = {
    "model": "command-r-08-2024",
    "preamble": "Be brief.",
    "message": "How did we do?",
}
EMBED_V1: Arguments = {
    "model": "embed-v4.0",
    "texts": ["How", "did we do?"],
    "input_type": "search_query",
}
EMBED: Arguments = {**EMBED_V1, "embedding_types": ["float"]}
# Reading the certificate authorities takes longer than a whole test.
NO_AUTHORITIES = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
SLOW = Reply(chunks=50, chunk_delay=0.005)


@dataclass(frozen=True)
class Form:
    """A method of the first or second version's client, sync and async, and its arguments."""

    version: int
    method: str
    arguments: Arguments
    operation: str = names.CHAT
    raw: bool = False

    def call(self, client: Any) -> Any:
        methods = client.with_raw_response if self.raw else client
        return method_of(methods, self.method)(**self.arguments)


WHOLE = {
    "chat": Form(2, "chat", ASK),
    "chat, raw": Form(2, "chat", ASK, raw=True),
    "chat, v1": Form(1, "chat", ASK_V1),
    "embed": Form(2, "embed", EMBED, names.EMBEDDINGS),
    "embed, v1": Form(1, "embed", EMBED_V1, names.EMBEDDINGS),
}
STREAMED = {
    "chat": Form(2, "chat_stream", ASK),
    "chat, v1": Form(1, "chat_stream", ASK_V1),
}
RAW_STREAMED = {
    name: Form(form.version, form.method, form.arguments, raw=True)
    for name, form in STREAMED.items()
}
each_whole = pytest.mark.parametrize("form", WHOLE.values(), ids=WHOLE)
each_streamed = pytest.mark.parametrize("form", STREAMED.values(), ids=STREAMED)
each_raw_streamed = pytest.mark.parametrize("form", RAW_STREAMED.values(), ids=RAW_STREAMED)


@contextmanager
def client_of(
    provider: SimulatedProvider, version: int = 2, *, timeout: float = 5
) -> Generator[Any]:
    sdk: Any = cohere.ClientV2 if version == 2 else cohere.Client
    with (
        httpx.Client(verify=NO_AUTHORITIES, timeout=timeout) as http_client,
        ThreadPoolExecutor(2) as pool,
    ):
        yield sdk(
            api_key="any",
            base_url=provider.url,
            httpx_client=http_client,
            timeout=timeout,
            thread_pool_executor=pool,
        )


@asynccontextmanager
async def async_client_of(provider: SimulatedProvider, version: int) -> AsyncGenerator[Any]:
    sdk: Any = cohere.AsyncClientV2 if version == 2 else cohere.AsyncClient
    async with httpx.AsyncClient(verify=NO_AUTHORITIES) as http_client:
        yield sdk(api_key="any", base_url=provider.url, httpx_client=http_client)


def check_usage(span: Attributes, served: Served, form: Form) -> None:
    """The span says of a complete answer what the provider has in its books."""
    tokens = served.tokens
    assert span[names.PROVIDER_NAME] == "cohere"
    assert span[names.OPERATION_NAME] == form.operation
    assert span[names.REQUEST_MODEL] == form.arguments["model"]
    assert span[names.RESPONSE_ID] == served.response_id
    assert span[names.INPUT_TOKENS] == tokens.input > 0
    assert span.get(names.OUTPUT_TOKENS, 0) == tokens.output
    assert span[names.USAGE_SOURCE] == names.SOURCE_PROVIDER
    assert names.ERROR_TYPE not in span
    check_raw(span, served)


def check_raw(span: Attributes, served: Served) -> None:
    """The raw block holds all counts, billed or not, and no words."""
    assert json.loads(str(span[names.USAGE_RAW])) == served.usage
