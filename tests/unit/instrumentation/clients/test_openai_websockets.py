"""Over a websocket each response is a call, of whoever receives it or opened the connection."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Generator, Mapping
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI, OpenAI
from websockets.exceptions import ConnectionClosed

from simulated_provider import Reply, Served, SimulatedProvider
from spanmeter.instrumentation import usage
from spanmeter.metering import attributes as names
from unit.instrumentation.recording import Attributes, Recorder, check_raw_usage, check_usage

pytestmark = pytest.mark.skipif(
    tuple(int(part) for part in openai.__version__.split(".")[:2]) < (1, 102),
    reason="this version has no such method",
)

SAY: Any = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "How?"}]}


@pytest.fixture
def openai_client(provider: SimulatedProvider) -> Generator[OpenAI]:
    # The beta takes the scheme of the websocket from its own base URL alone.
    socket_url = provider.openai_base_url.replace("http", "ws")
    with OpenAI(
        base_url=provider.openai_base_url, websocket_base_url=socket_url, api_key="any"
    ) as client:
        yield client


def resource(client: Any, name: str) -> Any:
    """A resource of the client's that not every version has, or not as a websocket."""
    found = getattr(client, name, None)
    if not hasattr(found, "connect"):
        pytest.skip(f"this version has no {name}.connect")
    return found


APIS: Mapping[str, Callable[[Any], Any]] = {
    "realtime": lambda client: resource(client, "realtime").connect(model="gpt-realtime"),
    "beta": lambda client: client.beta.realtime.connect(model="gpt-realtime"),
}


def until(connection: Any, kind: str) -> None:
    """Receives up to and with an event of that type."""
    while connection.recv().type != kind:
        pass


def check_realtime(span: Attributes, served: Served) -> None:
    """The span says what the provider has in its books, by modality."""
    block = served.usage
    given, made = block["input_token_details"], block["output_token_details"]
    cached = given["cached_tokens_details"]
    assert span[names.OPERATION_NAME] == names.REALTIME
    assert span[names.PROVIDER_NAME] == "openai"
    assert span[names.REQUEST_MODEL] == "gpt-realtime"
    assert span[names.RESPONSE_ID] == served.response_id
    assert span[names.INPUT_TOKENS] == served.tokens.input
    assert span[names.AUDIO_INPUT_TOKENS] == given["audio_tokens"] > 0
    assert span[names.CACHE_READ_INPUT_TOKENS] == served.tokens.cache_read
    assert span[names.AUDIO_CACHE_READ_INPUT_TOKENS] == cached["audio_tokens"]
    assert span[names.OUTPUT_TOKENS] == served.tokens.output
    assert span[names.AUDIO_OUTPUT_TOKENS] == made["audio_tokens"] > 0
    assert span[names.USAGE_SOURCE] == names.SOURCE_PROVIDER
    check_raw_usage(span, served)


@pytest.mark.parametrize("connect", APIS.values(), ids=APIS)
def test_each_response_of_a_conversation_is_a_call(
    recorder: Recorder,
    provider: SimulatedProvider,
    openai_client: Any,
    connect: Callable[[Any], Any],
) -> None:
    with usage(tenant_id="acme"), connect(openai_client) as connection:
        for _ in range(2):
            connection.conversation.item.create(item=SAY)
            connection.response.create()
            until(connection, "response.done")
    assert len(recorder.metered) == 2
    for span, served in zip(recorder.metered, provider.served, strict=True):
        check_realtime(span, served)
        assert span[names.TENANT_ID] == "acme"
        assert names.ERROR_TYPE not in span


def test_messages_taken_as_bytes_are_watched_too(
    recorder: Recorder, provider: SimulatedProvider, openai_client: Any
) -> None:
    with resource(openai_client, "realtime").connect(model="gpt-realtime") as connection:
        connection.conversation.item.create(item=SAY)
        connection.response.create()
        while b'"response.done"' not in connection.recv_bytes():
            pass
    check_realtime(recorder.only(), provider.served[0])


@pytest.mark.parametrize("model", ["whisper-1", "gpt-4o-transcribe"])
def test_what_was_said_is_transcribed_by_another_model(
    recorder: Recorder, provider: SimulatedProvider, openai_client: Any, model: str
) -> None:
    with resource(openai_client, "realtime").connect(model="gpt-realtime") as connection:
        heard = {"transcription": {"model": model}}
        connection.session.update(session={"type": "realtime", "audio": {"input": heard}})
        connection.input_audio_buffer.commit()
        until(connection, "conversation.item.input_audio_transcription.completed")
    span, [served] = recorder.only(), provider.served
    assert span[names.OPERATION_NAME] == names.TRANSCRIPTION
    assert span[names.REQUEST_MODEL] == model
    check_raw_usage(span, served)
    if model == "whisper-1":
        assert span[names.quantity("audio_seconds")] == 2.5
    else:
        assert span[names.INPUT_TOKENS] == span[names.AUDIO_INPUT_TOKENS] == 25
        assert span[names.OUTPUT_TOKENS] == 6


