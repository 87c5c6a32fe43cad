"""However a Bedrock call ends, each of its attempts is one record."""

from __future__ import annotations

import asyncio
import gc
from collections import deque
from collections.abc import Callable, Generator, Mapping
from typing import Any

import pytest
from botocore.exceptions import (  # type: ignore[import-untyped]
    BotoCoreError,
    ClientError,
    EventStreamError,
    IncompleteReadError,
    ResponseStreamingError,
)
from opentelemetry.trace import StatusCode

from simulated_provider import Reply, SimulatedProvider
from spanmeter.metering import attributes as names
from unit.instrumentation.clients.bedrock_calls import (
    AsyncForm,
    Form,
    check_usage,
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
from unit.instrumentation.recording import Recorder

SLOW = Reply(chunks=50, chunk_delay=0.005)

# botocore leaves the sockets of streams that are let go to the garbage collector.
lets_go = pytest.mark.filterwarnings(
    "ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)


@pytest.fixture
def client(provider: SimulatedProvider) -> Generator[Any]:
    client = client_of(provider)
    yield client
    client.close()


def at_once(body: Any) -> None:
    body.read()


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


CUT: Mapping[type[BotoCoreError], str] = {
    ResponseStreamingError: "urllib3.exceptions.ProtocolError",
    IncompleteReadError: "botocore.exceptions.IncompleteReadError",
}
"""Who misses the rest first depends on urllib3's version, and what botocore raises for it on that."""


@lets_go
@pytest.mark.parametrize("take", [at_once, in_pieces])
def test_a_body_that_is_cut_is_an_error(
    recorder: Recorder, provider: SimulatedProvider, client: Any, take: Form
) -> None:
    provider.enqueue(Reply(abort_after=1))
    body = invoke(client)["body"]
    with pytest.raises(BotoCoreError) as caught:
        take(body)
    assert recorder.only()[names.ERROR_TYPE] == CUT[type(caught.value)]


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
