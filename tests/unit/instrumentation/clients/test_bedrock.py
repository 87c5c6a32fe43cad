"""Every form of a Bedrock call, through boto3 and aiobotocore, is what the provider has booked."""

from __future__ import annotations

import asyncio
import gc
import io
import json
from collections import deque
from collections.abc import Awaitable, Callable, Generator, Mapping
from typing import Any

import boto3  # type: ignore[import-untyped]
import pytest
from aiobotocore.config import AioConfig  # type: ignore[import-untyped]
from aiobotocore.httpxsession import HttpxSession  # type: ignore[import-untyped]
from aiobotocore.session import get_session  # type: ignore[import-untyped]
from botocore.config import Config  # type: ignore[import-untyped]
from botocore.exceptions import BotoCoreError, ClientError, EventStreamError  # type: ignore[import-untyped]
from opentelemetry.trace import StatusCode

from simulated_provider import Framing, Reply, Served, SimulatedProvider
from spanmeter.instrumentation import usage
from spanmeter.instrumentation.clients.bedrock import region_of
from spanmeter.instrumentation.clients.bedrock_usage import (
    model_name,
    openai_stream_attributes,
    read_invoked,
    token_attributes,
)
from spanmeter.metering import attributes as names
from unit.instrumentation.recording import Attributes, Recorder

HAIKU = "us.anthropic.claude-haiku-4-5-20251001-v1:0"
LLAMA = "meta.llama3-3-70b-instruct-v1:0"
NOVA = "amazon.nova-lite-v1:0"
KEYS = {
    "region_name": "eu-west-1",
    "aws_access_key_id": "any",
    "aws_secret_access_key": "any",
}
MESSAGES = [{"role": "user", "content": [{"text": "How did we do?"}]}]
CLAUDE_BODY = json.dumps(
    {
        "anthropic_version": "bedrock-2023-05-31",
        "max_tokens": 60,
        "messages": [{"role": "user", "content": "How did we do?"}],
    }
)
LLAMA_BODY = json.dumps({"prompt": "How did we do?"})
SLOW = Reply(chunks=50, chunk_delay=0.005)

AsyncForm = Callable[[Any], Awaitable[None]]
Form = Callable[[Any], object]