def test_a_failed_response_is_an_error_with_its_counts(
    recorder: Recorder, provider: SimulatedProvider, openai_client: Any
) -> None:
    provider.enqueue(Reply(error_after=1))
    with resource(openai_client, "realtime").connect(model="gpt-realtime") as connection:
        connection.response.create()
        until(connection, "response.done")
    span = recorder.only()
    assert span[names.ERROR_TYPE] == "server_error"
    assert span[names.OUTPUT_TOKENS] == provider.served[0].tokens.output


def test_a_connection_that_breaks_ends_its_response(
    recorder: Recorder, provider: SimulatedProvider, openai_client: Any
) -> None:
    provider.enqueue(Reply(abort_after=1))
    with resource(openai_client, "realtime").connect(model="gpt-realtime") as connection:
        connection.response.create()
        with pytest.raises(ConnectionClosed):
            until(connection, "response.done")
        assert "ConnectionClosed" in str(recorder.only()[names.ERROR_TYPE])
    assert names.OUTPUT_TOKENS not in recorder.only()


def test_a_connection_that_is_closed_cancels_its_response(
    recorder: Recorder, provider: SimulatedProvider, openai_client: Any
) -> None:
    # A client that closes with many events unread waits ten seconds for the provider's goodbye.
    provider.enqueue(Reply(text="Well."))
    with resource(openai_client, "realtime").connect(model="gpt-realtime") as connection:
        connection.response.create()
        until(connection, "response.created")
    assert recorder.only()[names.ERROR_TYPE] == names.CANCELLED


def test_a_thread_without_a_tenant_receives_for_whoever_opened_the_connection(
    recorder: Recorder, openai_client: Any
) -> None:
    with (
        usage(tenant_id="acme"),
        resource(openai_client, "realtime").connect(model="gpt-realtime") as connection,
    ):
        connection.response.create()
        receiving = threading.Thread(target=until, args=(connection, "response.done"))
        receiving.start()
        receiving.join()
        with usage(tenant_id="other"):
            connection.response.create()
            until(connection, "response.done")
    assert [span[names.TENANT_ID] for span in recorder.metered] == ["acme", "other"]


def test_responses_over_a_websocket(
    recorder: Recorder, provider: SimulatedProvider, openai_client: Any
) -> None:
    with resource(openai_client, "responses").connect() as connection:
        for question in ("How?", "Why?"):
            connection.response.create(model="gpt-5-mini", input=question)
            until(connection, "response.completed")
    assert len(recorder.metered) == 2
    for span, served in zip(recorder.metered, provider.served, strict=True):
        check_usage(span, served)
        assert span[names.OPERATION_NAME] == names.CHAT


def test_a_live_session_is_as_long_as_its_last_count(
    recorder: Recorder, openai_client: Any
) -> None:
    with resource(openai_client, "live").connect() as connection:
        connection.send({"type": "session.start", "session": {"model": "gpt-live-1"}})
        until(connection, "session.usage.updated")
        connection.send({"type": "session.close"})
        until(connection, "session.closed")
    span = recorder.only()
    assert span[names.REQUEST_MODEL] == "gpt-live-1"
    assert span[names.quantity("audio_seconds")] == 4.25
    assert names.ERROR_TYPE not in span


def test_a_live_session_that_is_left_has_its_seconds_so_far(
    recorder: Recorder, openai_client: Any
) -> None:
    with resource(openai_client, "live").connect() as connection:
        connection.send({"type": "session.start", "session": {"model": "gpt-live-1"}})
        until(connection, "session.usage.updated")
    span = recorder.only()
    assert span[names.quantity("audio_seconds")] == 1.5
    assert span[names.ERROR_TYPE] == names.CANCELLED


def test_async(recorder: Recorder, provider: SimulatedProvider) -> None:
    """The same, and giving up the wait for an event ends nothing."""

    async def until_async(connection: Any, kind: str) -> None:
        while (await connection.recv()).type != kind:
            pass

    async def talk() -> None:
        socket_url = provider.openai_base_url.replace("http", "ws")
        client: Any = AsyncOpenAI(
            base_url=provider.openai_base_url, websocket_base_url=socket_url, api_key="any"
        )
        async with client, client.realtime.connect(model="gpt-realtime") as connection:
            await connection.conversation.item.create(item=SAY)
            await until_async(connection, "conversation.item.added")
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(connection.recv(), 0.05)
            await connection.response.create()
            await until_async(connection, "response.done")
            provider.enqueue(Reply(text="Well."))
            await connection.response.create()
            await until_async(connection, "response.created")
        async with resource(client, "responses").connect() as connection:
            await connection.response.create(model="gpt-5-mini", input="How?")
            await until_async(connection, "response.completed")

    with usage(tenant_id="acme"):
        asyncio.run(talk())
    done, cancelled, response = recorder.metered
    check_realtime(done, provider.served[0])
    assert cancelled[names.ERROR_TYPE] == names.CANCELLED
    assert response[names.OUTPUT_TOKENS] == provider.served[-1].tokens.output
    assert all(span[names.TENANT_ID] == "acme" for span in recorder.metered)
