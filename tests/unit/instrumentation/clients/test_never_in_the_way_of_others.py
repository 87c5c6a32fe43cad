"""Whatever of ours breaks on the way of a call, its client library gives what it would have given."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import re
from collections.abc import Awaitable, Callable, Generator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager
from typing import Any

import ollama
import pytest
from aiobotocore.session import get_session  # type: ignore[import-untyped]
from groq import Groq
from together import Together

from simulated_provider import SimulatedProvider
from spanmeter.instrumentation import (
    aiohttp_transport,
    guard,
    observing,
    raw_bodies,
    usage,
)
from spanmeter.instrumentation.collected import aside
from unit.instrumentation import faults
from unit.instrumentation.clients import (
    bedrock_calls,
    cohere_calls,
    google_calls,
    mistral_calls,
    test_groq,
    test_ollama,
    test_together,
)
from unit.instrumentation.recording import Recorder

Ask = Callable[[], object]
Library = Callable[[SimulatedProvider], AbstractContextManager[Ask]]

# These stand between the application and all the rest: each hands on to what may fail, and catches.
BOUNDARY = re.compile(
    r"(\w+\.<locals>\.)+wrapper|_send|_request|_watch(_async)?$|ObservedBody"
    r"|Observation\.([a-z]|__enter|__exit)|RawObservation\.(passed|finished)"
    r"|(Urllib3|Aiohttp|Httpx)Body|WatchedReader|_collect|EnteredCall|Carried\.__|_submit|_start$"
    r"|read_(async_)?in|_in_context|within|(Entry|Calling|Sending)\.__e|Entry\.leave|Sending\.read"
    r"|(Usage|Context)Scope\.(__|_around|_entered)|report|Aside"
    r"|_note_collection|_settled"
)


@contextmanager
def groq_plain(provider: SimulatedProvider) -> Generator[Ask]:
    with Groq(base_url=provider.url + "/groq", api_key="any") as client:
        yield lambda: [test_groq.WHOLE["plain"](client), test_groq.STREAMED["stream"](client)]


@contextmanager
def together_plain(provider: SimulatedProvider) -> Generator[Ask]:
    with Together(base_url=provider.url + test_together.BASE, api_key="any") as client:
        yield lambda: [test_together.FORMS[form](client) for form in ("plain", "stream")]


@contextmanager
def ollama_plain(provider: SimulatedProvider) -> Generator[Ask]:
    client: Any = ollama.Client(provider.url)
    forms = [test_ollama.FORMS[form][1] for form in ("chat", "streamed chat")]
    with closing(client._client):
        yield lambda: [form(client) for form in forms]


@contextmanager
def mistral(provider: SimulatedProvider) -> Generator[Ask]:
    with mistral_calls.client_of(provider) as client:

        def ask() -> object:
            with mistral_calls.STREAMED["chat"].call(client) as stream:
                return [mistral_calls.WHOLE["chat"].call(client), list(stream)]

        yield ask


@contextmanager
def cohere(provider: SimulatedProvider) -> Generator[Ask]:
    def ask() -> object:
        # Made anew each time, since the threads of the first version's are to be.
        with (
            cohere_calls.client_of(provider) as client,
            cohere_calls.client_of(provider, 1) as client_v1,
        ):
            return [
                cohere_calls.WHOLE["chat"].call(client),
                list(cohere_calls.STREAMED["chat"].call(client)),
                cohere_calls.WHOLE["embed, v1"].call(client_v1),
            ]

    yield ask


@contextmanager
def google(provider: SimulatedProvider) -> Generator[Ask]:
    with google_calls.client_of(provider) as client:
        forms = [google_calls.FORMS[form] for form in ("plain", "stream")]
        yield lambda: [form(client) for form in forms]


@contextmanager
def bedrock(provider: SimulatedProvider) -> Generator[Ask]:
    with closing(bedrock_calls.client_of(provider)) as client:

        def ask() -> object:
            streamed = bedrock_calls.converse_stream(client)
            return [
                bedrock_calls.converse(client),
                list(streamed["stream"]),
                list(bedrock_calls.invoke(client)["body"].iter_lines()),
            ]

        yield ask


@contextmanager
def _async(client: Any, ask: Callable[[Any], Awaitable[object]]) -> Generator[Ask]:
    """Has questions asked in an event loop, with an async client that is entered in it."""

    async def asked(opened: Any) -> object:
        return await ask(opened)

    with asyncio.Runner() as runner:
        opened = runner.run(client.__aenter__())
        try:
            yield lambda: runner.run(asked(opened), context=contextvars.copy_context())
        finally:
            runner.run(client.__aexit__(None, None, None))


def google_async(provider: SimulatedProvider) -> AbstractContextManager[Ask]:
    async def ask(aio: Any) -> object:
        stream = await aio.models.generate_content_stream(**google_calls.ASK)
        return [await google_calls.ASYNC_FORMS["plain"](aio), [item async for item in stream]]

    return _async(google_calls.client_of(provider).aio, ask)


def bedrock_async(provider: SimulatedProvider) -> AbstractContextManager[Ask]:
    async def ask(client: Any) -> object:
        streamed = await bedrock_calls.converse_stream(client)
        return [
            await bedrock_calls.converse(client),
            [event async for event in streamed["stream"]],
            await (await bedrock_calls.invoke(client))["body"].read(),
        ]

    session: Any = get_session()
    client = session.create_client(
        "bedrock-runtime", endpoint_url=provider.url, **bedrock_calls.KEYS
    )
    return _async(client, ask)


LIBRARIES: Mapping[str, Library] = {
    "groq": groq_plain,
    "together": together_plain,
    "ollama": ollama_plain,
    "mistralai": mistral,
    "cohere": cohere,
    "google-genai": google,
    "google-genai, async": google_async,
    "botocore": bedrock,
    "aiobotocore": bedrock_async,
}

# What is made once for each class of responses is to be made in every run.
MADE_ONCE: list[Any] = [
    observing.observed,
    vars(raw_bodies)["_watched"],
    vars(aiohttp_transport)["_watched"],
]

# Ids and times, which are other ones each time.
DIFFERS = re.compile(
    r"""['"]?(\w*id|RequestId|x-amzn-requestid|created(_at)?|date)['"]?[=:] ?['"]?[^'",)}]+|\d\d:\d\d:\d\d GMT"""
)


