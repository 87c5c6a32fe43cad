"""Every form of a Mistral call is one record, of the provider's own counts."""

from __future__ import annotations

import asyncio
import gc
import logging
from collections import deque
from collections.abc import AsyncGenerator, Callable, Generator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest
from mistralai.azure.client import MistralAzure
from mistralai.client import Mistral, errors
from mistralai.client.utils import BackoffStrategy, RetryConfig
from mistralai.extra.observability import configure_telemetry
from mistralai.gcp.client import MistralGCP
from openai import OpenAI
from opentelemetry.trace import StatusCode
from pydantic import BaseModel

from simulated_provider import Framing, Reply, Served, SimulatedProvider
from spanmeter.instrumentation import usage
from spanmeter.instrumentation.clients import mistralai as metering
from spanmeter.metering import attributes as names
from unit.instrumentation.clients.test_openai_later import batch_of
from unit.instrumentation.recording import Attributes, Recorder, check_raw_usage

Arguments = Mapping[str, Any]
ASK = [{"role": "user", "content": "How did we do?"}]
CHAT: Arguments = {"model": "mistral-small-latest", "messages": ASK}
AGENT: Arguments = {"agent_id": "ag_1", "messages": ASK}
CODE: Arguments = {"model": "codestral-latest", "prompt": "def total(", "suffix": "return sum"}
SEARCH: Arguments = {
    "model": "mistral-medium-latest",
    "inputs": "How did they do?",
    "tools": [{"type": "web_search"}],
}
CONTINUED: Arguments = {"conversation_id": "conv_1", "inputs": "And the year before?"}
RESTARTED: Arguments = {**CONTINUED, "from_entry_id": "msg_1"}
FOUR_SECONDS: Arguments = {
    "model": "voxtral-mini-latest",
    "file": {"content": b"RIFF" * 1000, "file_name": "speech.wav"},
}
DOCUMENT: Arguments = {
    "model": "mistral-ocr-latest",
    "document": {"type": "document_url", "document_url": "https://example.com/report.pdf"},
}
SLOW = Reply(chunks=50, chunk_delay=0.005)


@dataclass(frozen=True)
class Form:
    """A method of the SDK, which it has in a sync and an async version, and its arguments."""

    resource: Callable[[Any], Any]
    method: str
    arguments: Arguments
    operation: str = names.CHAT

    def call(self, client: Any) -> Any:
        return getattr(self.resource(client), self.method)(**self.arguments)

    async def call_async(self, client: Any) -> Any:
        return await getattr(self.resource(client), f"{self.method}_async")(**self.arguments)


def chat(client: Any) -> Any:
    return client.chat


def agents(client: Any) -> Any:
    return client.agents


def fim(client: Any) -> Any:
    return client.fim


def conversations(client: Any) -> Any:
    return client.beta.conversations


def transcriptions(client: Any) -> Any:
    return client.audio.transcriptions


def classifiers(client: Any) -> Any:
    return client.classifiers


MODERATION: Arguments = {"model": "mistral-moderation-latest", "inputs": ["How rude"]}
WHOLE = {
    "chat": Form(chat, "complete", CHAT),
    "agents": Form(agents, "complete", AGENT),
    "fim": Form(fim, "complete", CODE, names.TEXT_COMPLETION),
    "embeddings": Form(
        lambda client: client.embeddings,
        "create",
        {"model": "mistral-embed", "inputs": ["How", "did we do?"]},
        names.EMBEDDINGS,
    ),
    "conversation": Form(conversations, "start", SEARCH),
    "conversation, continued": Form(conversations, "append", CONTINUED),
    "conversation, restarted": Form(conversations, "restart", RESTARTED),
    "transcription": Form(transcriptions, "complete", FOUR_SECONDS, names.TRANSCRIPTION),
    "moderation": Form(classifiers, "moderate", MODERATION, names.MODERATION),
    "classification": Form(
        classifiers,
        "classify",
        {**MODERATION, "model": "mistral-moderation-2411"},
        names.CLASSIFICATION,
    ),
}
STREAMED = {
    "chat": Form(chat, "stream", CHAT),
    "agents": Form(agents, "stream", AGENT),
    "fim": Form(fim, "stream", CODE, names.TEXT_COMPLETION),
    "conversation": Form(conversations, "start_stream", SEARCH),
    "conversation, continued": Form(conversations, "append_stream", CONTINUED),
    "conversation, restarted": Form(conversations, "restart_stream", RESTARTED),
    "transcription": Form(transcriptions, "stream", FOUR_SECONDS, names.TRANSCRIPTION),
}
each_whole = pytest.mark.parametrize("form", WHOLE.values(), ids=WHOLE)
each_streamed = pytest.mark.parametrize("form", STREAMED.values(), ids=STREAMED)


