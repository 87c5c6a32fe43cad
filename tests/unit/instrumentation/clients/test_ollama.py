"""Ollama: every form of a call, the module's own functions too, is one record of the server's
counts."""

from __future__ import annotations

import asyncio
import gc
from collections import deque
from collections.abc import Awaitable, Callable, Generator, Mapping
from typing import Any

import httpx
import ollama
import pytest
from ollama import AsyncClient, Client

from simulated_provider import Reply, Served, SimulatedProvider
from spanmeter.instrumentation import usage
from spanmeter.metering import attributes as names
from unit.instrumentation.recording import Attributes, Recorder, check_raw_usage

pytestmark = pytest.mark.usefixtures("nothing_declared")

ASK: dict[str, Any] = {
    "model": "llama3.2",
    "messages": [{"role": "user", "content": "How did we do?"}],
}


@pytest.fixture
def client(provider: SimulatedProvider) -> Generator[Any]:
    client: Any = Client(provider.url)
    yield client
    client._client.close()


@pytest.fixture
def module_client(provider: SimulatedProvider, monkeypatch: pytest.MonkeyPatch) -> Generator[None]:
    """Points the client that the module made when it was imported to the simulated provider."""
    with httpx.Client(base_url=provider.url) as http_client:
        made: Any = ollama
        monkeypatch.setattr(made._client, "_client", http_client)
        yield


def check(span: Attributes, served: Served) -> None:
    """The span says of a complete answer what the server counted."""
    assert span[names.PROVIDER_NAME] == "ollama"
    assert span[names.INPUT_TOKENS] == served.tokens.input > 0
    assert span.get(names.OUTPUT_TOKENS, 0) == served.tokens.output
    assert span[names.USAGE_SOURCE] == names.SOURCE_PROVIDER
    assert span[names.RESPONSE_MODEL] == served.response_model
    assert names.ERROR_TYPE not in span
    assert span.get(names.REQUEST_STREAM, False) is served.streamed
    assert (names.TIME_TO_FIRST_CHUNK in span) is served.streamed
    check_raw_usage(span, served)


FORMS: Mapping[str, tuple[str, Callable[[Any], Any]]] = {
    "chat": (names.CHAT, lambda client: client.chat(**ASK)),
    "streamed chat": (names.CHAT, lambda client: deque(client.chat(**ASK, stream=True))),
    "generate": (
        names.TEXT_COMPLETION,
        lambda client: client.generate(model="gemma3", prompt="How did we do?"),
    ),
    "streamed generate": (
        names.TEXT_COMPLETION,
        lambda client: deque(client.generate("gemma3", "How did we do?", stream=True)),
    ),
    "embed": (
        names.EMBEDDINGS,
        lambda client: client.embed(model="nomic-embed-text", input=["How", "did we do?"]),
    ),
}


@pytest.mark.parametrize(("operation", "form"), FORMS.values(), ids=FORMS)
def test_every_form_is_one_record(
    recorder: Recorder,
    provider: SimulatedProvider,
    client: Any,
    operation: str,
    form: Callable[[Any], Any],
) -> None:
    with usage(tenant_id="acme"):
        form(client)
    span, [served] = recorder.only(), provider.served
    check(span, served)
    assert span[names.OPERATION_NAME] == operation
    assert span[names.TENANT_ID] == "acme"


@pytest.mark.usefixtures("module_client")
@pytest.mark.parametrize("form", [form for _, form in FORMS.values()], ids=FORMS)
def test_the_functions_of_the_module_are_metered_too(
    recorder: Recorder, provider: SimulatedProvider, form: Callable[[Any], Any]
) -> None:
    form(ollama)
    check(recorder.only(), provider.served[0])


async def _stream_async(client: Any) -> None:
    async for _ in await client.chat(**ASK, stream=True):
        pass


ASYNC: Mapping[str, Callable[[Any], Awaitable[Any]]] = {
    "chat": lambda client: client.chat(**ASK),
    "streamed chat": _stream_async,
    "generate": lambda client: client.generate(model="gemma3", prompt="How did we do?"),
    "embed": lambda client: client.embed(model="nomic-embed-text", input="How did we do?"),
}


def run(provider: SimulatedProvider, form: Callable[[Any], Awaitable[Any]]) -> None:
    async def call() -> None:
        client: Any = AsyncClient(provider.url)
        try:
            await form(client)
        finally:
            await client._client.aclose()

    asyncio.run(call())


@pytest.mark.parametrize("form", ASYNC.values(), ids=ASYNC)
def test_every_async_form_is_one_record(
    recorder: Recorder, provider: SimulatedProvider, form: Callable[[Any], Awaitable[Any]]
) -> None:
    run(provider, form)
    check(recorder.only(), provider.served[0])


def test_a_stream_is_of_whoever_asked_for_it(
    recorder: Recorder, provider: SimulatedProvider, client: Any
) -> None:
    """Its request is sent only when it is first read."""
    with usage(tenant_id="acme"):
        stream = client.chat(**ASK, stream=True)
    assert provider.requests == []
    with usage(tenant_id="globex"):
        deque(stream)
    check(recorder.only(), provider.served[0])
    assert recorder.only()[names.TENANT_ID] == "acme"
    assert b"acme" not in provider.requests[0].raw