def result_of(ask: Ask, provider: SimulatedProvider) -> str:
    """What the application gets, or what is raised, but for ids and times."""
    provider.reset()
    for made in MADE_ONCE:
        made.cache_clear()
    try:
        # In a context of its own: what is broken may be what would leave one.
        shown = repr(contextvars.copy_context().run(ask))
    except Exception as exc:  # noqa: BLE001 - compared
        shown = repr(exc)
    # In vain where what does the work is broken.
    aside.settle(10)
    return DIFFERS.sub("", shown)


@pytest.mark.filterwarnings("ignore:Inheritance class AiohttpClientSession:DeprecationWarning")
@pytest.mark.parametrize("library", LIBRARIES.values(), ids=LIBRARIES)
def test_a_fault_of_ours_is_logged_and_nothing_else(
    library: Library,
    provider: SimulatedProvider,
    recorder: Recorder,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with library(provider) as ask, usage(tenant_id="acme"):
        recorder.stop()
        undisturbed = result_of(ask, provider)
        assert "Error" not in undisturbed
        recorder.start()
        reached = faults.reached(lambda: result_of(ask, provider))
        harmful: dict[str, str] = {}
        names: set[str] = set()
        for code, functions in reached.items():
            name = code.co_qualname
            if BOUNDARY.match(name):
                continue
            names.add(name)
            caplog.clear()
            monkeypatch.setattr(guard, "_seen", set[object]())
            with faults.broken(functions):
                result = result_of(ask, provider)
            errors = [record for record in caplog.records if record.levelno >= logging.ERROR]
            if result != undisturbed:
                harmful[name] = result[:300]
            elif bool(errors) != bool(faults.raised):
                harmful[name] = f"logged {len(errors)} times of {len(faults.raised)}"
        assert harmful == {}
    # What is broken here is found by looking; it must have found what there is.
    assert {"Attempt.end", "Call.attempt", "current_call"} <= names
    assert len(names) > 40
