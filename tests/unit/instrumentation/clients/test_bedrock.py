"""Every form of a Bedrock call, through boto3 and aiobotocore, is what the provider has booked."""

from __future__ import annotations

import io
import json
from collections import deque
from collections.abc import Generator, Mapping
from typing import Any

import pytest
from aiobotocore.config import AioConfig  # type: ignore[import-untyped]
from botocore.exceptions import ClientError  # type: ignore[import-untyped]

from simulated_provider import Framing, Reply, SimulatedProvider
from unit.instrumentation.clients.bedrock_calls import (
    CLAUDE_BODY,
    HAIKU,
    LLAMA,
    LLAMA_BODY,
    MESSAGES,
    AsyncForm,
    Form,
    check_the_one,
    client_of,
    converse,
    converse_async,
    converse_stream,
    drain_converse,
    drain_invoke,
    in_pieces,
    invoke,
    invoke_stream,
    run,
    without_retries,
)
from unit.instrumentation.clients.older_releases import method_of
from unit.instrumentation.recording import Recorder


@pytest.fixture
def client(provider: SimulatedProvider) -> Generator[Any]:
    client = client_of(provider)
    yield client
    client.close()


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
    # The body was the answer itself, before it had a `raw_stream`.
    async for _ in getattr(body, "raw_stream", body).content.iter_any():
        pass


ASYNC_WHOLE: Mapping[str, AsyncForm] = {
    "converse": converse_async,
    "read": read,
    "with": read_within,
    "read in pieces": read_in_pieces,
    "lines": read_lines,
    "raw": read_raw,
}
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
    session = pytest.importorskip("aiobotocore.httpxsession").HttpxSession
    # This session lets httpx ask for compression, and gives the application what comes.
    provider.enqueue(Reply(gzip=False))
    try:
        run(provider, form, config=AioConfig(http_session_cls=session))
    except ValueError as error:
        # aiobotocore 2.26 gives such a body as a whole only.
        if "does not support reading a specific number of bytes" in str(error):
            pytest.skip(str(error))
        raise
    check_the_one(recorder, provider, streamed=False)


def test_other_services_are_let_alone(recorder: Recorder, provider: SimulatedProvider) -> None:
    client = client_of(provider, "dynamodb", config=without_retries())
    with pytest.raises(ClientError):
        client.list_tables()
    client.close()
    assert recorder.spans == []


def test_counting_tokens_is_no_use_of_a_model(
    recorder: Recorder, provider: SimulatedProvider, client: Any
) -> None:
    count = method_of(client, "count_tokens")
    with pytest.raises(ClientError):
        count(modelId=HAIKU, input={"converse": {"messages": MESSAGES}})
    assert recorder.spans == []
