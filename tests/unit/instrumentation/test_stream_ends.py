"""However a stream ends, it is one span; and the application sees what it would have seen."""

from __future__ import annotations

import asyncio
import gc
import re
from collections.abc import Awaitable, Callable, Generator
from typing import Any

import httpx2
import pytest
from opentelemetry.trace import StatusCode

from simulated_provider import Framing, Reply, SimulatedProvider
from spanmeter.instrumentation.collected import aside
from spanmeter.metering import attributes as names
from unit.instrumentation.forms import STREAMING_APIS, Api, async_client_of, client_of
from unit.instrumentation.recording import Recorder, check_usage

each_api = pytest.mark.parametrize("api", STREAMING_APIS.values(), ids=STREAMING_APIS)
each_framing = pytest.mark.parametrize(
    "framing",
    [
        Framing(),
        Framing(line_end="\r\n"),
        Framing(line_end="\r"),
        Framing(split=1),
        Framing(line_end="\r\n", split=7),
        Framing(split=1_000_000),
        Framing(comments=True, split=11),
    ],
    ids=["plain", "crlf", "cr", "byte by byte", "crlf cut", "all at once", "comments cut"],
)

SLOW = Reply(chunks=200, chunk_delay=0.02)


@pytest.fixture(autouse=True)
def nothing_is_ended_twice(caplog: pytest.LogCaptureFixture) -> Generator[None]:
    """OpenTelemetry warns of a span that is ended, or written to, after its end."""
    yield
    # asyncio has complaints of its own about async streams that are forgotten, with us and without.
    ours = ("opentelemetry", "spanmeter")
    records = [each for each in caplog.get_records("call") if each.name.startswith(ours)]
    # The collector may find a stream of an earlier test here, whose provider is gone: no matter.
    assert [each for each in records if "ended span" in each.getMessage()] == []


class ApplicationError(Exception):
    """The application's own."""


def start(client: Any, api: Api) -> Any:
    return api.resource(client).create(**api.arguments, stream=True)


def break_and_close(client: Any, api: Api) -> None:
    stream = start(client, api)
    for _ in stream:
        break
    stream.close()


def close_unread(client: Any, api: Api) -> None:
    start(client, api).close()


def leave_early(client: Any, api: Api) -> None:
    with start(client, api) as stream:
        next(iter(stream))


def collect() -> None:
    """Collects garbage, and waits for what was put aside meanwhile."""
    gc.collect()
    aside.settle()


def forget(client: Any, api: Api) -> None:
    next(iter(start(client, api)))
    collect()


def forget_unread(client: Any, api: Api) -> None:
    start(client, api)
    collect()


def leave_a_streaming_response(client: Any, api: Api) -> None:
    create = api.resource(client).with_streaming_response.create
    with create(**api.arguments, stream=True) as response:
        next(iter(response.iter_lines()))


def raise_within(client: Any, api: Api) -> None:
    def use() -> None:
        with start(client, api) as stream:
            for _ in stream:
                raise ApplicationError

    with pytest.raises(ApplicationError):
        use()


GIVING_UP = [
    break_and_close,
    close_unread,
    leave_early,
    forget,
    forget_unread,
    leave_a_streaming_response,
    raise_within,
]


@each_api
@pytest.mark.parametrize("give_up", GIVING_UP)
def test_a_stream_that_is_given_up_is_cancelled(
    recorder: Recorder,
    provider: SimulatedProvider,
    api: Api,
    give_up: Callable[[Any, Api], None],
) -> None:
    provider.enqueue(SLOW)
    with client_of(api, provider) as client:
        give_up(client, api)
        check_cancelled(recorder)
    [served] = provider.wait_for_served(1)
    assert not served.completed
    assert len(recorder.metered) == 1


def check_cancelled(recorder: Recorder) -> None:
    span = recorder.only()
    assert span[names.ERROR_TYPE] == names.CANCELLED
    assert recorder.only_span().status.status_code is StatusCode.UNSET
    assert span.get(names.USAGE_SOURCE) in {
        None,
        names.SOURCE_ESTIMATE,
        names.SOURCE_TOKENIZER,
    }


async def break_and_close_async(client: Any, api: Api) -> None:
    stream = await start(client, api)
    async for _ in stream:
        break
    await stream.close()


async def close_unread_async(client: Any, api: Api) -> None:
    await (await start(client, api)).close()


async def leave_early_async(client: Any, api: Api) -> None:
    async with await start(client, api) as stream:
        await anext(aiter(stream))


async def forget_async(client: Any, api: Api) -> None:
    stream = await start(client, api)
    await anext(aiter(stream))
    del stream
    collect()
    await asyncio.sleep(0.05)


async def raise_within_async(client: Any, api: Api) -> None:
    async def use() -> None:
        async with await start(client, api) as stream:
            async for _ in stream:
                raise ApplicationError

    with pytest.raises(ApplicationError):
        await use()