# botocore leaves the sockets of streams that are let go to the garbage collector.
lets_go = pytest.mark.filterwarnings(
    "ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)


def without_retries(**options: Any) -> Config:
    return Config(retries={"total_max_attempts": 1}, **options)


def client_of(provider: SimulatedProvider, service: str = "bedrock-runtime", **options: Any) -> Any:
    """A client of one of AWS's services."""
    boto: Any = boto3
    return boto.client(service, endpoint_url=provider.url, **KEYS, **options)


@pytest.fixture
def client(provider: SimulatedProvider) -> Generator[Any]:
    client = client_of(provider)
    yield client
    client.close()


def run(provider: SimulatedProvider, form: AsyncForm, **options: Any) -> None:
    """Runs a form with an async client."""

    async def call() -> None:
        session: Any = get_session()
        async with session.create_client(
            "bedrock-runtime", endpoint_url=provider.url, **KEYS, **options
        ) as client:
            await form(client)

    asyncio.run(call())


def check_usage(span: Attributes, served: Served) -> None:
    """The span says of a complete answer what the provider has in its books."""
    tokens = served.tokens
    assert span[names.PROVIDER_NAME] == "aws.bedrock"
    assert span[names.INPUT_TOKENS] == tokens.input
    assert span.get(names.OUTPUT_TOKENS, 0) == tokens.output
    assert span.get(names.CACHE_READ_INPUT_TOKENS, 0) == tokens.cache_read
    written = tokens.cache_write + tokens.cache_write_1h
    assert span.get(names.CACHE_WRITE_INPUT_TOKENS, 0) == written
    assert span.get(names.cache_write("1h"), 0) == tokens.cache_write_1h
    assert span[names.USAGE_SOURCE] == names.SOURCE_PROVIDER
    assert span[names.RESPONSE_ID] == served.response_id
    assert names.ERROR_TYPE not in span
    raw = span[names.USAGE_RAW]
    assert isinstance(raw, str)
    assert json.loads(raw) == {
        name: count for name, count in served.usage.items() if count is not None
    }


def check_the_one(recorder: Recorder, provider: SimulatedProvider, *, streamed: bool) -> None:
    """One call was made, and it is one complete span."""
    [served] = provider.served
    span = recorder.only()
    check_usage(span, served)
    assert span.get(names.REQUEST_STREAM, False) is streamed
    assert (names.TIME_TO_FIRST_CHUNK in span) is streamed


def converse(client: Any, **further: Any) -> Any:
    return client.converse(modelId=HAIKU, messages=MESSAGES, **further)


def converse_stream(client: Any, **further: Any) -> Any:
    return client.converse_stream(modelId=HAIKU, messages=MESSAGES, **further)


def invoke(client: Any, **further: Any) -> Any:
    return client.invoke_model(**{"modelId": HAIKU, "body": CLAUDE_BODY, **further})


def invoke_stream(client: Any, **further: Any) -> Any:
    return client.invoke_model_with_response_stream(
        **{"modelId": HAIKU, "body": CLAUDE_BODY, **further}
    )


def at_once(body: Any) -> None:
    body.read()


def in_pieces(body: Any) -> None:
    while body.read(7):
        pass


def by_with(body: Any) -> None:
    with body as raw:
        assert raw.read()


WHOLE: Mapping[str, Form] = {
    "converse": converse,
    "read": lambda client: invoke(client)["body"].read(),
    "read of its length": lambda client: invoke(client)["body"].read(1_000_000),
    "read in pieces": lambda client: in_pieces(invoke(client)["body"]),
    "lines": lambda client: deque(invoke(client)["body"].iter_lines()),
    "read lines": lambda client: invoke(client)["body"].readlines(),
    "chunks": lambda client: deque(invoke(client)["body"].iter_chunks(11)),
    "iterated": lambda client: deque(invoke(client)["body"]),
    "buffered": lambda client: json.load(io.BufferedReader(invoke(client)["body"])),
    "with": lambda client: by_with(invoke(client)["body"]),
    "parsed": lambda client: json.load(invoke(client)["body"]),
    "bytes": lambda client: invoke(client, body=CLAUDE_BODY.encode())["body"].read(),
    "a file": lambda client: invoke(client, body=io.BytesIO(CLAUDE_BODY.encode()))["body"].read(),
    "llama": lambda client: invoke(client, modelId=LLAMA, body=LLAMA_BODY)["body"].read(),
}

STREAMS: Mapping[str, Form] = {
    "converse": lambda client: deque(converse_stream(client)["stream"]),
    "invoke": lambda client: deque(invoke_stream(client)["body"], maxlen=0),
    "llama": lambda client: deque(
        invoke_stream(client, modelId=LLAMA, body=LLAMA_BODY)["body"], maxlen=0
    ),
}


@pytest.mark.parametrize("form", WHOLE.values(), ids=WHOLE)
def test_whole_answers(
    recorder: Recorder, provider: SimulatedProvider, client: Any, form: Form
) -> None:
    form(client)
    check_the_one(recorder, provider, streamed=False)


@pytest.mark.parametrize("form", STREAMS.values(), ids=STREAMS)
@pytest.mark.parametrize("framing", [Framing(), Framing(split=1), Framing(split=1_000_000)])
def test_streams(
    recorder: Recorder, provider: SimulatedProvider, client: Any, form: Form, framing: Framing
) -> None:
    provider.enqueue(Reply(framing=framing))
    form(client)
    check_the_one(recorder, provider, streamed=True)


async def read(client: Any) -> None:
    assert await (await invoke(client))["body"].read()


async def read_within(client: Any) -> None:
    async with (await invoke(client))["body"] as body:
        assert await body.read()


async def read_in_pieces(client: Any) -> None:
    body = (await invoke(client))["body"]
    while await body.read(7):
        pass


async def read_lines(client: Any) -> None:
    async for _ in (await invoke(client))["body"].iter_lines():
        pass


async def read_raw(client: Any) -> None:
    body = (await invoke(client))["body"]
    async for _ in body.raw_stream.content.iter_any():
        pass


async def converse_async(client: Any) -> None:
    await converse(client)


ASYNC_WHOLE: Mapping[str, AsyncForm] = {
    "converse": converse_async,
    "read": read,
    "with": read_within,
    "read in pieces": read_in_pieces,
    "lines": read_lines,
    "raw": read_raw,
}


async def drain_converse(client: Any) -> None:
    async for _ in (await converse_stream(client))["stream"]:
        pass


async def drain_invoke(client: Any) -> None:
    async for _ in (await invoke_stream(client))["body"]:
        pass


ASYNC_STREAMS: Mapping[str, AsyncForm] = {"converse": drain_converse, "invoke": drain_invoke}


@pytest.mark.parametrize("form", ASYNC_WHOLE.values(), ids=ASYNC_WHOLE)
def test_whole_answers_async(
    recorder: Recorder, provider: SimulatedProvider, form: AsyncForm
) -> None:
    run(provider, form)
    check_the_one(recorder, provider, streamed=False)


@pytest.mark.parametrize("form", ASYNC_STREAMS.values(), ids=ASYNC_STREAMS)
@pytest.mark.parametrize("framing", [Framing(), Framing(split=7)])
def test_streams_async(
    recorder: Recorder, provider: SimulatedProvider, form: AsyncForm, framing: Framing
) -> None:
    provider.enqueue(Reply(framing=framing))
    run(provider, form)
    check_the_one(recorder, provider, streamed=True)


@pytest.mark.parametrize("form", [converse_async, read, read_in_pieces])
def test_aiobotocore_on_httpx(
    recorder: Recorder, provider: SimulatedProvider, form: AsyncForm
) -> None:
    # This session lets httpx ask for compression, and gives the application what comes.
    provider.enqueue(Reply(gzip=False))
    run(provider, form, config=AioConfig(http_session_cls=HttpxSession))
    check_the_one(recorder, provider, streamed=False)


def test_what_a_span_says_in_full(
    recorder: Recorder, provider: SimulatedProvider, client: Any
) -> None:
    provider.enqueue(Reply(service_tier="priority"))
    with usage(tenant_id="acme"):
        client.converse(modelId=NOVA, messages=MESSAGES)
    [served] = provider.served
    span = dict(recorder.only())
    del span[names.USAGE_RAW]
    assert span == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "aws.bedrock",
        "gen_ai.request.model": NOVA,
        "gen_ai.response.id": served.response_id,
        "gen_ai.usage.input_tokens": served.tokens.input,
        "gen_ai.usage.cache_read.input_tokens": 0,
        "gen_ai.usage.cache_write.input_tokens": 0,
        "gen_ai.usage.output_tokens": served.tokens.output,
        "server.address": "127.0.0.1",
        "server.port": int(provider.url.rsplit(":", 1)[1]),
        "tenant.id": "acme",
        "usage.attempt": 1,
        "usage.region": "eu-west-1",
        "usage.service_tier": "priority",
        "usage.source": "provider",
    }
    assert recorder.only_span().name == f"chat {NOVA}"
    assert b"acme" not in provider.requests[0].raw


