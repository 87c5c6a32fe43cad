"""Images, audio and moderations: each call one record, of the provider's own counts."""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI, OpenAI

from simulated_provider import Reply, SimulatedProvider
from spanmeter.metering import attributes as names
from unit.instrumentation.recording import Recorder, check_raw_usage

older = pytest.mark.skipif(
    tuple(int(part) for part in openai.__version__.split(".")[:2]) < (1, 102),
    reason="this version has no such method",
)

PNG = ("picture.png", b"\x89PNG\r\n\x1a\n", "image/png")
FOUR_SECONDS = ("speech.wav", b"RIFF" * 1000, "audio/wav")
IMAGE: Any = {"model": "gpt-image-1", "prompt": "A lighthouse at dusk", "quality": "low"}


def deprecated() -> AbstractContextManager[None]:
    """What newer versions warn of, and may yet remove."""
    return warnings.catch_warnings(action="ignore", category=DeprecationWarning)


def drained(stream: Any) -> None:
    for _ in stream:
        pass


MAKE_IMAGES: Mapping[str, Callable[[Any], Any]] = {
    "generate": lambda client: client.images.generate(**IMAGE, n=2),
    "edit": lambda client: client.images.edit(**IMAGE, n=2, image=[PNG, PNG]),
    "raw": lambda client: client.images.with_raw_response.generate(**IMAGE, n=2).parse(),
}
STREAM_IMAGES: Mapping[str, Callable[[Any], Any]] = {
    "generate": lambda client: client.images.generate(**IMAGE, stream=True, partial_images=2),
    "edit": lambda client: client.images.edit(**IMAGE, image=PNG, stream=True, partial_images=1),
}


@older
@pytest.mark.parametrize("make", MAKE_IMAGES.values(), ids=MAKE_IMAGES)
def test_images_are_counted_in_tokens_and_by_size_and_quality(
    recorder: Recorder,
    provider: SimulatedProvider,
    openai_client: OpenAI,
    make: Callable[[Any], Any],
) -> None:
    make(openai_client)
    span, [served] = recorder.only(), provider.served
    assert span[names.OPERATION_NAME] == names.IMAGE_GENERATION
    assert span[names.REQUEST_MODEL] == "gpt-image-1"
    assert span[names.INPUT_TOKENS] == served.tokens.input > 0
    given = served.usage["input_tokens_details"]
    assert span[names.IMAGE_INPUT_TOKENS] == given["image_tokens"]
    assert span[names.OUTPUT_TOKENS] == span[names.IMAGE_OUTPUT_TOKENS] == served.tokens.output
    assert span[names.quantity("images")] == 2
    assert span[names.quantity("images.1024x1024.low")] == 2
    assert span[names.USAGE_SOURCE] == names.SOURCE_PROVIDER
    check_raw_usage(span, served)


@older
@pytest.mark.parametrize("stream", STREAM_IMAGES.values(), ids=STREAM_IMAGES)
def test_a_streamed_image_is_one_whatever_its_partial_images(
    recorder: Recorder,
    provider: SimulatedProvider,
    openai_client: OpenAI,
    stream: Callable[[Any], Any],
) -> None:
    drained(stream(openai_client))
    span, [served] = recorder.only(), provider.served
    assert span[names.INPUT_TOKENS] == served.tokens.input
    assert span[names.OUTPUT_TOKENS] == span[names.IMAGE_OUTPUT_TOKENS] == served.tokens.output
    assert span[names.quantity("images")] == span[names.quantity("images.1024x1024.low")] == 1
    assert span[names.TIME_TO_FIRST_CHUNK]