def test_an_async_stream_is_of_whoever_asked_for_it(
    recorder: Recorder, provider: SimulatedProvider
) -> None:
    async def ask(client: Any) -> None:
        with usage(tenant_id="acme"):
            stream = await client.chat(**ASK, stream=True)
        with usage(tenant_id="globex"):
            async for _ in stream:
                pass

    run(provider, ask)
    assert recorder.only()[names.TENANT_ID] == "acme"


def test_what_is_done_between_two_lines_is_done_in_the_context_of_the_application(
    recorder: Recorder, client: Any
) -> None:
    with usage(tenant_id="acme"):
        stream = client.chat(**ASK, stream=True)
    next(stream)
    with usage(tenant_id="globex"):
        client.generate(model="gemma3", prompt="And you?")
    deque(stream)
    generated, chatted = recorder.metered
    assert generated[names.TENANT_ID] == "globex"
    assert chatted[names.TENANT_ID] == "acme"


def test_a_stream_that_is_never_read_is_never_sent(
    recorder: Recorder, provider: SimulatedProvider, client: Any
) -> None:
    client.chat(**ASK, stream=True)
    gc.collect()
    assert provider.requests == []
    assert recorder.metered == []


def _close(stream: Generator[Any]) -> None:
    next(stream)
    stream.close()


def _forget(stream: Generator[Any]) -> None:
    next(stream)


@pytest.mark.parametrize("give_up", [_close, _forget])
def test_a_stream_that_is_given_up_is_cancelled(
    recorder: Recorder,
    provider: SimulatedProvider,
    client: Any,
    give_up: Callable[[Any], None],
) -> None:
    provider.enqueue(Reply(text="x" * 400, chunks=50, chunk_delay=0.005))
    give_up(client.chat(**ASK, stream=True))
    gc.collect()
    span = recorder.only()
    assert span[names.ERROR_TYPE] == names.CANCELLED
    assert span[names.USAGE_SOURCE] == names.SOURCE_ESTIMATE
    assert span[names.OUTPUT_TOKENS] == 2  # a delta of 8 characters


def test_a_stream_that_is_cut_off_is_an_error_with_an_estimate(
    recorder: Recorder, provider: SimulatedProvider, client: Any
) -> None:
    provider.enqueue(Reply(text="x" * 400, chunks=50, abort_after=10))
    with pytest.raises(httpx.RemoteProtocolError):
        deque(client.chat(**ASK, stream=True))
    span = recorder.only()
    assert span[names.ERROR_TYPE] == "httpx.RemoteProtocolError"
    assert span[names.OUTPUT_TOKENS] == 20
    assert span[names.USAGE_SOURCE] == names.SOURCE_ESTIMATE


def test_a_stream_that_tells_of_an_error_is_one(
    recorder: Recorder, provider: SimulatedProvider, client: Any
) -> None:
    provider.enqueue(Reply(error_after=3))
    with pytest.raises(ollama.ResponseError):
        deque(client.chat(**ASK, stream=True))
    assert recorder.only()[names.ERROR_TYPE] == "error"


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_a_refusal_is_an_error(
    recorder: Recorder, provider: SimulatedProvider, client: Any, *, stream: bool
) -> None:
    with pytest.raises(ollama.ResponseError):
        deque(client.chat(model="unheard-of", messages=ASK["messages"], stream=stream))
    span = recorder.only()
    assert span[names.ERROR_TYPE] == "404"
    assert span[names.HTTP_RESPONSE_STATUS_CODE] == 404
    assert names.USAGE_SOURCE not in span


def test_a_server_that_is_not_there_is_an_error(recorder: Recorder) -> None:
    client: Any = Client("http://127.0.0.1:9")
    with pytest.raises(ConnectionError):
        client.chat(**ASK)
    client._client.close()
    assert recorder.only()[names.ERROR_TYPE] == "httpx.ConnectError"


def test_a_prompt_that_was_cached_is_estimated_where_it_is_left_out(
    recorder: Recorder, provider: SimulatedProvider, client: Any
) -> None:
    provider.enqueue(Reply(usage={"eval_count": 7}))
    client.chat(model="llama3.2", messages=[{"role": "user", "content": "x" * 100}])
    span = recorder.only()
    assert span[names.INPUT_TOKENS] == 25
    assert span[names.OUTPUT_TOKENS] == 7
    assert span[names.USAGE_SOURCE] == names.SOURCE_ESTIMATE


def test_the_older_embeddings_are_estimated(recorder: Recorder, client: Any) -> None:
    client.embeddings(model="nomic-embed-text", prompt="x" * 100)
    span = recorder.only()
    assert span[names.OPERATION_NAME] == names.EMBEDDINGS
    assert span[names.INPUT_TOKENS] == 25
    assert names.OUTPUT_TOKENS not in span
    assert span[names.USAGE_SOURCE] == names.SOURCE_ESTIMATE


def test_what_is_no_use_of_a_model_is_not_metered(recorder: Recorder, client: Any) -> None:
    with pytest.raises(ollama.ResponseError):  # of the simulated server, which lists none
        client.list()
    assert recorder.metered == []


def test_the_operator_may_say_who_serves(
    recorder: Recorder,
    provider: SimulatedProvider,
    client: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SPANMETER_PROVIDER_HOSTS", "127.0.0.1=ollama_cloud")
    client.chat(**ASK)
    assert recorder.only()[names.PROVIDER_NAME] == "ollama_cloud"
    assert provider.served[0].tokens.output == recorder.only()[names.OUTPUT_TOKENS]