def cached(word: str, ttl: str) -> list[Any]:
    point = {"type": "default"} if ttl == "5m" else {"type": "default", "ttl": ttl}
    return [{"text": f"{word} " * 1100}, {"cachePoint": point}]


@pytest.mark.parametrize("stream", [False, True])
def test_counts_are_made_inclusive_and_split_by_time_to_live(
    recorder: Recorder, provider: SimulatedProvider, client: Any, *, stream: bool
) -> None:
    for last in ("two", "three"):
        system = [*cached("one", "1h"), *cached(last, "5m")]
        if stream:
            deque(converse_stream(client, system=system)["stream"])
        else:
            converse(client, system=system)
    first, second = recorder.metered
    wrote, reread = provider.served
    check_usage(first, wrote)
    check_usage(second, reread)
    assert first[names.cache_write("1h")] == first[names.cache_write("5m")] == 1100
    assert second[names.CACHE_READ_INPUT_TOKENS] == 1100
    assert wrote.tokens.input == 2200 + wrote.usage["inputTokens"]


@pytest.mark.parametrize("stream", [False, True])
def test_claudes_own_body_splits_cache_writes_by_time_to_live(
    recorder: Recorder, provider: SimulatedProvider, client: Any, *, stream: bool
) -> None:
    control = {"type": "ephemeral", "ttl": "1h"}
    system = [{"type": "text", "text": "one " * 1100, "cache_control": control}]
    body = json.dumps({**json.loads(CLAUDE_BODY), "system": system})
    if stream:
        deque(invoke_stream(client, body=body)["body"])
    else:
        invoke(client, body=body)["body"].read()
    check_the_one(recorder, provider, streamed=stream)
    assert recorder.only()[names.cache_write("1h")] == 1100


