"""No byte of an identity is in anything that a provider is sent, whatever else instruments the client.

What is looked at is the wire itself, with OpenTelemetry's instrumentations of every HTTP client on,
and the tracing of Anthropic's and Mistral's own SDKs.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Awaitable, Callable, Generator, Mapping
from importlib import import_module
from typing import Any

import httpx2
import ollama
import pytest
import requests
from anthropic import Anthropic, AsyncAnthropic
from groq import AsyncGroq
from openai import AsyncOpenAI, OpenAI
from opentelemetry import baggage, trace
from opentelemetry.context import attach, detach
from opentelemetry.instrumentation.httpx import HTTPX2ClientInstrumentor, HTTPXClientInstrumentor
from together import AsyncTogether
from websockets.asyncio.client import connect

from simulated_provider import SimulatedProvider
from spanmeter.instrumentation import UsageContext, usage
from spanmeter.metering import attributes as names
from unit.instrumentation.clients import (
    cohere_calls,
    google_calls,
    mistral_calls,
    test_google_live,
    test_groq,
    test_ollama,
    test_together,
)
from unit.instrumentation.clients.test_never_in_the_way_of_others import LIBRARIES
from unit.instrumentation.forms import APIS, CHAT, MESSAGES, Api, async_client_of, client_of
from unit.instrumentation.recording import Recorder
from wiretap import Wiretap

# The SDK's own sessions are a subclass of aiohttp's, made on first use.
pytestmark = pytest.mark.filterwarnings("ignore:Inheritance class:DeprecationWarning")

MARK = secrets.token_hex(8)
IDENTITY = UsageContext(
    **dict.fromkeys(
        (
            "tenant_id",
            "workspace_id",
            "project_id",
            "user_id",
            "feature",
            "workflow",
            "action",
            "label",
            "idempotency_key",
        ),
        MARK,
    ),
    account_type="trial",
    billable_state="included",
    byok=True,
    dimensions={"region": MARK, MARK: "named"},
)
TRACERS = [
    HTTPXClientInstrumentor,
    HTTPX2ClientInstrumentor,
    *(
        getattr(import_module(f"opentelemetry.instrumentation.{module}"), name)
        for module, name in (
            ("requests", "RequestsInstrumentor"),
            ("aiohttp_client", "AioHttpClientInstrumentor"),
            ("botocore", "BotocoreInstrumentor"),
            ("grpc", "GrpcInstrumentorClient"),
            ("grpc", "GrpcAioInstrumentorClient"),
        )
    ),
]


@pytest.fixture
def tracing(recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> Generator[None]:
    """Every instrumentation that writes the context into requests, and baggage that is none of ours."""
    monkeypatch.setenv("MISTRAL_SDK_TELEMETRY", "global")
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", recorder.tracer_provider)
    instrumentors: list[Any] = [tracer() for tracer in TRACERS]
    for instrumentor in instrumentors:
        instrumentor.instrument(tracer_provider=recorder.tracer_provider)
    token = attach(baggage.set_baggage("session", "s1"))
    yield
    detach(token)
    for instrumentor in instrumentors:
        instrumentor.uninstrument()


@pytest.fixture
def wire(provider: SimulatedProvider, monkeypatch: pytest.MonkeyPatch) -> Generator[Wiretap]:
    """All that the provider is sent."""
    with Wiretap(provider.url) as tapped:
        monkeypatch.setattr(provider, "url", tapped.url)
        yield tapped


Use = Callable[[SimulatedProvider], object]


def _library(library: Any) -> Use:
    def use(provider: SimulatedProvider) -> None:
        with library(provider) as ask:
            ask()

    return use


def _stainless(api: Api) -> Use:
    streams = "/embeddings" not in api.path

    def use(provider: SimulatedProvider) -> None:
        with client_of(api, provider) as client:
            api.resource(client).create(**api.arguments)
            if streams:
                list(api.resource(client).create(**api.arguments, stream=True))

    return use


def _stainless_async(api: Api) -> Use:
    async def use(provider: SimulatedProvider) -> None:
        async with async_client_of(api, provider) as client:
            await api.resource(client).create(**api.arguments)
            if "/embeddings" not in api.path:
                async for _ in await api.resource(client).create(**api.arguments, stream=True):
                    pass

    return lambda provider: asyncio.run(use(provider))


def _awaited(use: Callable[[SimulatedProvider], Awaitable[None]]) -> Use:
    async def run(provider: SimulatedProvider) -> None:
        await use(provider)

    return lambda provider: asyncio.run(run(provider))


async def _chat(client: Any, ask: Mapping[str, Any]) -> None:
    async with client:
        await client.chat.completions.create(**ask)
        async for _ in await client.chat.completions.create(**ask, stream=True):
            pass


async def groq(provider: SimulatedProvider) -> None:
    await _chat(AsyncGroq(base_url=provider.url + "/groq", api_key="any"), test_groq.ASK)


async def together(provider: SimulatedProvider) -> None:
    url = provider.url + test_together.BASE
    await _chat(AsyncTogether(base_url=url, api_key="any"), test_together.ASK)


async def ollama_async(provider: SimulatedProvider) -> None:
    client: Any = ollama.AsyncClient(provider.url)
    async with contextlib.aclosing(client._client):
        await client.chat(**test_ollama.ASK)
        async for _ in await client.chat(**test_ollama.ASK, stream=True):
            pass


async def mistral(provider: SimulatedProvider) -> None:
    async with mistral_calls.async_client_of(provider) as client:
        await mistral_calls.WHOLE["chat"].call_async(client)
        async with await mistral_calls.STREAMED["chat"].call_async(client) as stream:
            async for _ in stream:
                pass


async def cohere(provider: SimulatedProvider) -> None:
    async with cohere_calls.async_client_of(provider, 2) as client:
        await client.chat(**cohere_calls.ASK)
        async for _ in client.chat_stream(**cohere_calls.ASK):
            pass


def native_anthropic(provider: SimulatedProvider) -> None:
    """With the SDK's own tracing, which writes the context itself; and without a call of ours."""
    with Anthropic(base_url=provider.url, api_key="any") as client:
        client.messages.create(**MESSAGES.arguments)
        list(client.messages.create(**MESSAGES.arguments, stream=True))
        client.messages.count_tokens(
            model="claude-haiku-4-5", messages=[{"role": "user", "content": "How?"}]
        )


