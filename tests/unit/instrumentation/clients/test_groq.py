"""Groq: every form of a call is one record, of the provider's own counts."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Generator, Mapping
from typing import Any

import groq
import pytest
from groq import AsyncGroq, Groq

from simulated_provider import Reply, SimulatedProvider
from spanmeter.instrumentation import usage
from spanmeter.metering import attributes as names
from unit.instrumentation.clients.chat_ends import check_attempts, check_failing, check_given_up
from unit.instrumentation.recording import Recorder, check_raw_usage, check_usage

pytestmark = pytest.mark.usefixtures("nothing_declared")

ASK: dict[str, Any] = {
    "model": "openai/gpt-oss-120b",
    "messages": [{"role": "user", "content": "How did we do?"}],
}
FOUR_SECONDS = ("speech.wav", b"RIFF" * 1000, "audio/wav")


@pytest.fixture
def client(provider: SimulatedProvider) -> Generator[Groq]:
    with Groq(base_url=provider.url + "/groq", api_key="any") as client:
        yield client


def _read(client: Any) -> None:
    with client.chat.completions.with_streaming_response.create(**ASK) as response:
        response.read()


def _lines(client: Any) -> None:
    create = client.chat.completions.with_streaming_response.create
    with create(**ASK, stream=True) as response:
        deque(response.iter_lines())


WHOLE: Mapping[str, Callable[[Any], Any]] = {
    "plain": lambda client: client.chat.completions.create(**ASK),
    "raw": lambda client: client.chat.completions.with_raw_response.create(**ASK).parse(),
    "streaming response": _read,
}
STREAMED: Mapping[str, Callable[[Any], Any]] = {
    "stream": lambda client: deque(client.chat.completions.create(**ASK, stream=True)),
    "stream that is asked for usage": lambda client: deque(
        client.chat.completions.create(
            **ASK, stream=True, extra_body={"stream_options": {"include_usage": True}}
        )
    ),
    "raw stream": lambda client: deque(
        client.chat.completions.with_raw_response.create(**ASK, stream=True).parse()
    ),
    "streaming response, lines": _lines,
}


@pytest.mark.parametrize("form", [*WHOLE.values(), *STREAMED.values()], ids=[*WHOLE, *STREAMED])
def test_every_form_is_one_record(
    recorder: Recorder, provider: SimulatedProvider, client: Any, form: Callable[[Any], Any]
) -> None:
    with usage(tenant_id="acme"):
        form(client)
    span, [served] = recorder.only(), provider.served
    check_usage(span, served)
    assert served.tokens.reasoning > 0
    assert span[names.TENANT_ID] == "acme"
    assert span[names.PROVIDER_NAME] == "groq"
    assert span[names.OPERATION_NAME] == names.CHAT
    assert span.get(names.REQUEST_STREAM, False) is served.streamed
    assert (names.TIME_TO_FIRST_CHUNK in span) is served.streamed


async def _stream_async(client: Any) -> None:
    async for _ in await client.chat.completions.create(**ASK, stream=True):
        pass


async def _raw_async(client: Any) -> None:
    await (await client.chat.completions.with_raw_response.create(**ASK)).parse()


ASYNC: Mapping[str, Callable[[Any], Awaitable[Any]]] = {
    "plain": lambda client: client.chat.completions.create(**ASK),
    "raw": _raw_async,
    "stream": _stream_async,
}


@pytest.mark.parametrize("form", ASYNC.values(), ids=ASYNC)
def test_every_async_form_is_one_record(
    recorder: Recorder, provider: SimulatedProvider, form: Callable[[Any], Awaitable[Any]]
) -> None:
    async def call() -> None:
        async with AsyncGroq(base_url=provider.url + "/groq", api_key="any") as client:
            await form(client)

    asyncio.run(call())
    check_usage(recorder.only(), provider.served[0])


def test_a_cached_prompt_is_read_from_the_cache(
    recorder: Recorder, provider: SimulatedProvider, client: Any
) -> None:
    long: Any = [{"role": "user", "content": "word " * 1500}]
    for _ in range(2):
        deque(client.chat.completions.create(model=ASK["model"], messages=long, stream=True))
    _, second = recorder.metered
    check_usage(second, provider.served[1])
    assert provider.served[1].tokens.cache_read >= 1024


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_a_compound_system_tells_its_models_and_its_tools(
    recorder: Recorder, provider: SimulatedProvider, client: Any, *, stream: bool
) -> None:
    answer: Any = client.chat.completions.create(
        model="groq/compound", messages=ASK["messages"], stream=stream
    )
    if stream:
        deque(answer)
    span, [served] = recorder.only(), provider.served
    assert span[names.INPUT_TOKENS] == served.tokens.input
    assert span[names.OUTPUT_TOKENS] == served.tokens.output
    assert span[names.quantity("web_searches")] == 2
    assert span[names.quantity("code_executions")] == 1
    raw = str(span[names.USAGE_RAW])
    assert '"model":"llama-3.3-70b-versatile"' in raw
    assert "revenue" not in raw  # what was searched for


def test_the_service_tier_is_the_one_that_served(
    recorder: Recorder, provider: SimulatedProvider, client: Any
) -> None:
    provider.enqueue(Reply(service_tier="flex"))
    client.chat.completions.create(**ASK, service_tier="auto")
    assert recorder.only()[names.USAGE_SERVICE_TIER] == "flex"


def test_each_attempt_is_a_record(
    recorder: Recorder, provider: SimulatedProvider, client: Any
) -> None:
    check_attempts(recorder, provider, client, ASK)


def test_a_stream_that_fails_is_an_error_with_an_estimate(
    recorder: Recorder, provider: SimulatedProvider, client: Any
) -> None:
    check_failing(recorder, provider, client, ASK, groq.APIError)


def test_a_stream_that_is_given_up_is_cancelled(
    recorder: Recorder, provider: SimulatedProvider, client: Any
) -> None:
    check_given_up(recorder, provider, client, ASK)


HEAR: Mapping[str, Callable[[Any, Any], Any]] = {
    "transcription": lambda client, form: client.audio.transcriptions.create(
        model="whisper-large-v3", file=FOUR_SECONDS, response_format=form
    ),
    "translation": lambda client, form: client.audio.translations.create(
        model="whisper-large-v3", file=FOUR_SECONDS, response_format=form
    ),
}


@pytest.mark.parametrize("hear", HEAR.values(), ids=HEAR)
def test_sound_is_as_long_as_the_provider_says(
    recorder: Recorder,
    provider: SimulatedProvider,
    client: Any,
    hear: Callable[[Any, Any], Any],
) -> None:
    hear(client, "verbose_json")
    hear(client, "json")
    said, silent = recorder.metered
    assert said[names.OPERATION_NAME] == names.TRANSCRIPTION
    assert said[names.quantity("audio_seconds")] == 4
    assert said[names.RESPONSE_ID] == provider.served[0].response_id
    assert names.quantity("audio_seconds") not in silent
    assert names.USAGE_SOURCE not in silent


def test_speech_is_counted_by_the_characters_asked_for(recorder: Recorder, client: Any) -> None:
    client.audio.speech.create(
        model="canopylabs/orpheus-v1-english", voice="troy", input="Good evening"
    ).read()
    span = recorder.only()
    assert span[names.OPERATION_NAME] == names.SPEECH
    assert span[names.quantity("input_characters")] == len("Good evening")


def test_an_answer_without_counts_is_estimated(
    recorder: Recorder, provider: SimulatedProvider, client: Any
) -> None:
    provider.enqueue(Reply(without_usage=True, text="x" * 400))
    deque(client.chat.completions.create(**ASK, stream=True))
    span = recorder.only()
    assert span[names.OUTPUT_TOKENS] == 100
    assert span[names.USAGE_SOURCE] == names.SOURCE_ESTIMATE


def test_the_models_are_listed_unmetered(recorder: Recorder, client: Any) -> None:
    with pytest.raises(groq.NotFoundError):  # of the simulated provider, which lists none
        client.models.list()
    assert recorder.metered == []


def test_the_raw_block_is_kept_as_it_was_sent(
    recorder: Recorder, provider: SimulatedProvider, client: Any
) -> None:
    client.chat.completions.create(**ASK)
    assert provider.served[0].usage["queue_time"] == 0.043
    check_raw_usage(recorder.only(), provider.served[0])
