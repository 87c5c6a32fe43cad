"""Together: every form of a call is one record, of the provider's own counts."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Generator, Mapping
from typing import Any

import pytest
import together
from together import AsyncTogether, Together

from simulated_provider import SimulatedProvider
from spanmeter.instrumentation import usage
from spanmeter.metering import attributes as names
from unit.instrumentation.clients.chat_ends import check_attempts, check_failing, check_given_up
from unit.instrumentation.recording import Recorder, check_usage

pytestmark = pytest.mark.usefixtures("nothing_declared")

# The version of the API is in the paths since 3.0, and was in the address before.
BASE = "/together" if together.__version__ >= "3" else "/together/v1"
# Videos have a version of their own.
VIDEOS = "/together" if together.__version__ >= "3" else "/together/v2"
LLAMA = "meta-llama/Llama-3.3-70B-Instruct-Turbo"
ASK: dict[str, Any] = {
    "model": LLAMA,
    "messages": [{"role": "user", "content": "How did we do?"}],
}
WAVE = ("speech.wav", b"RIFF" * 1000, "audio/wav")


@pytest.fixture
def client(provider: SimulatedProvider) -> Generator[Together]:
    with Together(base_url=provider.url + BASE, api_key="any") as client:
        yield client


def _lines(client: Any) -> None:
    create = client.chat.completions.with_streaming_response.create
    with create(**ASK, stream=True) as response:
        deque(response.iter_lines())


FORMS: Mapping[str, Callable[[Any], Any]] = {
    "plain": lambda client: client.chat.completions.create(**ASK),
    "raw": lambda client: client.chat.completions.with_raw_response.create(**ASK).parse(),
    "stream": lambda client: deque(client.chat.completions.create(**ASK, stream=True)),
    "raw stream": lambda client: deque(
        client.chat.completions.with_raw_response.create(**ASK, stream=True).parse()
    ),
    "streaming response": _lines,
    "completion": lambda client: client.completions.create(model=LLAMA, prompt="How did we do?"),
    "streamed completion": lambda client: deque(
        client.completions.create(model=LLAMA, prompt="How did we do?", stream=True)
    ),
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_every_form_is_one_record(
    recorder: Recorder,
    provider: SimulatedProvider,
    client: Any,
    form: Callable[[Any], Any],
) -> None:
    with usage(tenant_id="acme"):
        form(client)
    span, [served] = recorder.only(), provider.served
    check_usage(span, served)
    assert span[names.TENANT_ID] == "acme"
    assert span[names.PROVIDER_NAME] == "together"
    assert span.get(names.REQUEST_STREAM, False) is served.streamed
    assert (names.TIME_TO_FIRST_CHUNK in span) is served.streamed


async def _stream_async(client: Any) -> None:
    async for _ in await client.chat.completions.create(**ASK, stream=True):
        pass


ASYNC: Mapping[str, Callable[[Any], Awaitable[Any]]] = {
    "plain": lambda client: client.chat.completions.create(**ASK),
    "stream": _stream_async,
    "rerank": lambda client: client.rerank.create(
        model="Salesforce/Llama-Rank-v1", query="sales", documents=["One", "Two"]
    ),
}


@pytest.mark.parametrize("form", ASYNC.values(), ids=ASYNC)
def test_every_async_form_is_one_record(
    recorder: Recorder,
    provider: SimulatedProvider,
    form: Callable[[Any], Awaitable[Any]],
) -> None:
    async def call() -> None:
        base_url = provider.url + BASE
        async with AsyncTogether(base_url=base_url, api_key="any") as client:
            await form(client)

    asyncio.run(call())
    check_usage(recorder.only(), provider.served[0])


def test_embeddings(recorder: Recorder, provider: SimulatedProvider, client: Any) -> None:
    client.embeddings.create(model="BAAI/bge-base-en-v1.5", input=["How", "did we do?"])
    span, [served] = recorder.only(), provider.served
    assert span[names.OPERATION_NAME] == names.EMBEDDINGS
    assert span[names.INPUT_TOKENS] == served.tokens.input > 0
    assert span[names.USAGE_SOURCE] == names.SOURCE_PROVIDER


def test_embeddings_that_are_not_counted_are_estimated(recorder: Recorder, client: Any) -> None:
    client.embeddings.create(
        model="togethercomputer/m2-bert-80M-32k-retrieval", input=["x" * 100, "y" * 60]
    )
    span = recorder.only()
    assert span[names.INPUT_TOKENS] == 40
    assert names.OUTPUT_TOKENS not in span
    assert span[names.USAGE_SOURCE] == names.SOURCE_ESTIMATE


def test_reranking_is_counted_in_tokens(
    recorder: Recorder, provider: SimulatedProvider, client: Any
) -> None:
    client.rerank.create(
        model="Salesforce/Llama-Rank-v1", query="sales", documents=["Costs rose", "Sales fell"]
    )
    span = recorder.only()
    assert span[names.OPERATION_NAME] == names.RERANK
    check_usage(span, provider.served[0])


def test_images_are_counted(recorder: Recorder, provider: SimulatedProvider, client: Any) -> None:
    client.images.generate(model="black-forest-labs/FLUX.1-schnell", prompt="A lighthouse", n=3)
    span = recorder.only()
    assert span[names.OPERATION_NAME] == names.IMAGE_GENERATION
    assert span[names.quantity("images")] == 3
    assert span[names.RESPONSE_ID] == provider.served[0].response_id
    assert names.INPUT_TOKENS not in span


def test_sound_is_as_long_as_the_provider_says(recorder: Recorder, client: Any) -> None:
    ask: dict[str, Any] = {"model": "openai/whisper-large-v3", "response_format": "verbose_json"}
    client.audio.transcriptions.create(file=WAVE, **ask)
    client.audio.translations.create(file=WAVE, **ask)
    assert len(recorder.metered) == 2
    for span in recorder.metered:
        assert span[names.OPERATION_NAME] == names.TRANSCRIPTION
        assert span[names.quantity("audio_seconds")] == 4


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_speech_is_counted_by_the_characters_asked_for(
    recorder: Recorder, client: Any, *, stream: bool
) -> None:
    spoken: Any = client.audio.speech.create(
        model="cartesia/sonic", voice="calm lady", input="Good evening", stream=stream
    )
    if stream:
        deque(spoken)
    else:
        spoken.read()
    span = recorder.only()
    assert span[names.OPERATION_NAME] == names.SPEECH
    assert span[names.quantity("input_characters")] == len("Good evening")


def test_a_video_is_counted_once_it_is_there(
    recorder: Recorder, provider: SimulatedProvider, client: Any
) -> None:
    client = client.with_options(base_url=provider.url + VIDEOS)
    job = client.videos.create(model="minimax/video-01-director", prompt="A lighthouse")
    for _ in range(2):
        client.videos.retrieve(job.id)
    made, fetched, again = recorder.metered
    assert names.quantity("video_seconds") not in made
    assert fetched[names.quantity("video_seconds")] == 5
    assert names.quantity("video_seconds") not in again


def test_each_attempt_is_a_record(
    recorder: Recorder, provider: SimulatedProvider, client: Any
) -> None:
    check_attempts(recorder, provider, client, ASK)


def test_a_stream_that_fails_is_an_error_with_an_estimate(
    recorder: Recorder, provider: SimulatedProvider, client: Any
) -> None:
    check_failing(recorder, provider, client, ASK, together.APIError)


def test_a_stream_that_is_given_up_is_cancelled(
    recorder: Recorder, provider: SimulatedProvider, client: Any
) -> None:
    check_given_up(recorder, provider, client, ASK)