@older
def test_a_streamed_image_that_breaks_off_is_an_error_without_counts(
    recorder: Recorder, provider: SimulatedProvider, openai_client: OpenAI
) -> None:
    provider.enqueue(Reply(error_after=1))
    stream = openai_client.images.generate(**IMAGE, stream=True, partial_images=2)
    with pytest.raises(openai.APIError):
        drained(stream)
    stream.close()  # which older versions do not do
    span = recorder.only()
    assert span[names.ERROR_TYPE] == "server_error"
    assert names.quantity("images") not in span
    assert names.USAGE_SOURCE not in span


def test_images_without_tokens_are_counted_as_images(
    recorder: Recorder, openai_client: Any
) -> None:
    openai_client.images.generate(model="dall-e-3", prompt="A lighthouse")
    with deprecated():
        openai_client.images.create_variation(model="dall-e-3", image=PNG, n=2)
    assert [span[names.quantity("images")] for span in recorder.metered] == [1, 2]
    for span in recorder.metered:
        assert span[names.USAGE_SOURCE] == names.SOURCE_PROVIDER
        assert names.OUTPUT_TOKENS not in span
        assert names.USAGE_RAW not in span


TRANSCRIBE: Mapping[str, Callable[[Any], Any]] = {
    "whole": lambda client: client.audio.transcriptions.create(
        model="gpt-4o-transcribe", file=FOUR_SECONDS, prompt="Names of lighthouses"
    ),
    "streamed": lambda client: drained(
        client.audio.transcriptions.create(
            model="gpt-4o-transcribe",
            file=FOUR_SECONDS,
            prompt="Names of lighthouses",
            stream=True,
        )
    ),
}


@older
@pytest.mark.parametrize("transcribe", TRANSCRIBE.values(), ids=TRANSCRIBE)
def test_transcriptions_by_tokens(
    recorder: Recorder,
    provider: SimulatedProvider,
    openai_client: OpenAI,
    transcribe: Callable[[Any], Any],
) -> None:
    transcribe(openai_client)
    span, [served] = recorder.only(), provider.served
    assert span[names.OPERATION_NAME] == names.TRANSCRIPTION
    assert span[names.REQUEST_MODEL] == "gpt-4o-transcribe"
    assert span[names.INPUT_TOKENS] == served.tokens.input
    assert span[names.AUDIO_INPUT_TOKENS] == 40
    assert span[names.OUTPUT_TOKENS] == served.tokens.output
    check_raw_usage(span, served)


@pytest.mark.parametrize("form", ["json", "verbose_json"])
def test_transcriptions_by_the_second(
    recorder: Recorder, provider: SimulatedProvider, openai_client: OpenAI, form: Any
) -> None:
    openai_client.audio.transcriptions.create(
        model="whisper-1", file=FOUR_SECONDS, response_format=form
    )
    span = recorder.only()
    assert span[names.quantity("audio_seconds")] == 4
    assert names.INPUT_TOKENS not in span
    check_raw_usage(span, provider.served[0])


def test_a_translation_is_as_long_as_it_says(recorder: Recorder, openai_client: Any) -> None:
    with deprecated():
        openai_client.audio.translations.create(
            model="whisper-1", file=FOUR_SECONDS, response_format="verbose_json"
        )
    with deprecated():
        openai_client.audio.translations.create(model="whisper-1", file=FOUR_SECONDS)
    said, silent = recorder.metered
    assert said[names.quantity("audio_seconds")] == 4
    assert names.quantity("audio_seconds") not in silent
    assert names.USAGE_SOURCE not in silent


def _speak_in_chunks(client: Any, text: str) -> None:
    with client.audio.speech.with_streaming_response.create(
        model="tts-1", voice="alloy", input=text
    ) as response:
        drained(response.iter_bytes(512))


SPEAK: Mapping[str, Callable[[Any, str], Any]] = {
    "whole": lambda client, text: client.audio.speech.create(
        model="tts-1", voice="alloy", input=text
    ).read(),
    "streaming response": _speak_in_chunks,
}


