"""Mistral's realtime sessions: what is heard and what is spoken is a record, for whoever began it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from simulated_provider import Reply, SimulatedProvider
from spanmeter.instrumentation import usage
from spanmeter.metering import attributes as names
from unit.instrumentation.clients.mistral_calls import async_client_of
from unit.instrumentation.recording import Recorder, check_raw_usage

pytestmark = pytest.mark.usefixtures("nothing_declared")

pytest.importorskip("mistralai.extra.realtime")

SOUND = [bytes(1500), bytes(2000)]
TEXTS = ["How did ", "we do?"]


async def each(parts: list[Any]) -> AsyncIterator[Any]:
    for part in parts:
        yield part


async def transcribe(client: Any) -> list[Any]:
    stream = client.audio.realtime.transcribe_stream(each(SOUND), model="voxtral-mini-latest")
    return [event async for event in stream]


async def speak(client: Any) -> list[Any]:
    realtime = getattr(client.audio, "realtime_speech", None)
    if realtime is None:
        pytest.skip("this release has no realtime speech")
    return [event async for event in realtime.speak_stream(each(TEXTS), model="voxtral-mini-tts")]


def run(provider: SimulatedProvider, session: Any) -> list[Any]:
    async def call() -> list[Any]:
        async with async_client_of(provider) as client:
            with usage(tenant_id="acme"):
                events: list[Any] = await session(client)
                return events

    return asyncio.run(call())


def test_a_transcript_is_the_seconds_that_were_heard(
    recorder: Recorder, provider: SimulatedProvider
) -> None:
    assert run(provider, transcribe)[-1].type == "transcription.done"
    span, [served] = recorder.only(), provider.served
    assert span[names.OPERATION_NAME] == names.TRANSCRIPTION
    assert span[names.PROVIDER_NAME] == "mistral_ai"
    assert span[names.REQUEST_MODEL] == "voxtral-mini-latest"
    assert span[names.RESPONSE_MODEL] == served.response_model
    assert span[names.quantity("input_audio_seconds")] == 3
    assert span[names.OUTPUT_TOKENS] == served.tokens.output
    assert span[names.USAGE_SOURCE] == names.SOURCE_PROVIDER
    assert span[names.TENANT_ID] == "acme"
    assert names.ERROR_TYPE not in span
    check_raw_usage(span, served)


def test_speech_is_the_characters_that_were_sent(
    recorder: Recorder, provider: SimulatedProvider
) -> None:
    assert run(provider, speak)[-1].type == "speech.audio.done"
    span, [served] = recorder.only(), provider.served
    assert span[names.OPERATION_NAME] == names.SPEECH
    assert span[names.REQUEST_MODEL] == "voxtral-mini-tts"
    assert span[names.quantity("input_characters")] == len("".join(TEXTS))
    assert span[names.INPUT_TOKENS] == served.tokens.input
    check_raw_usage(span, served)


@pytest.mark.parametrize("session", [transcribe, speak])
def test_a_session_that_is_cut_is_an_error(
    recorder: Recorder, provider: SimulatedProvider, session: Any
) -> None:
    provider.enqueue(Reply(chunks=6, abort_after=2))
    with pytest.raises(Exception) as caught:  # noqa: PT011 - the library's own, by kind of session
        run(provider, session)
    assert type(caught.value).__name__ in {"ConnectionClosedError", "RealtimeSpeechException"}
    span = recorder.only()
    assert span[names.ERROR_TYPE] == "websockets.exceptions.ConnectionClosedError"
    expected = len("".join(TEXTS)) if session is speak else None
    assert span.get(names.quantity("input_characters")) == expected


def test_a_session_that_is_left_is_cancelled(
    recorder: Recorder, provider: SimulatedProvider
) -> None:
    # Few enough for websockets to read on to the end of the connection.
    provider.enqueue(Reply(chunks=4))

    async def leave(client: Any) -> list[Any]:
        connecting = client.audio.realtime.connect(model="voxtral-mini-latest")
        async with await connecting as connection:
            await connection.send_audio(SOUND[0])
            await connection.end_audio()
            async for event in connection:
                if event.type == "transcription.text.delta":
                    break
        return []

    run(provider, leave)
    assert recorder.only()[names.ERROR_TYPE] == names.CANCELLED


def test_a_session_without_a_turn_is_no_record(
    recorder: Recorder, provider: SimulatedProvider
) -> None:
    async def listen(client: Any) -> list[Any]:
        async with await client.audio.realtime.connect(model="voxtral-mini-latest"):
            return []

    run(provider, listen)
    assert recorder.metered == []
