"""Every form of a Cohere call is one record, of what the provider has billed."""

from __future__ import annotations

import asyncio
import gc
import json
import ssl
from collections import deque
from collections.abc import AsyncGenerator, Callable, Generator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any

import cohere
import httpx
import pytest
from cohere.core import ApiError
from opentelemetry.trace import StatusCode

from simulated_provider import Framing, Reply, Served, SimulatedProvider
from spanmeter.instrumentation import usage
from spanmeter.instrumentation.clients.cohere import host_of
from spanmeter.instrumentation.clients.cohere_usage import (
    billed_attributes,
    prompt_in,
    read_batch,
    read_job,
)
from spanmeter.metering import attributes as names
from unit.instrumentation.recording import Attributes, Recorder

Arguments = Mapping[str, Any]
ASK: Arguments = {
    "model": "command-a-03-2025",
    "messages": [{"role": "user", "content": "How did we do?"}],
}
ASK_V1: Arguments = {
    "model": "command-r-08-2024",
    "preamble": "Be brief.",
    "message": "How did we do?",
}
EMBED_V1: Arguments = {
    "model": "embed-v4.0",
    "texts": ["How", "did we do?"],
    "input_type": "search_query",
}
EMBED: Arguments = {**EMBED_V1, "embedding_types": ["float"]}
# Reading the certificate authorities takes longer than a whole test.
NO_AUTHORITIES = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
SLOW = Reply(chunks=50, chunk_delay=0.005)


@dataclass(frozen=True)
class Form:
    """A method of the first or second version's client, sync and async, and its arguments."""

    version: int
    method: str
    arguments: Arguments
    operation: str = names.CHAT
    raw: bool = False

    def call(self, client: Any) -> Any:
        methods = client.with_raw_response if self.raw else client
        return getattr(methods, self.method)(**self.arguments)


WHOLE = {
    "chat": Form(2, "chat", ASK),
    "chat, raw": Form(2, "chat", ASK, raw=True),
    "chat, v1": Form(1, "chat", ASK_V1),
    "embed": Form(2, "embed", EMBED, names.EMBEDDINGS),
    "embed, v1": Form(1, "embed", EMBED_V1, names.EMBEDDINGS),
}
STREAMED = {
    "chat": Form(2, "chat_stream", ASK),
    "chat, v1": Form(1, "chat_stream", ASK_V1),
}
RAW_STREAMED = {
    name: Form(form.version, form.method, form.arguments, raw=True)
    for name, form in STREAMED.items()
}
each_whole = pytest.mark.parametrize("form", WHOLE.values(), ids=WHOLE)
each_streamed = pytest.mark.parametrize("form", STREAMED.values(), ids=STREAMED)
each_raw_streamed = pytest.mark.parametrize("form", RAW_STREAMED.values(), ids=RAW_STREAMED)


@contextmanager
def client_of(
    provider: SimulatedProvider, version: int = 2, *, timeout: float = 5, retries: int = 2
) -> Generator[Any]:
    sdk: Any = cohere.ClientV2 if version == 2 else cohere.Client
    with (
        httpx.Client(verify=NO_AUTHORITIES, timeout=timeout) as http_client,
        ThreadPoolExecutor(2) as pool,
    ):
        yield sdk(
            api_key="any",
            base_url=provider.url,
            httpx_client=http_client,
            timeout=timeout,
            max_retries=retries,
            thread_pool_executor=pool,
        )


@asynccontextmanager
async def async_client_of(provider: SimulatedProvider, version: int) -> AsyncGenerator[Any]:
    sdk: Any = cohere.AsyncClientV2 if version == 2 else cohere.AsyncClient
    async with httpx.AsyncClient(verify=NO_AUTHORITIES) as http_client:
        yield sdk(api_key="any", base_url=provider.url, httpx_client=http_client)