@pytest.mark.parametrize("speak", SPEAK.values(), ids=SPEAK)
def test_speech_is_counted_by_the_characters_asked_for(
    recorder: Recorder, openai_client: OpenAI, speak: Callable[[Any, str], Any]
) -> None:
    text = "Zürich, café → überall"
    speak(openai_client, text)
    span = recorder.only()
    assert span[names.OPERATION_NAME] == names.SPEECH
    assert span[names.quantity("input_characters")] == len(text)
    assert span[names.USAGE_SOURCE] == names.SOURCE_PROVIDER
    assert text not in str(span)


@older
def test_streamed_speech_says_its_tokens(
    recorder: Recorder, provider: SimulatedProvider, openai_client: OpenAI
) -> None:
    with openai_client.audio.speech.with_streaming_response.create(
        model="gpt-4o-mini-tts", voice="alloy", input="Good evening", stream_format="sse"
    ) as response:
        drained(response.iter_lines())
    span, [served] = recorder.only(), provider.served
    assert span[names.INPUT_TOKENS] == served.tokens.input
    assert span[names.OUTPUT_TOKENS] == served.tokens.output
    check_raw_usage(span, served)


def test_speech_that_is_refused_is_not_counted(
    recorder: Recorder, provider: SimulatedProvider, openai_client: OpenAI
) -> None:
    provider.enqueue(Reply(status=400))
    with pytest.raises(openai.BadRequestError):
        openai_client.audio.speech.create(model="tts-1", voice="alloy", input="Good evening")
    span = recorder.only()
    assert span[names.ERROR_TYPE] == "400"
    assert names.quantity("input_characters") not in span


def test_a_moderation_is_a_record_without_counts(
    recorder: Recorder, provider: SimulatedProvider, openai_client: OpenAI
) -> None:
    openai_client.moderations.create(model="omni-moderation-latest", input="Is this rude?")
    span = recorder.only()
    assert span[names.OPERATION_NAME] == names.MODERATION
    assert span[names.RESPONSE_ID] == provider.served[0].response_id
    assert span[names.RESPONSE_MODEL] == "omni-moderation-2024-09-26"
    assert names.USAGE_SOURCE not in span


def test_each_attempt_is_a_record(
    recorder: Recorder, provider: SimulatedProvider, openai_client: OpenAI
) -> None:
    provider.enqueue(Reply(status=503), Reply(status=429))
    openai_client.images.generate(**IMAGE)
    assert [span[names.USAGE_ATTEMPT] for span in recorder.metered] == [1, 2, 3]
    assert [span.get(names.ERROR_TYPE) for span in recorder.metered] == ["503", "429", None]
    assert recorder.metered[2][names.OUTPUT_TOKENS] == provider.served[2].tokens.output


@older
def test_async_media(recorder: Recorder, provider: SimulatedProvider) -> None:
    """All of it once, in the async client."""

    async def call() -> None:
        async with AsyncOpenAI(base_url=provider.openai_base_url, api_key="any") as client:
            await client.images.generate(**IMAGE)
            async for _ in await client.images.generate(**IMAGE, stream=True):
                pass
            async for _ in await client.audio.transcriptions.create(
                model="gpt-4o-transcribe", file=FOUR_SECONDS, stream=True
            ):
                pass
            await client.audio.transcriptions.create(model="whisper-1", file=FOUR_SECONDS)
            await client.audio.speech.create(model="tts-1", voice="alloy", input="Hello")
            await client.moderations.create(input="Is this rude?", model="omni-moderation-latest")

    asyncio.run(call())
    image, streamed, transcript, seconds, speech, moderation = recorder.metered
    for span, served in zip((image, streamed, transcript), provider.served, strict=False):
        assert span[names.INPUT_TOKENS] == served.tokens.input
        assert span[names.OUTPUT_TOKENS] == served.tokens.output
    assert seconds[names.quantity("audio_seconds")] == 4
    assert speech[names.quantity("input_characters")] == 5
    assert moderation[names.OPERATION_NAME] == names.MODERATION
