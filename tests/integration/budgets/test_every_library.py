"""Every endpoint of every client library is stopped by a budget that is used up, before a byte leaves."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager
from decimal import Decimal
from functools import partial
from typing import Any

import ollama
import pytest
from groq import Groq
from openai import AsyncOpenAI, OpenAI
from together import Together

from databases.fixtures import Databases
from databases.templates import fresh_database
from integration.budgets.conftest import destination_of
from simulated_provider import SimulatedProvider
from spanmeter.collector_receiver import CollectorSettings
from spanmeter.collector_receiver.server import Collector
from spanmeter.instrumentation import BudgetExceeded, usage
from spanmeter.instrumentation.budgets import admitting
from spanmeter.instrumentation.budgets.guard import Guard
from spanmeter.instrumentation.budgets.settings import BudgetSettings
from spanmeter.metering.budgets.budget import Budget
from spanmeter.storage.budgets import set_budget
from spanmeter.storage.connection import connect
from unit.instrumentation import forms
from unit.instrumentation.clients import (
    bedrock_calls,
    cohere_calls,
    google_calls,
    mistral_calls,
    test_bedrock,
    test_groq,
    test_ollama,
    test_openai_media,
    test_together,
)
from unit.instrumentation.clients.test_never_in_the_way_of_others import LIBRARIES
from unit.instrumentation.forms import APIS, STREAMING_APIS, client_of
from unit.instrumentation.recording import Recorder

Call = Callable[[SimulatedProvider], object]

# The SDK's own sessions are a subclass of aiohttp's, made on first use.
pytestmark = [
    pytest.mark.timeout(120),
    pytest.mark.filterwarnings("ignore:Inheritance class:DeprecationWarning"),
]


@pytest.fixture(scope="module")
def exhausted(databases: Databases) -> Generator[Guard]:
    """A guard, by a collector where acme's budget is used up."""
    template = databases.template("plain")
    with fresh_database(databases.server("plain"), template) as dsn:
        with connect(dsn) as connection:
            scope = {"tenant.id": "acme"}
            used_up = Budget(name="b", scope=scope, limit=Decimal(0), metric="requests")
            set_budget(connection, used_up, "test")
        settings = CollectorSettings(
            dsn=dsn, grpc="127.0.0.1:0", http="127.0.0.1:0", grace=1, seal_after=None, handlers=4
        )
        with Collector(settings) as collector:
            destination = destination_of(collector, "http/protobuf")
            guard = Guard(BudgetSettings(destination=destination, timeout=30))
            yield guard
            guard.shutdown()


@pytest.fixture(autouse=True)
def guarding(exhausted: Guard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admitting, "shared", lambda: exhausted)


def _of_stainless() -> Generator[tuple[str, Call]]:
    def call(api: forms.Api, form: forms.Form, provider: SimulatedProvider) -> None:
        with client_of(api, provider) as client:
            form(api.resource(client), api.arguments)

    def call_async(api: forms.Api, form: forms.AsyncForm, provider: SimulatedProvider) -> None:
        async def called() -> None:
            async with forms.async_client_of(api, provider) as client:
                await form(api.resource(client), api.arguments)

        asyncio.run(called())

    for name, api in APIS.items():
        for form, method in forms.FORMS.items():
            yield f"{api.sdk}, {name}, {form}", partial(call, api, method)
        for form, async_method in forms.ASYNC_FORMS.items():
            yield f"{api.sdk}, {name}, async {form}", partial(call_async, api, async_method)
    for name, api in STREAMING_APIS.items():
        for form, method in forms.STREAM_FORMS.items():
            yield f"{api.sdk}, {name}, stream, {form}", partial(call, api, method)


Opened = Callable[[SimulatedProvider], AbstractContextManager[Any]]


def _openai(provider: SimulatedProvider) -> AbstractContextManager[Any]:
    return OpenAI(base_url=provider.openai_base_url, api_key="any")


def groq_client(provider: SimulatedProvider) -> AbstractContextManager[Any]:
    return Groq(base_url=provider.url + "/groq", api_key="any")


def together_client(provider: SimulatedProvider) -> AbstractContextManager[Any]:
    return Together(base_url=provider.url + test_together.BASE, api_key="any")


@contextmanager
def ollama_client(provider: SimulatedProvider) -> Generator[Any]:
    client: Any = ollama.Client(provider.url)
    with closing(client._client):
        yield client