def test_openais_models_include_the_cache_in_streams_alone() -> None:
    """As measured in maximhq/bifrost#6942."""
    streamed = {"inputTokens": 4995, "outputTokens": 19, "cacheWriteInputTokens": 4993}
    whole = streamed | {"inputTokens": 2}
    assert openai_stream_attributes(streamed)[names.INPUT_TOKENS] == 4995
    assert openai_stream_attributes(whole)[names.INPUT_TOKENS] == 4995
    assert token_attributes(whole)[names.INPUT_TOKENS] == 4995


@pytest.mark.parametrize(("stream", "input_tokens"), [(True, 4995), (False, 9988)])
def test_openais_models_are_told_by_their_id(
    recorder: Recorder,
    provider: SimulatedProvider,
    client: Any,
    *,
    stream: bool,
    input_tokens: int,
) -> None:
    served = {"inputTokens": 4995, "outputTokens": 19, "cacheWriteInputTokens": 4993}
    provider.enqueue(Reply(usage=served))
    ask = {"modelId": "openai.gpt-oss-120b-1:0", "messages": MESSAGES}
    if stream:
        deque(client.converse_stream(**ask)["stream"])
    else:
        client.converse(**ask)
    assert recorder.only()[names.INPUT_TOKENS] == input_tokens


def test_embeddings_and_images(
    recorder: Recorder, provider: SimulatedProvider, client: Any
) -> None:
    text = json.dumps({"inputText": "How did we do?"})
    invoke(client, modelId="amazon.titan-embed-text-v2:0", body=text)["body"].read()
    picture = json.dumps({"imageGenerationConfig": {"numberOfImages": 3}})
    invoke(client, modelId="amazon.nova-canvas-v1:0", body=picture)["body"].read()
    embedding, images = recorder.metered
    check_usage(embedding, provider.served[0])
    assert embedding[names.OPERATION_NAME] == names.EMBEDDINGS
    assert images[names.OPERATION_NAME] == names.IMAGE_GENERATION
    assert images[names.quantity("images")] == 3
    assert images[names.USAGE_SOURCE] == names.SOURCE_PROVIDER


def test_latency_optimized_inference_is_a_tier(
    recorder: Recorder, client: Any, provider: SimulatedProvider
) -> None:
    converse(client, performanceConfig={"latency": "optimized"})
    provider.enqueue(Reply(service_tier="flex"))
    invoke(client)["body"].read()
    first, second = recorder.metered
    assert first[names.USAGE_SERVICE_TIER] == "optimized"
    assert second[names.USAGE_SERVICE_TIER] == "flex"


PROFILE = "arn:aws:bedrock:eu-central-1:123456789012:application-inference-profile/abc123"