async def native_anthropic_async(provider: SimulatedProvider) -> None:
    async with AsyncAnthropic(base_url=provider.url, api_key="any") as client:
        await client.messages.create(**MESSAGES.arguments)
        async with client.messages.stream(**MESSAGES.arguments) as stream:
            await stream.get_final_message()


def files(provider: SimulatedProvider) -> None:
    """Requests of a client library that use no model go to the provider too."""
    with client_of(CHAT, provider, max_retries=0) as client, contextlib.suppress(Exception):
        client.models.list()


def sockets(provider: SimulatedProvider) -> None:
    """OpenAI's realtime, and its responses over a websocket."""
    url = provider.openai_base_url
    with (
        OpenAI(base_url=url, websocket_base_url=url.replace("http", "ws"), api_key="any") as client,
        client.realtime.connect(model="gpt-realtime") as connection,
    ):
        connection.response.create()
        while connection.recv().type != "response.done":
            pass


async def sockets_async(provider: SimulatedProvider) -> None:
    url = provider.openai_base_url
    async with (
        AsyncOpenAI(
            base_url=url, websocket_base_url=url.replace("http", "ws"), api_key="any"
        ) as client,
        client.realtime.connect(model="gpt-realtime") as connection,
    ):
        await connection.response.create()
        async for event in connection:
            if event.type == "response.done":
                break


async def gemini_live(provider: SimulatedProvider) -> None:
    async with (
        google_calls.client_of(provider).aio as aio,
        aio.live.connect(model=test_google_live.MODEL, config={}) as session,
    ):
        await test_google_live.two_turns(session)


USES: Mapping[str, Use] = {
    **{f"{name}, sync": _stainless(api) for name, api in APIS.items()},
    **{f"{name}, async": _stainless_async(api) for name, api in APIS.items()},
    **{name: _library(library) for name, library in LIBRARIES.items()},
    "anthropic, native": native_anthropic,
    "openai, no model": files,
    "openai, websocket": sockets,
    **{
        name: _awaited(use)
        for name, use in (
            ("anthropic, native, async", native_anthropic_async),
            ("groq, async", groq),
            ("together, async", together),
            ("ollama, async", ollama_async),
            ("mistralai, async", mistral),
            ("cohere, async", cohere),
            ("openai, websocket, async", sockets_async),
            ("google-genai, live", gemini_live),
        )
    },
}


@pytest.fixture(autouse=True)
def live_in_the_clear(monkeypatch: pytest.MonkeyPatch) -> None:
    """Websockets are not encrypted: the provider has no certificate."""

    def connect_in_the_clear(uri: str, **options: Any) -> Any:
        options.pop("ssl", None)
        return connect(uri.replace("wss:", "ws:", 1), **options)

    monkeypatch.setattr("google.genai.live.ws_connect", connect_in_the_clear)


def check(sent: bytes) -> None:
    for leak in (MARK.encode(), *(name.encode() for name in IDENTITY.identity())):
        assert leak not in sent
    assert sent


@pytest.mark.usefixtures("tracing")
@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_no_byte_of_an_identity_reaches_a_provider(
    recorder: Recorder, provider: SimulatedProvider, wire: Wiretap, use: Use
) -> None:
    with usage(IDENTITY):
        use(provider)
        assert baggage.get_baggage(names.TENANT_ID) == MARK
    check(wire.sent)
    assert {str(span[names.TENANT_ID]) for span in recorder.metered} <= {MARK}
    assert recorder.metered or use is files


@pytest.mark.usefixtures("tracing")
def test_the_instrumentations_would_have_sent_it(
    recorder: Recorder, provider: SimulatedProvider, wire: Wiretap
) -> None:
    """They do in a request of the application's own."""
    with usage(IDENTITY):
        for send in (httpx2.post, requests.post):
            send(wire.url + "/v1/embeddings", json={"model": "text-embedding-3-small"})
    assert wire.sent.count(f"tenant.id={MARK}".encode()) == 2