@pytest.fixture(autouse=True)
def nothing_declared(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets the client library itself say who serves."""
    monkeypatch.delenv("SPANMETER_PROVIDER_HOSTS", raising=False)


def check_usage(span: Attributes, served: Served, form: Form) -> None:
    """The span says of a complete answer what the provider has in its books."""
    tokens = served.tokens
    assert span[names.PROVIDER_NAME] == "cohere"
    assert span[names.OPERATION_NAME] == form.operation
    assert span[names.REQUEST_MODEL] == form.arguments["model"]
    assert span[names.RESPONSE_ID] == served.response_id
    assert span[names.INPUT_TOKENS] == tokens.input > 0
    assert span.get(names.OUTPUT_TOKENS, 0) == tokens.output
    assert span[names.USAGE_SOURCE] == names.SOURCE_PROVIDER
    assert names.ERROR_TYPE not in span
    check_raw(span, served)


def check_raw(span: Attributes, served: Served) -> None:
    """The raw block holds all counts, billed or not, and no words."""
    assert json.loads(str(span[names.USAGE_RAW])) == served.usage


@each_whole
def test_every_answer_is_one_record(
    recorder: Recorder, provider: SimulatedProvider, form: Form
) -> None:
    with client_of(provider, form.version) as client:
        form.call(client)
    [served] = provider.served
    check_usage(recorder.only(), served, form)


@each_whole
def test_every_async_answer_is_one_record(
    recorder: Recorder, provider: SimulatedProvider, form: Form
) -> None:
    async def call() -> None:
        async with async_client_of(provider, form.version) as client:
            await form.call(client)

    asyncio.run(call())
    [served] = provider.served
    check_usage(recorder.only(), served, form)


@each_streamed
def test_every_stream_is_one_record(
    recorder: Recorder, provider: SimulatedProvider, form: Form
) -> None:
    with client_of(provider, form.version) as client:
        deque(form.call(client))
    [served] = provider.served
    check_usage(recorder.only(), served, form)
    assert recorder.only()[names.REQUEST_STREAM] is True
    assert recorder.only()[names.TIME_TO_FIRST_CHUNK]


@each_raw_streamed
def test_every_raw_stream_is_one_record(
    recorder: Recorder, provider: SimulatedProvider, form: Form
) -> None:
    with client_of(provider, form.version) as client, form.call(client) as response:
        assert deque(response.data)
    [served] = provider.served
    check_usage(recorder.only(), served, form)


@each_streamed
def test_every_async_stream_is_one_record(
    recorder: Recorder, provider: SimulatedProvider, form: Form
) -> None:
    async def call() -> None:
        async with async_client_of(provider, form.version) as client:
            async for _ in form.call(client):
                pass

    asyncio.run(call())
    [served] = provider.served
    check_usage(recorder.only(), served, form)


@each_raw_streamed
def test_every_raw_async_stream_is_one_record(
    recorder: Recorder, provider: SimulatedProvider, form: Form
) -> None:
    async def call() -> None:
        async with (
            async_client_of(provider, form.version) as client,
            form.call(client) as response,
        ):
            async for _ in response.data:
                pass

    asyncio.run(call())
    [served] = provider.served
    check_usage(recorder.only(), served, form)


def test_what_is_billed_counts_and_not_what_was_read(
    recorder: Recorder, provider: SimulatedProvider
) -> None:
    """Cohere puts instructions of its own before a prompt, and does not charge for them."""
    with client_of(provider) as client:
        client.chat(**ASK)
    [served] = provider.served
    assert served.usage["tokens"]["input_tokens"] > served.tokens.input
    span = recorder.only()
    assert span[names.INPUT_TOKENS] == served.tokens.input
    assert type(span[names.INPUT_TOKENS]) is int
    assert names.CACHE_READ_INPUT_TOKENS not in span


DOCUMENTS = ["a report"] * 101
BY_THE_UNIT = {
    "rerank": (
        Form(
            2,
            "rerank",
            {"model": "rerank-v3.5", "query": "q", "documents": DOCUMENTS},
            names.RERANK,
        ),
        {"rerank_searches": 2},
    ),
    "rerank, v1": (
        Form(
            1,
            "rerank",
            {"model": "rerank-v3.5", "query": "q", "documents": DOCUMENTS[:3]},
            names.RERANK,
        ),
        {"rerank_searches": 1},
    ),
    "classify": (
        Form(
            1,
            "classify",
            {"model": "embed-english-v3.0", "inputs": ["rude", "kind", "neither"]},
            names.CLASSIFICATION,
        ),
        {"classifications": 3},
    ),
    "images": (
        Form(
            2,
            "embed",
            {**EMBED, "texts": None, "images": ["data:image/png;base64,aGk="]},
            names.EMBEDDINGS,
        ),
        {"input_images": 1},
    ),
    "parse": (
        Form(
            2,
            "parse",
            {"model": "parse-v1", "document": {"type": "document_url", "url": "https://a/b.pdf"}},
            names.OCR,
        ),
        {"input_document_pages": 3},
    ),
}


@pytest.mark.parametrize(("form", "units"), BY_THE_UNIT.values(), ids=BY_THE_UNIT)
def test_what_is_charged_by_the_unit(
    recorder: Recorder, provider: SimulatedProvider, form: Form, units: Mapping[str, int]
) -> None:
    with client_of(provider, form.version) as client:
        form.call(client)
    span, [served] = recorder.only(), provider.served
    assert span[names.OPERATION_NAME] == form.operation
    assert {unit: span[names.quantity(unit)] for unit in units} == units
    assert span[names.USAGE_SOURCE] == names.SOURCE_PROVIDER
    assert names.INPUT_TOKENS not in span
    check_raw(span, served)


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        ({"billed_units": {"input_tokens": 12.0, "image_tokens": 8.0}}, (12, 8, None)),
        ({"billed_units": {"text_tokens": 4.0, "image_tokens": 8.0}}, (12, 8, None)),
        ({"billed_units": {"input_tokens": 4, "text_tokens": 4, "image_tokens": 8}}, (12, 8, None)),
        ({"billed_units": {"input_tokens": -1.0, "output_tokens": -1.0}}, (None, None, None)),
        ({"billed_units": {"input_tokens": 0, "output_tokens": 0.0}}, (0, None, 0)),
        ({"tokens": {"input_tokens": 71.0, "output_tokens": 9.0}}, (71, None, 9)),
        ({"billed_units": None, "tokens": None}, (None, None, None)),
    ],
)
def test_the_shapes_of_a_bill(block: Mapping[str, Any], expected: tuple[int | None, ...]) -> None:
    read = billed_attributes("search_units", block)
    kinds = (names.INPUT_TOKENS, names.IMAGE_INPUT_TOKENS, names.OUTPUT_TOKENS)
    assert tuple(read.get(kind) for kind in kinds) == expected


def test_jobs_and_batches_say_what_is_billed_when_they_are_done() -> None:
    meta = {"billed_units": {"input_tokens": 7.0}}
    assert read_job({"job_id": "1", "model": "embed-v4.0", "meta": meta}).usage == meta
    assert not read_job({"job_id": "1", "model": "embed-v4.0", "meta": None}).usage
    batch = {"id": "2", "status": "BATCH_STATUS_COMPLETED", "input_tokens": "7"}
    assert read_batch({"batch": batch}).usage == {"billed_units": {"input_tokens": 7}}
    assert read_batch({"batch": batch}).operation == names.EMBEDDINGS
    assert not read_batch({"batch": {**batch, "status": "BATCH_STATUS_IN_PROGRESS"}}).usage


def test_a_prompt_may_be_of_objects() -> None:
    """What is not counted by the provider is estimated: from all that was sent."""
    said = cohere.UserChatMessageV2(content="How did we do?")
    assert list(prompt_in({"messages": [said]})) == ["How did we do?"]
    turns = [{"role": "USER", "message": "Hello"}, cohere.ChatbotMessage(message="Good day")]
    body = {"preamble": "Be brief.", "chat_history": turns, "message": "How?", "model": ...}
    assert sorted(prompt_in(body)) == ["Be brief.", "Good day", "Hello", "How?"]


def test_texts_that_are_embedded_in_threads_are_the_tenants(
    recorder: Recorder, provider: SimulatedProvider
) -> None:
    """The library splits many texts into calls of 96, made in a pool of threads of its own."""
    with client_of(provider, 1) as client, usage(tenant_id="acme"):
        client.embed(**{**EMBED_V1, "texts": ["word"] * 200})
    assert [span[names.TENANT_ID] for span in recorder.metered] == ["acme"] * 3
    counted = [int(str(span[names.INPUT_TOKENS])) for span in recorder.metered]
    assert sum(counted) == sum(served.tokens.input for served in provider.served) == 200


@each_streamed
def test_a_stream_that_is_read_elsewhere_is_the_tenants_who_asked(
    recorder: Recorder, provider: SimulatedProvider, form: Form
) -> None:
    """The library sends nothing before a stream is read."""
    with client_of(provider, form.version) as client:
        with usage(tenant_id="acme"):
            stream = form.call(client)
        with usage(tenant_id="another"):
            deque(stream)

    async def call() -> None:
        async with async_client_of(provider, form.version) as client:
            with usage(tenant_id="acme"):
                stream = form.call(client)
            async for _ in stream:
                pass

    asyncio.run(call())
    assert [span[names.TENANT_ID] for span in recorder.metered] == ["acme", "acme"]
    assert all(b"acme" not in request.raw for request in provider.requests)


@pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])
def test_every_attempt_is_a_record(
    recorder: Recorder, provider: SimulatedProvider, *, asynchronous: bool
) -> None:
    async def call() -> None:
        async with async_client_of(provider, 2) as client:
            await client.chat(**ASK)

    provider.enqueue(Reply(status=429), Reply(status=503))
    if asynchronous:
        asyncio.run(call())
    else:
        with client_of(provider) as client:
            client.chat(**ASK)
    assert [span[names.USAGE_ATTEMPT] for span in recorder.metered] == [1, 2, 3]
    assert [span.get(names.ERROR_TYPE) for span in recorder.metered] == ["429", "503", None]
    check_usage(recorder.metered[2], provider.served[2], WHOLE["chat"])


@pytest.mark.parametrize(
    "form",
    [*WHOLE.values(), *STREAMED.values()],
    ids=[*WHOLE, *(f"{name}, streamed" for name in STREAMED)],
)
def test_an_error_is_one_record_without_counts(
    recorder: Recorder, provider: SimulatedProvider, form: Form
) -> None:
    provider.enqueue(Reply(status=400))
    with client_of(provider, form.version) as client, pytest.raises(ApiError):
        deque(form.call(client))
    span = recorder.only()
    assert span[names.ERROR_TYPE] == "400"
    assert span[names.HTTP_RESPONSE_STATUS_CODE] == 400
    assert names.USAGE_SOURCE not in span
    assert recorder.only_span().status.status_code is StatusCode.ERROR


@pytest.mark.parametrize("form", [WHOLE["chat"], STREAMED["chat"]], ids=["whole", "streamed"])
def test_no_server_is_a_connection_error(recorder: Recorder, form: Form) -> None:
    with httpx.Client(verify=NO_AUTHORITIES) as http_client:
        client = cohere.ClientV2(
            api_key="any", base_url="http://127.0.0.1:9", httpx_client=http_client, max_retries=0
        )
        with pytest.raises(httpx.ConnectError):
            deque(form.call(client))
    assert recorder.only()[names.ERROR_TYPE] == "httpx.ConnectError"


def break_off(stream: Any) -> None:
    next(stream)
    stream.close()


def forget(stream: Any) -> None:
    next(stream)
    del stream
    gc.collect()


def raise_within(stream: Any) -> None:
    def use() -> None:
        for _ in stream:
            raise LookupError

    with pytest.raises(LookupError):
        use()
    stream.close()


@each_streamed
@pytest.mark.parametrize("give_up", [break_off, forget, raise_within])
def test_a_stream_that_is_given_up_is_cancelled_and_estimated(
    recorder: Recorder,
    provider: SimulatedProvider,
    form: Form,
    give_up: Callable[[Any], None],
) -> None:
    provider.enqueue(SLOW)
    with client_of(provider, form.version) as client:
        give_up(form.call(client))
        span = recorder.only()
    assert span[names.ERROR_TYPE] == names.CANCELLED
    assert span[names.USAGE_SOURCE] == names.SOURCE_ESTIMATE
    assert int(str(span[names.INPUT_TOKENS])) > 0
    assert recorder.only_span().status.status_code is StatusCode.UNSET
    assert not provider.wait_for_served(1)[0].completed


def test_a_stream_that_is_never_read_is_no_record(
    recorder: Recorder, provider: SimulatedProvider
) -> None:
    with client_of(provider) as client:
        client.chat_stream(**ASK)
    assert recorder.metered == []
    assert provider.requests == []


@each_streamed
def test_a_task_that_is_cancelled_cancels_its_stream(
    recorder: Recorder, provider: SimulatedProvider, form: Form
) -> None:
    async def call() -> None:
        async with async_client_of(provider, form.version) as client:
            async for _ in form.call(client):
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


@each_streamed
@pytest.mark.parametrize(
    ("reply", "error_type"),
    [
        (Reply(chunks=5, abort_after=2), "httpx.RemoteProtocolError"),
        (Reply(chunks=5, hang_after=2), names.TIMEOUT),
    ],
    ids=["socket cut", "read timeout"],
)
def test_a_stream_that_breaks_is_an_error(
    recorder: Recorder, provider: SimulatedProvider, form: Form, reply: Reply, error_type: str
) -> None:
    provider.enqueue(reply)
    with (
        client_of(provider, form.version, timeout=0.3) as client,
        pytest.raises((httpx.TransportError, ApiError)),
    ):
        deque(form.call(client))
    assert recorder.only()[names.ERROR_TYPE] == error_type
    assert recorder.only()[names.USAGE_SOURCE] == names.SOURCE_ESTIMATE


@each_streamed
def test_an_error_in_a_stream_is_named(
    recorder: Recorder, provider: SimulatedProvider, form: Form
) -> None:
    provider.enqueue(Reply(chunks=5, error_after=2))
    with client_of(provider, form.version) as client:
        deque(form.call(client))
    assert recorder.only()[names.ERROR_TYPE] == "error"
    assert recorder.only()[names.USAGE_SOURCE] == names.SOURCE_ESTIMATE


@each_streamed
@pytest.mark.parametrize(
    "framing", [Framing(), Framing(split=1), Framing(split=7)], ids=["plain", "bytes", "cut"]
)
@pytest.mark.parametrize("packed", [False, True], ids=["identity", "gzip"])
def test_every_framing_is_read(
    recorder: Recorder, provider: SimulatedProvider, form: Form, framing: Framing, *, packed: bool
) -> None:
    provider.enqueue(Reply(text="naïve café → Zürich, überall", framing=framing, gzip=packed))
    with client_of(provider, form.version) as client:
        deque(form.call(client))
    check_usage(recorder.only(), provider.served[0], form)


def test_a_stream_of_lines_is_read_whatever_its_content_type(
    recorder: Recorder, provider: SimulatedProvider
) -> None:
    provider.enqueue(Reply(headers={"content-type": "text/event-stream"}))
    with client_of(provider, 1) as client:
        deque(client.chat_stream(**ASK_V1))
    check_usage(recorder.only(), provider.served[0], STREAMED["chat, v1"])


@pytest.mark.parametrize("sdk", [cohere.BedrockClient, cohere.BedrockClientV2])
def test_amazon_is_named(sdk: Any) -> None:
    """Its clients turn each request into one to Amazon, in a hook of their HTTP client."""
    client = sdk(aws_access_key="any", aws_secret_key="any", aws_region="eu-west-1")
    with client._client_wrapper.httpx_client.httpx_client as http_client:
        host = host_of(http_client, "https://api.cohere.com")
    assert host == ("aws.bedrock", "bedrock-runtime.eu-west-1.amazonaws.com", 443, "eu-west-1")


class Nearby(httpx.HTTPTransport):
    """Sends what is for Amazon to the simulated provider."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self._url = httpx.URL(url)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        there = {"scheme": "http", "host": self._url.host, "port": self._url.port}
        request.url = request.url.copy_with(**there)
        return super().handle_request(request)


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
def test_what_amazon_serves_is_one_record(
    recorder: Recorder, provider: SimulatedProvider, *, streamed: bool
) -> None:
    client: Any = cohere.BedrockClient(
        aws_access_key="any", aws_secret_key="any", aws_region="eu-west-1"
    )
    ask = {"model": "cohere.command-r-v1:0", "message": "How did we do?"}
    # Amazon packs nothing, and the client could not unpack it.
    provider.enqueue(Reply(gzip=False))
    with client._client_wrapper.httpx_client.httpx_client as http_client:
        http_client._transport = Nearby(provider.url)
        if streamed:
            deque(client.chat_stream(**ask))
        else:
            client.chat(**ask)
    span, [served] = recorder.only(), provider.served
    assert span[names.PROVIDER_NAME] == "aws.bedrock"
    assert span[names.USAGE_REGION] == "eu-west-1"
    assert span[names.REQUEST_MODEL] == ask["model"]
    assert span[names.INPUT_TOKENS] == served.tokens.input > 0
    assert span[names.OUTPUT_TOKENS] == served.tokens.output > 0
    assert span[names.USAGE_SOURCE] == names.SOURCE_PROVIDER


def test_a_request_that_uses_no_model_is_no_record(
    recorder: Recorder, provider: SimulatedProvider
) -> None:
    with client_of(provider, 1) as client, pytest.raises(ApiError):
        client.tokenize(text="Hello", model="command-r-08-2024", offline=False)
    assert recorder.spans == []