def bedrock_client(provider: SimulatedProvider) -> AbstractContextManager[Any]:
    return closing(bedrock_calls.client_of(provider))


def _on(opened: Opened, form: Callable[[Any], object], provider: SimulatedProvider) -> None:
    with opened(provider) as client:
        form(client)


def _read(form: Any, client: Any) -> None:
    stream = form.call(client)
    if hasattr(stream, "__enter__"):
        with stream as entered:
            list(getattr(entered, "data", entered))
    else:
        list(stream)


def _speak(speak: Callable[[Any, str], object], client: Any) -> None:
    speak(client, "words")


def _of_others() -> Generator[tuple[str, Call]]:
    tables: list[tuple[str, Opened, Mapping[str, Callable[[Any], object]]]] = [
        ("groq", groq_client, test_groq.WHOLE),
        ("groq, stream", groq_client, test_groq.STREAMED),
        ("together", together_client, test_together.FORMS),
        ("ollama", ollama_client, {name: form for name, (_, form) in test_ollama.FORMS.items()}),
        ("google", google_calls.client_of, google_calls.FORMS),
        ("bedrock", bedrock_client, test_bedrock.WHOLE),
        ("bedrock, stream", bedrock_client, test_bedrock.STREAMS),
        ("openai, images", _openai, test_openai_media.MAKE_IMAGES),
        ("openai, images, stream", _openai, test_openai_media.STREAM_IMAGES),
        ("openai, transcription", _openai, test_openai_media.TRANSCRIBE),
        (
            "openai, speech",
            _openai,
            {name: partial(_speak, speak) for name, speak in test_openai_media.SPEAK.items()},
        ),
        (
            "mistral",
            mistral_calls.client_of,
            {name: form.call for name, form in mistral_calls.WHOLE.items()},
        ),
        (
            "mistral, stream",
            mistral_calls.client_of,
            {name: partial(_read, form) for name, form in mistral_calls.STREAMED.items()},
        ),
    ]
    for library, opened, table in tables:
        for name, form in table.items():
            yield f"{library}, {name}", partial(_on, opened, form)
    for version in (1, 2):
        opened = partial(cohere_calls.client_of, version=version)
        for name, whole in cohere_calls.WHOLE.items():
            if whole.version == version:
                yield f"cohere, {name}", partial(_on, opened, whole.call)
        for kind, streams in (
            ("stream", cohere_calls.STREAMED),
            ("raw", cohere_calls.RAW_STREAMED),
        ):
            for name, streamed in streams.items():
                if streamed.version == version:
                    yield f"cohere, {kind}, {name}", partial(_on, opened, partial(_read, streamed))


def _whole_library(library: Any, provider: SimulatedProvider) -> None:
    with library(provider) as ask:
        ask()


def _realtime(provider: SimulatedProvider) -> None:
    urls: Any = {
        "base_url": provider.openai_base_url,
        "websocket_base_url": provider.openai_base_url.replace("http", "ws"),
    }
    with OpenAI(api_key="any", **urls) as client:
        client.realtime.connect(model="gpt-realtime").enter()


def _realtime_async(provider: SimulatedProvider) -> None:
    url = provider.openai_base_url

    async def connect() -> None:
        async with (
            AsyncOpenAI(
                api_key="any", base_url=url, websocket_base_url=url.replace("http", "ws")
            ) as client,
            client.realtime.connect(model="gpt-realtime"),
        ):
            pass

    asyncio.run(connect())


def _live(provider: SimulatedProvider) -> None:
    async def connect() -> None:
        async with (
            google_calls.client_of(provider).aio as aio,
            aio.live.connect(model="gemini-live-2.5-flash-preview"),
        ):
            pass

    asyncio.run(connect())


CALLS: Mapping[str, Call] = {
    **dict(_of_stainless()),
    **dict(_of_others()),
    **{f"{name}, all": partial(_whole_library, each) for name, each in LIBRARIES.items()},
    "openai, realtime": _realtime,
    "openai, realtime, async": _realtime_async,
    "google, live": _live,
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_nothing_leaves(recorder: Recorder, provider: SimulatedProvider, call: Call) -> None:
    with pytest.raises(BudgetExceeded), usage(tenant_id="acme"):
        call(provider)
    assert provider.requests == []
    assert recorder.metered == []
