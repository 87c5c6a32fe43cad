"""However a google-genai call ends, each of its attempts is one record."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Generator
from contextlib import suppress
from typing import Any

import pytest
from google.genai import errors

from simulated_provider import Reply, SimulatedProvider
from spanmeter.instrumentation import usage
from spanmeter.metering import attributes as names
from unit.instrumentation.clients.google_calls import (
    ASK,
    ASYNC_FORMS,
    FORMS,
    HTTP,
    AsyncForm,
    Form,
    client_of,
    run,
    stream_async,
)
from unit.instrumentation.recording import Attributes, Recorder, check_usage

# The SDK's own sessions are a subclass of aiohttp's, made on first use.
pytestmark = pytest.mark.filterwarnings("ignore:Inheritance class:DeprecationWarning")

SLOW = Reply(chunks=50, chunk_delay=0.005)
LIMITED = Reply(status=429)
OVERLOADED = Reply(status=503)

Outcome = tuple[object, object, object]


@pytest.fixture
def client(provider: SimulatedProvider) -> Generator[Any]:
    with client_of(provider) as client:
        yield client


def outcomes(recorder: Recorder) -> list[Outcome]:
    """Of each attempt: its number, the type of its error, the status it was answered with."""

    def outcome(span: Attributes) -> Outcome:
        status = span.get(names.HTTP_RESPONSE_STATUS_CODE)
        return span[names.USAGE_ATTEMPT], span.get(names.ERROR_TYPE), status

    return [outcome(span) for span in recorder.metered]


@pytest.mark.parametrize("form", ["plain", "stream"])
@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
def test_every_attempt_is_a_span(
    recorder: Recorder,
    provider: SimulatedProvider,
    client: Any,
    form: str,
    is_async: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    provider.enqueue(LIMITED, OVERLOADED, Reply())
    if is_async:
        run(client, ASYNC_FORMS[form])
    else:
        FORMS[form](client)
    assert outcomes(recorder) == [(1, "429", 429), (2, "503", 503), (3, None, None)]
    check_usage(recorder.metered[-1], provider.served[-1])


def test_a_refused_request_is_one_attempt(recorder: Recorder, client: Any) -> None:
    with pytest.raises(errors.ClientError):
        client.models.generate_content(model="no-such-model", contents="How did we do?")
    assert outcomes(recorder) == [(1, "404", 404)]


@pytest.mark.parametrize("backend", ["httpx2", "aiohttp"])
def test_a_timeout_is_one(recorder: Recorder, provider: SimulatedProvider, backend: str) -> None:
    provider.enqueue(Reply(hang=True))
    # In milliseconds.
    client = client_of(provider, timeout=200)
    # The SDK tries again where httpx has timed out.
    with suppress(TimeoutError):
        run(client, ASYNC_FORMS["plain"]) if backend == "aiohttp" else FORMS["plain"](client)
    assert outcomes(recorder)[0] == (1, names.TIMEOUT, None)


def test_an_error_in_the_middle_of_a_stream_is_named(
    recorder: Recorder, provider: SimulatedProvider, client: Any
) -> None:
    provider.enqueue(Reply(error_after=2))
    with pytest.raises(errors.ServerError):
        FORMS["stream"](client)
    # The exception holds the response.
    gc.collect()
    check_cut(recorder, provider, "UNAVAILABLE")


def check_cut(recorder: Recorder, provider: SimulatedProvider, error_type: str) -> None:
    """What the provider had counted before the cut is on the span, and is said not to be all."""
    span = recorder.only()
    served = provider.wait_for_served(1)[0]
    assert span[names.ERROR_TYPE] == error_type
    assert span[names.USAGE_SOURCE] == names.SOURCE_ESTIMATE
    assert span[names.INPUT_TOKENS] == served.tokens.input
    assert span[names.REASONING_OUTPUT_TOKENS] == served.tokens.reasoning
    output = span[names.OUTPUT_TOKENS]
    assert isinstance(output, int)
    assert served.tokens.reasoning < output < served.tokens.output
    assert span[names.RESPONSE_ID] == served.response_id


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
def test_a_lost_connection_ends_a_stream(
    recorder: Recorder,
    provider: SimulatedProvider,
    client: Any,
    is_async: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    provider.enqueue(Reply(abort_after=2))
    if is_async:
        with pytest.raises(Exception, match=r"not enough data|payload|TransferEncoding"):
            run(client, ASYNC_FORMS["stream"])
        check_cut(recorder, provider, "aiohttp.client_exceptions.ClientPayloadError")
    else:
        with pytest.raises(HTTP.RemoteProtocolError):
            FORMS["stream"](client)
        check_cut(recorder, provider, f"{HTTP.__name__}.RemoteProtocolError")


def _break(client: Any) -> None:
    for _ in client.models.generate_content_stream(**ASK):
        break


def _close(client: Any) -> None:
    stream = client.models.generate_content_stream(**ASK)
    next(stream)
    stream.close()


def _raise(client: Any) -> None:
    def read() -> None:
        for _ in client.models.generate_content_stream(**ASK):
            raise LookupError

    with pytest.raises(LookupError):
        read()


@pytest.mark.parametrize("leave", [_break, _close, _raise], ids=["break", "close", "raise"])
@pytest.mark.parametrize("tenant", [None, "acme"])
def test_every_way_out_of_a_stream_ends_it(
    recorder: Recorder,
    provider: SimulatedProvider,
    client: Any,
    leave: Form,
    tenant: str | None,
) -> None:
    provider.enqueue(SLOW)
    if tenant is None:
        leave(client)
    else:
        with usage(tenant_id=tenant):
            leave(client)
    gc.collect()
    check_cut(recorder, provider, names.CANCELLED)


async def _break_async(aio: Any) -> None:
    async for _ in await aio.models.generate_content_stream(**ASK):
        break


async def _close_async(aio: Any) -> None:
    stream = await aio.models.generate_content_stream(**ASK)
    await anext(stream)
    await stream.aclose()


async def _cancel_async(aio: Any) -> None:
    task = asyncio.create_task(stream_async(aio))
    await asyncio.sleep(0.1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.parametrize(
    "leave", [_break_async, _close_async, _cancel_async], ids=["break", "close", "cancel"]
)
@pytest.mark.parametrize("has_aiohttp", [True, False], ids=["aiohttp", "httpx2"])
def test_every_way_out_of_an_async_stream_ends_it(
    recorder: Recorder,
    provider: SimulatedProvider,
    monkeypatch: pytest.MonkeyPatch,
    leave: AsyncForm,
    has_aiohttp: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    monkeypatch.setattr("google.genai._api_client.has_aiohttp", has_aiohttp)
    provider.enqueue(SLOW)

    async def call(aio: Any) -> None:
        await leave(aio)
        # The event loop closes what was let go.
        gc.collect()
        await asyncio.sleep(0.05)

    run(client_of(provider), call)
    check_cut(recorder, provider, names.CANCELLED)


def test_a_stream_left_after_its_last_chunk_is_finished(
    recorder: Recorder, provider: SimulatedProvider, client: Any
) -> None:
    for chunk in client.models.generate_content_stream(**ASK):
        if chunk.candidates[0].finish_reason:
            break
    gc.collect()
    check_usage(recorder.only(), provider.served[0])