def test_a_model_behind_an_arn_is_what_the_answer_says(recorder: Recorder) -> None:
    with SimulatedProvider(deployments={PROFILE: HAIKU}) as provider:
        client = client_of(provider)
        invoke(client, modelId=PROFILE)["body"].read()
        deque(invoke_stream(client, modelId=PROFILE)["body"])
        client.close()
    for span in recorder.metered:
        assert span[names.REQUEST_MODEL] == PROFILE
        assert span[names.RESPONSE_MODEL] == "claude-haiku-4-5-20251001"
        assert span[names.USAGE_REGION] == "eu-central-1"


@pytest.mark.parametrize(
    ("model_id", "model", "region"),
    [
        ("amazon.nova-lite-v1:0", "amazon.nova-lite-v1:0", "here"),
        (HAIKU, HAIKU, "us"),
        ("global.anthropic.claude-opus-5", "global.anthropic.claude-opus-5", "global"),
        (f"arn:aws:bedrock:us-east-1:1:inference-profile/{HAIKU}", HAIKU, "us"),
        (f"arn:aws:bedrock:us-east-1::foundation-model/{LLAMA}", LLAMA, "us-east-1"),
        (PROFILE, PROFILE, "eu-central-1"),
    ],
)
def test_models_and_regions(model_id: str, model: str, region: str) -> None:
    assert model_name(model_id) == model
    assert region_of(model_id, "here") == region


def test_novas_own_events_are_read() -> None:
    event = {
        "metadata": {"usage": {"inputTokens": 5, "outputTokens": 7, "cacheReadInputTokenCount": 3}},
        "amazon-bedrock-invocationMetrics": {"inputTokenCount": 5, "invocationLatency": 9},
    }
    reading = read_invoked(event)
    assert reading.last
    assert reading.usage is not None
    assert token_attributes(reading.usage) == {
        names.INPUT_TOKENS: 8,
        names.CACHE_READ_INPUT_TOKENS: 3,
        names.OUTPUT_TOKENS: 7,
    }


@pytest.mark.parametrize("form", [converse_async, drain_invoke])
def test_each_attempt_is_a_span(
    recorder: Recorder, provider: SimulatedProvider, form: AsyncForm
) -> None:
    provider.enqueue(Reply(status=429), Reply(drop=True))
    run(provider, form)
    throttled, dropped, done = recorder.metered
    assert throttled[names.ERROR_TYPE] == "ThrottlingException"
    assert throttled[names.HTTP_RESPONSE_STATUS_CODE] == 429
    assert dropped[names.ERROR_TYPE] == "botocore.exceptions.ConnectionClosedError"
    check_usage(done, provider.served[-1])
    assert [span[names.USAGE_ATTEMPT] for span in recorder.metered] == [1, 2, 3]


@pytest.mark.parametrize("ask", [converse, converse_stream, invoke, invoke_stream])
@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (Reply(status=400), "ValidationException"),
        (Reply(status=403), "AccessDeniedException"),
        (Reply(status=424), "ModelErrorException"),
        (Reply(status=503), "ServiceUnavailableException"),
        (Reply(drop=True), "botocore.exceptions.ConnectionClosedError"),
        (Reply(hang=True), "timeout"),
    ],
)
def test_errors(
    recorder: Recorder,
    provider: SimulatedProvider,
    ask: Callable[[Any], Any],
    reply: Reply,
    error: str,
) -> None:
    provider.enqueue(reply)
    config = without_retries(read_timeout=0.2 if reply.hang else 5)
    client = client_of(provider, config=config)
    with pytest.raises((ClientError, BotoCoreError)):
        ask(client)
    client.close()
    span = recorder.only()
    assert span[names.ERROR_TYPE] == error
    assert recorder.only_span().status.status_code is StatusCode.ERROR
    assert names.INPUT_TOKENS not in span


def break_and_close(client: Any, ask: Any) -> None:
    stream = ask(client)
    for _ in stream:
        break
    stream.close()


def let_go(client: Any, ask: Any) -> None:
    for _ in ask(client):
        break
    gc.collect()


def let_go_unread(client: Any, ask: Any) -> None:
    ask(client)
    gc.collect()


