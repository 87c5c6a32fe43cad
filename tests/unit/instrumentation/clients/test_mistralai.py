"""Every form of a Mistral call is one record, of the provider's own counts."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Generator, Mapping
from typing import Any

import pytest
from openai import OpenAI
from pydantic import BaseModel

from simulated_provider import Reply, SimulatedProvider
from spanmeter.instrumentation.clients import mistralai as metering
from spanmeter.metering import attributes as names
from unit.instrumentation.clients.mistral_calls import (
    ASK,
    CHAT,
    DOCUMENT,
    FOUR_SECONDS,
    HTTP,
    SEARCH,
    WHOLE,
    Arguments,
    Form,
    Mistral,
    MistralAzure,
    MistralGCP,
    async_client_of,
    check_usage,
    client_of,
    each_streamed,
    each_whole,
)
from unit.instrumentation.clients.older_releases import method_of, need_parameter
from unit.instrumentation.clients.test_openai_later import batch_of
from unit.instrumentation.recording import Recorder, check_raw_usage

pytestmark = pytest.mark.usefixtures("nothing_declared")


@pytest.fixture
def client(provider: SimulatedProvider) -> Generator[Any]:
    with client_of(provider) as client:
        yield client


@each_whole
def test_every_answer_is_one_record(
    recorder: Recorder, provider: SimulatedProvider, client: Any, form: Form
) -> None:
    form.call(client)
    [served] = provider.served
    check_usage(recorder.only(), served, form)
    assert names.REQUEST_STREAM not in recorder.only()


@each_whole
def test_every_async_answer_is_one_record(
    recorder: Recorder, provider: SimulatedProvider, form: Form
) -> None:
    async def call() -> None:
        async with async_client_of(provider) as client:
            await form.call_async(client)

    asyncio.run(call())
    [served] = provider.served
    check_usage(recorder.only(), served, form)


@each_streamed
def test_every_stream_is_one_record(
    recorder: Recorder, provider: SimulatedProvider, client: Any, form: Form
) -> None:
    with form.call(client) as stream:
        deque(stream)
    [served] = provider.served
    check_usage(recorder.only(), served, form)
    assert recorder.only()[names.REQUEST_STREAM] is True
    assert recorder.only()[names.TIME_TO_FIRST_CHUNK]


@each_streamed
def test_every_async_stream_is_one_record(
    recorder: Recorder, provider: SimulatedProvider, form: Form
) -> None:
    async def call() -> None:
        async with async_client_of(provider) as client:
            async for _ in await form.call_async(client):
                pass

    asyncio.run(call())
    [served] = provider.served
    check_usage(recorder.only(), served, form)


def test_what_was_cached_is_part_of_the_input(
    recorder: Recorder, provider: SimulatedProvider, client: Any
) -> None:
    messages = [{"role": "user", "content": "How did we do? " * 400}]
    for _ in range(2):
        client.chat.complete(model="mistral-small-latest", messages=messages)
    span, served = recorder.metered[1], provider.served[1]
    assert span[names.CACHE_READ_INPUT_TOKENS] == served.tokens.cache_read > 1000
    assert span[names.INPUT_TOKENS] == served.tokens.input
    assert span[names.USAGE_SERVICE_TIER] == "standard"
    check_raw_usage(span, served)


def test_tools_of_a_conversation_are_counted(recorder: Recorder, client: Any) -> None:
    """What they found is input of the model as well; and each is charged by the call."""
    tools = [{"type": "web_search"}, {"type": "code_interpreter"}, {"type": "web_search_premium"}]
    client.beta.conversations.start(**{**SEARCH, "tools": tools})
    span = recorder.only()
    assert int(str(span[names.INPUT_TOKENS])) > 3 * 4458
    assert span[names.quantity("web_searches")] == 2
    assert span[names.quantity("code_executions")] == 1


def test_audio_is_counted_in_seconds(
    recorder: Recorder, provider: SimulatedProvider, client: Any
) -> None:
    method_of(client, "audio.transcriptions.complete")(**FOUR_SECONDS)
    span, [served] = recorder.only(), provider.served
    assert span[names.quantity("input_audio_seconds")] == 4
    assert span[names.INPUT_TOKENS] == 4  # not the tokens of the audio, which are in the total
    check_raw_usage(span, served)


def test_documents_are_counted_by_the_page(
    recorder: Recorder, provider: SimulatedProvider, client: Any
) -> None:
    client.ocr.process(**DOCUMENT)
    client.ocr.process(**DOCUMENT, document_annotation_format={"type": "json_object"})
    plain, annotated = recorder.metered
    for span in (plain, annotated):
        assert span[names.OPERATION_NAME] == names.OCR
        assert span[names.quantity("input_document_pages")] == 2
        assert names.INPUT_TOKENS not in span
        check_raw_usage(span, provider.served[0])
    assert names.quantity("input_annotated_document_pages") not in plain
    assert annotated[names.quantity("input_annotated_document_pages")] == 2


SPEECH: Arguments = {"model": "voxtral-mini-tts", "input": "Zürich, café → überall"}


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
def test_speech_is_counted_by_the_characters(
    recorder: Recorder, provider: SimulatedProvider, client: Any, *, streamed: bool
) -> None:
    answer = method_of(client, "audio.speech.complete")(**SPEECH, stream=streamed)
    if streamed:
        deque(answer)
    span, [served] = recorder.only(), provider.served
    assert span[names.OPERATION_NAME] == names.SPEECH
    assert span[names.quantity("input_characters")] == len(SPEECH["input"])
    assert span.get(names.OUTPUT_TOKENS) == (served.tokens.output if streamed else None)
    assert SPEECH["input"] not in str(span)


def test_responses_are_read_like_openais(recorder: Recorder, provider: SimulatedProvider) -> None:
    with client_of(provider, server_url=provider.url) as client:
        method_of(client, "responses.create")(model="gpt-6-luna", input="How did we do?")
    span, [served] = recorder.only(), provider.served
    assert span[names.INPUT_TOKENS] == served.tokens.input
    assert span[names.OUTPUT_TOKENS] == served.tokens.output
    assert span[names.REASONING_OUTPUT_TOKENS] == served.tokens.reasoning


def test_each_line_of_a_batch_is_a_call_once(
    recorder: Recorder, provider: SimulatedProvider, openai_client: OpenAI
) -> None:
    """Mistral's output files are like OpenAI's, which are simulated."""
    ask = {"model": "gpt-4o-mini", "messages": ASK}
    recorder.stop()
    output = batch_of(openai_client, "/v1/chat/completions", ask, ask)
    recorder.start()
    with client_of(provider, server_url=provider.url) as client:
        for _ in range(2):
            assert client.files.download(file_id=output).read()
    made = [span for span in recorder.metered if span[names.OPERATION_NAME] == names.CHAT]
    assert len(made) == 2
    for span, served in zip(made, provider.served, strict=False):
        assert span[names.USAGE_SERVICE_TIER] == "batch"
        assert span[names.INPUT_TOKENS] == served.tokens.input
        assert span[names.OUTPUT_TOKENS] == served.tokens.output


BATCHED: Mapping[str, tuple[str, str, Arguments, str]] = {
    "chat": ("/v1/chat/completions", "mistral-small-latest", {"messages": ASK}, names.CHAT),
    "embeddings": ("/v1/embeddings", "mistral-embed", {"input": ["How?"]}, names.EMBEDDINGS),
    "ocr": ("/v1/ocr", "mistral-ocr-latest", {"document": DOCUMENT["document"]}, names.OCR),
}


@pytest.mark.parametrize(("endpoint", "model", "body", "operation"), BATCHED.values(), ids=BATCHED)
def test_each_output_that_comes_with_a_batch_is_a_call_once(
    recorder: Recorder,
    provider: SimulatedProvider,
    client: Any,
    endpoint: str,
    model: str,
    body: Arguments,
    operation: str,
) -> None:
    requests = [{"custom_id": name, "body": body} for name in ("a", "b")]
    need_parameter(client.batch.jobs.create, "requests")
    job = client.batch.jobs.create(endpoint=endpoint, model=model, requests=requests)
    for inline in (None, True, True):
        client.batch.jobs.get(job_id=job.id, inline=inline)
    made = [span for span in recorder.metered if span[names.OPERATION_NAME] == operation]
    assert len(made) == len(provider.served) == 2
    for span, served in zip(made, provider.served, strict=True):
        assert span[names.USAGE_SERVICE_TIER] == "batch"
        assert span.get(names.INPUT_TOKENS, 0) == served.tokens.input
        assert span.get(names.OUTPUT_TOKENS, 0) == served.tokens.output
        assert span.get(names.quantity("input_document_pages")) == (
            2 if operation == names.OCR else None
        )
        check_raw_usage(span, served)
    others = [span for span in recorder.metered if span not in made]
    assert all(span[names.OPERATION_NAME] == names.FETCH_RESPONSE for span in others)
    assert not any(names.USAGE_SOURCE in span for span in others)


class Answer(BaseModel):
    """What is asked for where an answer is parsed."""

    answer: int


def test_answers_that_are_parsed(
    recorder: Recorder, provider: SimulatedProvider, client: Any
) -> None:
    parsed = Reply(text='{"answer": 42}')
    provider.enqueue(parsed, parsed)
    assert client.chat.parse(response_format=Answer, **CHAT)
    with client.chat.parse_stream(response_format=Answer, **CHAT) as stream:
        deque(stream)
    for span, served in zip(recorder.metered, provider.served, strict=True):
        check_usage(span, served, WHOLE["chat"])


# 1.x does so, and pydantic has since come to mind it.
@pytest.mark.filterwarnings("ignore:Accessing the 'model_fields':DeprecationWarning")
def test_azure_and_vertex_are_named(recorder: Recorder, provider: SimulatedProvider) -> None:
    def ask(client: Any) -> None:
        client.chat.complete(**CHAT)
        with client.chat.stream(**CHAT) as stream:
            deque(stream)

    with client_of(provider, MistralAzure) as client:
        ask(client)
    options = {"project_id": "p", "access_token": "any", "server_url": provider.url}
    with client_of(provider, MistralGCP, **options) as client:
        ask(client)
    assert [span[names.PROVIDER_NAME] for span in recorder.metered] == [
        *["azure.ai.inference"] * 2,
        *["gcp.vertex_ai"] * 2,
    ]
    for span, served in zip(recorder.metered, provider.served, strict=True):
        assert span[names.OUTPUT_TOKENS] == served.tokens.output
        assert span[names.RESPONSE_ID] == served.response_id


def test_the_region_of_vertex_is_in_its_address() -> None:
    request = HTTP.Request(
        "POST", "https://europe-west4-aiplatform.googleapis.com/v1/chat/completions", json=CHAT
    )
    described = metering.describe("client", Mistral(api_key="any").chat, (None, request), {})
    assert described is not None
    assert described.region == "europe-west4"