@pytest.fixture(autouse=True)
def nothing_declared(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets the client library itself say who serves, and not trace what it does."""
    monkeypatch.delenv("SPANMETER_PROVIDER_HOSTS", raising=False)
    monkeypatch.delenv("MISTRAL_SDK_TELEMETRY", raising=False)


@contextmanager
def client_of(provider: SimulatedProvider, sdk: Any = Mistral, **options: Any) -> Generator[Any]:
    """A client of the SDK, which leaves those that it is given open."""
    # Reading the certificate authorities takes longer than the whole test.
    with httpx2.Client(verify=False) as http_client:
        options.setdefault("server_url", f"{provider.url}/mistral")
        if sdk is not MistralGCP:
            options["api_key"] = "any"
        yield sdk(client=http_client, async_client=httpx2.AsyncClient(verify=False), **options)


@asynccontextmanager
async def async_client_of(provider: SimulatedProvider, **options: Any) -> AsyncGenerator[Any]:
    async with httpx2.AsyncClient(verify=False) as http_client:
        options = {"api_key": "any", "server_url": f"{provider.url}/mistral", **options}
        with httpx2.Client(verify=False) as unused:
            yield Mistral(client=unused, async_client=http_client, **options)


@pytest.fixture
def client(provider: SimulatedProvider) -> Generator[Any]:
    with client_of(provider) as client:
        yield client


def check_usage(span: Attributes, served: Served, form: Form) -> None:
    """The span says of a complete answer what the provider has in its books."""
    tokens = served.tokens
    assert span[names.PROVIDER_NAME] == "mistral_ai"
    assert span[names.OPERATION_NAME] == form.operation
    assert span.get(names.REQUEST_MODEL) == form.arguments.get("model")
    assert span[names.INPUT_TOKENS] == tokens.input > 0
    assert span[names.OUTPUT_TOKENS] == tokens.output
    assert span.get(names.CACHE_READ_INPUT_TOKENS, 0) == tokens.cache_read
    assert span[names.USAGE_SOURCE] == names.SOURCE_PROVIDER
    assert span[names.RESPONSE_MODEL] == served.response_model
    assert names.ERROR_TYPE not in span
    if form.operation != names.TRANSCRIPTION:  # which has no id on the wire
        assert span[names.RESPONSE_ID] == served.response_id


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
    client.audio.transcriptions.complete(**FOUR_SECONDS)
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
    answer = client.audio.speech.complete(**SPEECH, stream=streamed)
    if streamed:
        deque(answer)
    span, [served] = recorder.only(), provider.served
    assert span[names.OPERATION_NAME] == names.SPEECH
    assert span[names.quantity("input_characters")] == len(SPEECH["input"])
    assert span.get(names.OUTPUT_TOKENS) == (served.tokens.output if streamed else None)
    assert SPEECH["input"] not in str(span)


def test_responses_are_read_like_openais(recorder: Recorder, provider: SimulatedProvider) -> None:
    with client_of(provider, server_url=provider.url) as client:
        client.responses.create(model="gpt-6-luna", input="How did we do?")
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
    request = httpx2.Request(
        "POST", "https://europe-west4-aiplatform.googleapis.com/v1/chat/completions", json=CHAT
    )
    described = metering.describe("client", Mistral(api_key="any").chat, (None, request), {})
    assert described is not None
    assert described.region == "europe-west4"


RETRY = RetryConfig(
    "backoff", BackoffStrategy(1, 5, 1.0, 5000, jitter_ms=1), retry_connection_errors=True
)
AT_ONCE = {"retry-after": "0", "retry-after-ms": "1"}


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
def test_every_attempt_is_a_record(
    recorder: Recorder, provider: SimulatedProvider, *, streamed: bool
) -> None:
    provider.enqueue(Reply(status=429, headers=AT_ONCE), Reply(status=503, headers=AT_ONCE))
    with client_of(provider, retry_config=RETRY) as client:
        if streamed:
            with client.chat.stream(**CHAT) as stream:
                deque(stream)
        else:
            client.chat.complete(**CHAT)
    assert [span[names.USAGE_ATTEMPT] for span in recorder.metered] == [1, 2, 3]
    assert [span.get(names.ERROR_TYPE) for span in recorder.metered] == ["429", "503", None]
    check_usage(recorder.metered[2], provider.served[2], WHOLE["chat"])


@pytest.mark.parametrize("status", [401, 404, 429, 500])
def test_an_error_is_one_record_without_counts(
    recorder: Recorder, provider: SimulatedProvider, client: Any, status: int
) -> None:
    provider.enqueue(Reply(status=status))
    with pytest.raises(errors.SDKError):
        client.chat.complete(**CHAT)
    span = recorder.only()
    assert span[names.ERROR_TYPE] == str(status)
    assert span[names.HTTP_RESPONSE_STATUS_CODE] == status
    assert names.USAGE_SOURCE not in span
    assert recorder.only_span().status.status_code is StatusCode.ERROR


def break_off(client: Any, form: Form) -> None:
    with form.call(client) as stream:
        next(iter(stream))


def close_unread(client: Any, form: Form) -> None:
    with form.call(client):
        pass


def forget(client: Any, form: Form) -> None:
    next(iter(form.call(client)))
    gc.collect()


@each_streamed
@pytest.mark.parametrize("give_up", [break_off, close_unread, forget])
def test_a_stream_that_is_given_up_is_cancelled(
    recorder: Recorder,
    provider: SimulatedProvider,
    client: Any,
    form: Form,
    give_up: Callable[[Any, Form], None],
) -> None:
    provider.enqueue(SLOW)
    give_up(client, form)
    span = recorder.only()
    assert span[names.ERROR_TYPE] == names.CANCELLED
    assert span.get(names.USAGE_SOURCE) in {None, names.SOURCE_ESTIMATE}
    assert not provider.wait_for_served(1)[0].completed


def test_a_task_that_is_cancelled_cancels_its_stream(
    recorder: Recorder, provider: SimulatedProvider
) -> None:
    async def call() -> None:
        async with async_client_of(provider) as client:
            async for _ in await client.chat.stream_async(**CHAT):
                begun.set()

    async def cancel() -> None:
        task = asyncio.create_task(call())
        await begun.wait()
        task.cancel()
        await task

    begun = asyncio.Event()

    provider.enqueue(SLOW)
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(cancel())
    assert recorder.only()[names.ERROR_TYPE] == names.CANCELLED


@pytest.mark.parametrize(
    ("reply", "error_type"),
    [
        (Reply(chunks=5, abort_after=2), "httpx2.RemoteProtocolError"),
        (Reply(chunks=5, hang_after=2), names.TIMEOUT),
    ],
    ids=["socket cut", "read timeout"],
)
def test_a_stream_that_breaks_is_an_error(
    recorder: Recorder, provider: SimulatedProvider, reply: Reply, error_type: str
) -> None:
    provider.enqueue(reply)
    with (
        client_of(provider, timeout_ms=300) as client,
        client.chat.stream(**CHAT) as stream,
        pytest.raises(httpx2.TransportError),
    ):
        deque(stream)
    assert recorder.only()[names.ERROR_TYPE] == error_type
    assert recorder.only()[names.USAGE_SOURCE] == names.SOURCE_ESTIMATE


def test_an_error_in_a_stream_is_named(
    recorder: Recorder, provider: SimulatedProvider, client: Any
) -> None:
    provider.enqueue(Reply(chunks=5, error_after=2), Reply(chunks=5, error_after=2))
    with client.beta.conversations.start_stream(**SEARCH) as stream:
        deque(stream)
    with client.chat.stream(**CHAT) as stream, pytest.raises(errors.ResponseValidationError):
        deque(stream)
    conversation, chat = recorder.metered
    assert conversation[names.ERROR_TYPE] == "1000"
    assert chat[names.ERROR_TYPE] == "internal_server_error"


@pytest.mark.parametrize(
    "framing",
    [Framing(line_end="\r\n"), Framing(split=1), Framing(line_end="\r\n", split=7)],
    ids=["crlf", "byte by byte", "crlf cut"],
)
def test_every_framing_is_read(
    recorder: Recorder, provider: SimulatedProvider, client: Any, framing: Framing
) -> None:
    provider.enqueue(Reply(text="naïve café → Zürich, überall", framing=framing, gzip=True))
    with client.chat.stream(**CHAT) as stream:
        deque(stream)
    check_usage(recorder.only(), provider.served[0], STREAMED["chat"])


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
def test_the_librarys_own_tracing_makes_no_second_record_and_tells_no_tenant(
    recorder: Recorder, provider: SimulatedProvider, *, streamed: bool
) -> None:
    with client_of(provider) as client, usage(tenant_id="acme"):
        configure_telemetry(client, provider=recorder.tracer_provider, redaction=False)
        form = (STREAMED if streamed else WHOLE)["chat"]
        answer = form.call(client)
        if streamed:
            deque(answer)
    recorder.only_span()
    check_usage(recorder.only(), provider.served[0], form)
    assert recorder.only()[names.TENANT_ID] == "acme"
    assert b"acme" not in provider.requests[0].raw


def test_the_librarys_own_tracing_is_its_own_where_nothing_is_metered(
    recorder: Recorder, provider: SimulatedProvider, client: Any
) -> None:
    configure_telemetry(client, provider=recorder.tracer_provider, redaction=False)
    recorder.stop()
    client.chat.complete(**CHAT)
    assert recorder.metered == []
    assert recorder.only_span().name.startswith("chat")


def test_no_request_tells_a_tenant_metered_or_not(
    recorder: Recorder, provider: SimulatedProvider, client: Any
) -> None:
    configure_telemetry(client, provider=recorder.tracer_provider, redaction=False)
    requests = [{"custom_id": "a", "body": {"messages": ASK}}]
    with usage(tenant_id="acme"):
        client.batch.jobs.create(
            endpoint="/v1/chat/completions", model="mistral-small-latest", requests=requests
        )
    assert recorder.metered == []
    [request] = provider.requests
    assert request.header("traceparent")
    assert b"acme" not in request.raw


def test_a_request_that_uses_no_model_is_no_record(
    recorder: Recorder, client: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """What is no use of a model is no record, and no fault."""
    with caplog.at_level(logging.WARNING), pytest.raises(errors.SDKError):
        client.models.list()
    assert recorder.spans == []
    assert caplog.records == []