def raise_within(client: Any, ask: Any) -> None:
    def fail() -> None:
        for _ in ask(client):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    gc.collect()


def stream_of(ask: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda client: next(
        part for key, part in ask(client).items() if key in {"stream", "body"}
    )


@lets_go
@pytest.mark.parametrize("ask", [converse_stream, invoke_stream])
@pytest.mark.parametrize("leave", [break_and_close, let_go, let_go_unread, raise_within])
def test_a_stream_that_is_left_is_one_cancelled_span(
    recorder: Recorder,
    provider: SimulatedProvider,
    client: Any,
    ask: Callable[[Any], Any],
    leave: Callable[[Any, Any], None],
) -> None:
    provider.enqueue(SLOW)
    leave(client, stream_of(ask))
    span = recorder.only()
    assert span[names.ERROR_TYPE] == names.CANCELLED
    assert span.get(names.USAGE_SOURCE) != names.SOURCE_PROVIDER


@lets_go
@pytest.mark.parametrize("ask", [converse_stream, invoke_stream])
@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (Reply(error_after=3), "modelStreamErrorException"),
        (Reply(abort_after=3), "urllib3.exceptions.ProtocolError"),
    ],
)
def test_a_stream_that_breaks_off_is_one_failed_span(
    recorder: Recorder,
    provider: SimulatedProvider,
    client: Any,
    ask: Callable[[Any], Any],
    reply: Reply,
    error: str,
) -> None:
    provider.enqueue(reply)
    stream = stream_of(ask)(client)
    with pytest.raises(Exception) as caught:  # noqa: PT011 - the library's own, by kind of break
        deque(stream)
    assert isinstance(caught.value, EventStreamError) is (reply.error_after is not None)
    span = recorder.only()
    assert span[names.ERROR_TYPE] == error
    assert span[names.USAGE_SOURCE] == names.SOURCE_ESTIMATE
    assert span[names.OUTPUT_TOKENS] != 0


@lets_go
@pytest.mark.parametrize(
    ("take", "error"),
    [
        (at_once, "urllib3.exceptions.ProtocolError"),
        (in_pieces, "botocore.exceptions.IncompleteReadError"),
    ],
)
def test_a_body_that_is_cut_is_an_error(
    recorder: Recorder, provider: SimulatedProvider, client: Any, take: Form, error: str
) -> None:
    provider.enqueue(Reply(abort_after=1))
    body = invoke(client)["body"]
    with pytest.raises(BotoCoreError):
        take(body)
    assert recorder.only()[names.ERROR_TYPE] == error


@lets_go
def test_an_answer_nobody_reads_has_been_counted(
    recorder: Recorder, provider: SimulatedProvider, client: Any
) -> None:
    invoke(client)
    gc.collect()
    span = recorder.only()
    assert span[names.OUTPUT_TOKENS] == provider.served[0].tokens.output
    assert span[names.USAGE_SOURCE] == names.SOURCE_PROVIDER
    assert names.ERROR_TYPE not in span


@lets_go
def test_a_cancelled_task_is_a_cancelled_span(
    recorder: Recorder, provider: SimulatedProvider
) -> None:
    async def cancelled(client: Any) -> None:
        task = asyncio.ensure_future(drain_converse(client))
        await asyncio.sleep(0.15)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    provider.enqueue(Reply(hang_after=2))
    run(provider, cancelled)
    gc.collect()
    assert recorder.only()[names.ERROR_TYPE] == names.CANCELLED


def test_other_services_are_let_alone(recorder: Recorder, provider: SimulatedProvider) -> None:
    client = client_of(provider, "dynamodb", config=without_retries())
    with pytest.raises(ClientError):
        client.list_tables()
    client.close()
    assert recorder.spans == []


def test_counting_tokens_is_no_use_of_a_model(
    recorder: Recorder, provider: SimulatedProvider, client: Any
) -> None:
    with pytest.raises(ClientError):
        client.count_tokens(modelId=HAIKU, input={"converse": {"messages": MESSAGES}})
    assert recorder.spans == []