async def cancel_the_reader(client: Any, api: Api) -> None:
    async def read() -> None:
        async for _ in await start(client, api):
            begun.set()

    begun = asyncio.Event()
    task = asyncio.create_task(read())
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


GIVING_UP_ASYNC = [
    break_and_close_async,
    close_unread_async,
    leave_early_async,
    forget_async,
    raise_within_async,
    cancel_the_reader,
]


@each_api
@pytest.mark.parametrize("give_up", GIVING_UP_ASYNC)
def test_an_async_stream_that_is_given_up_is_cancelled(
    recorder: Recorder,
    provider: SimulatedProvider,
    api: Api,
    give_up: Callable[[Any, Api], Awaitable[None]],
) -> None:
    async def call() -> None:
        async with async_client_of(api, provider) as client:
            await give_up(client, api)

    provider.enqueue(SLOW)
    asyncio.run(call())
    [served] = provider.wait_for_served(1)
    assert not served.completed
    check_cancelled(recorder)


@each_api
def test_a_cancelled_request_is_cancelled(
    recorder: Recorder, provider: SimulatedProvider, api: Api
) -> None:
    async def call() -> None:
        async with async_client_of(api, provider) as client, asyncio.timeout(0.1):
            await api.resource(client).create(**api.arguments)

    provider.enqueue(Reply(delay=30))
    with pytest.raises(TimeoutError):
        asyncio.run(call())
    check_cancelled(recorder)


def test_a_message_that_is_given_up_has_what_its_start_told(
    recorder: Recorder, provider: SimulatedProvider
) -> None:
    """Its input is known; of its output only the beginning, so the counts are no more than an
    estimate."""
    api = STREAMING_APIS["messages"]
    provider.enqueue(SLOW)
    with client_of(api, provider) as client:
        leave_early(client, api)
    [served] = provider.wait_for_served(1)
    span = recorder.only()
    assert span[names.RESPONSE_ID] == served.response_id
    assert span[names.INPUT_TOKENS] == served.tokens.input
    assert span[names.USAGE_SOURCE] == names.SOURCE_ESTIMATE


@each_api
def test_a_stream_that_is_left_after_its_last_event_is_complete(
    recorder: Recorder, provider: SimulatedProvider, api: Api
) -> None:
    """Most loops end with the answer's last event, and not with the body."""
    ends = ("[DONE]", '"type":"message_stop"', '"type":"response.completed"')
    with client_of(api, provider) as client:
        create = api.resource(client).with_streaming_response.create
        with create(**api.arguments, stream=True) as response:
            for line in response.iter_lines():
                if line.startswith("data:") and any(end in line for end in ends):
                    break
    [served] = provider.served
    check_usage(recorder.only(), served)


def read_all(client: Any, api: Api) -> None:
    for _ in start(client, api):
        pass


def outcome(use: Callable[[Any, Api], None], client: Any, api: Api) -> tuple[type[Any], str, Any]:
    """The exception an application sees, and what the SDK says was its cause."""
    with pytest.raises(Exception) as caught:  # noqa: PT011 - compared below, with and without us
        use(client, api)
    error = caught.value
    # Each request has an id of its own.
    return type(error), re.sub(r"req_\w+", "", str(error)), type(error.__cause__)


@each_api
@pytest.mark.parametrize(
    ("reply", "error_type"),
    [
        (Reply(chunks=5, abort_after=2), "httpx2.RemoteProtocolError"),
        (Reply(chunks=5, hang_after=2), names.TIMEOUT),
        (Reply(chunks=5, error_after=2), None),
    ],
    ids=["socket cut", "read timeout", "error event"],
)
def test_a_stream_that_breaks_is_an_error(
    recorder: Recorder,
    provider: SimulatedProvider,
    api: Api,
    reply: Reply,
    error_type: str | None,
) -> None:
    provider.enqueue(reply, reply)
    own = {"openai": "server_error", "anthropic": "overloaded_error"}[api.sdk]
    with client_of(api, provider, timeout=httpx2.Timeout(5, read=0.2), max_retries=0) as client:
        seen = outcome(read_all, client, api)
        # What the SDK raises without us: outside of `instrument` its calls pass untouched.
        recorder.stop()
        assert seen == outcome(read_all, client, api)
    span = recorder.only()
    assert span[names.ERROR_TYPE] == (error_type or own)
    assert recorder.only_span().status.status_code is StatusCode.ERROR
    assert names.HTTP_RESPONSE_STATUS_CODE not in span


@each_api
@each_framing
@pytest.mark.parametrize("packed", [False, True], ids=["identity", "gzip"])
def test_every_framing_is_read(
    recorder: Recorder, provider: SimulatedProvider, api: Api, framing: Framing, *, packed: bool
) -> None:
    provider.enqueue(Reply(text="naïve café → Zürich, überall", framing=framing, gzip=packed))
    with client_of(api, provider) as client:
        read_all(client, api)
    [served] = provider.served
    check_usage(recorder.only(), served)
