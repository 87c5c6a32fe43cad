"""What a call leads to belongs to whoever made it: the turns of automatic function calling, what the
functions ask themselves, and streams, which are begun only when they are first read."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Generator
from typing import Any

import pytest
from google.genai import types

from simulated_provider import SimulatedProvider
from spanmeter.instrumentation import current_usage, usage
from spanmeter.metering import attributes as names
from unit.instrumentation.clients.google_calls import ASK, MODEL, client_of, drained, run
from unit.instrumentation.recording import Recorder, check_usage

# The SDK's own sessions are a subclass of aiohttp's, made on first use.
pytestmark = pytest.mark.filterwarnings("ignore:Inheritance class:DeprecationWarning")


@pytest.fixture
def client(provider: SimulatedProvider) -> Generator[Any]:
    with client_of(provider) as client:
        yield client


def test_each_turn_of_automatic_function_calling_is_a_record(
    recorder: Recorder, provider: SimulatedProvider, client: Any
) -> None:
    def revenue(region: str) -> str:
        """The revenue of a region."""
        return f"much in {region}"

    config = types.GenerateContentConfig(tools=[revenue])
    client.models.generate_content(**ASK, config=config)
    deque(client.models.generate_content_stream(**ASK, config=config))
    assert len(provider.served) == 4
    for span, served in zip(recorder.metered, provider.served, strict=True):
        check_usage(span, served)


def test_what_a_function_calls_belongs_to_the_tenant_it_is_called_for(
    recorder: Recorder, client: Any
) -> None:
    def ask_another() -> str:
        """Asks another model."""
        client.models.generate_content(model="gemini-2.5-pro", contents="And you?")
        with usage(tenant_id="another"):
            client.models.generate_content(model="gemini-2.0-flash", contents="And you?")
        return "asked"

    config = types.GenerateContentConfig(tools=[ask_another])
    with usage(tenant_id="acme", feature="tools"):
        client.models.generate_content(**ASK, config=config)
        stream = client.models.generate_content_stream(**ASK, config=config)
    with usage(tenant_id="somebody else"):
        deque(stream)
    turn = [
        (MODEL, "acme", "tools"),
        ("gemini-2.5-pro", "acme", "tools"),
        ("gemini-2.0-flash", "another", None),
        (MODEL, "acme", "tools"),
    ]
    # A function is called before the stream that asked for it has ended.
    spans = sorted(recorder.spans, key=lambda span: span.start_time or 0)
    assert [
        (span[names.REQUEST_MODEL], span[names.TENANT_ID], span.get(names.USAGE_FEATURE))
        for span in (dict(span.attributes or {}) for span in spans)
    ] == turn * 2


def test_async_functions_run_in_the_callers_context(recorder: Recorder, client: Any) -> None:
    async def call(aio: Any) -> None:
        async def ask_another() -> str:
            """Asks another model."""
            await aio.models.generate_content(model="gemini-2.5-pro", contents="And you?")
            return "asked"

        config = types.GenerateContentConfig(tools=[ask_another])

        async def ask(tenant: str) -> None:
            with usage(tenant_id=tenant):
                await aio.models.generate_content(**ASK, config=config)

        await asyncio.gather(*(ask(f"tenant {number}") for number in range(5)))

    run(client, call)
    by_tenant: dict[object, list[object]] = {}
    for span in recorder.metered:
        by_tenant.setdefault(span[names.TENANT_ID], []).append(span[names.REQUEST_MODEL])
    assert by_tenant == {
        f"tenant {number}": [MODEL, "gemini-2.5-pro", MODEL] for number in range(5)
    }


def _read_here(stream: Any) -> None:
    deque(stream)


def _read_in_a_thread(stream: Any) -> None:
    thread = threading.Thread(target=deque, args=(stream,))
    thread.start()
    thread.join()


@pytest.mark.parametrize("read", [_read_here, _read_in_a_thread], ids=["here", "thread"])
def test_a_stream_belongs_to_whoever_asked_for_it(
    recorder: Recorder, client: Any, read: Callable[[Any], None]
) -> None:
    with usage(tenant_id="acme"):
        stream = client.models.generate_content_stream(**ASK)
    read(stream)
    assert recorder.only()[names.TENANT_ID] == "acme"


def test_a_stream_that_nobody_asked_for_belongs_to_whoever_reads_it(
    recorder: Recorder, client: Any
) -> None:
    stream = client.models.generate_content_stream(**ASK)
    with usage(tenant_id="acme"):
        deque(stream)
    assert recorder.only()[names.TENANT_ID] == "acme"


def test_reading_a_stream_leaves_the_readers_context_alone(client: Any) -> None:
    with usage(tenant_id="acme"):
        stream = client.models.generate_content_stream(**ASK)
    for _ in stream:
        assert current_usage() is None


def test_an_async_stream_belongs_to_whoever_asked_for_it(recorder: Recorder, client: Any) -> None:
    async def call(aio: Any) -> None:
        with usage(tenant_id="acme"):
            stream = await aio.models.generate_content_stream(**ASK)
        await drained(stream)

    run(client, call)
    assert recorder.only()[names.TENANT_ID] == "acme"
