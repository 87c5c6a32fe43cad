"""However a Mistral call ends, each of its attempts is one record."""

from __future__ import annotations

import asyncio
import gc
import logging
from collections import deque
from collections.abc import Callable, Generator
from inspect import signature
from typing import Any

import pytest
from opentelemetry.trace import StatusCode
from pydantic import ValidationError

from simulated_provider import Framing, Reply, SimulatedProvider
from spanmeter.instrumentation import usage
from spanmeter.metering import attributes as names
from unit.instrumentation.clients.mistral_calls import (
    ASK,
    CHAT,
    HTTP,
    SEARCH,
    SLOW,
    STREAMED,
    WHOLE,
    Form,
    async_client_of,
    check_usage,
    client_of,
    each_streamed,
)
from unit.instrumentation.clients.older_releases import module_of
from unit.instrumentation.recording import Recorder

pytestmark = pytest.mark.usefixtures("nothing_declared")


@pytest.fixture
def client(provider: SimulatedProvider) -> Generator[Any]:
    with client_of(provider) as client:
        yield client


errors: Any = module_of("mistralai.client.errors", "mistralai.models")
# 1.x lets pydantic's own error through.
UNREADABLE = (errors.ResponseValidationError, ValidationError)
utils: Any = module_of("mistralai.client.utils", "mistralai.utils")
# Older releases wait as long as they please.
JITTER = {"jitter_ms": 1} if "jitter_ms" in signature(utils.BackoffStrategy).parameters else {}
RETRY = utils.RetryConfig(
    "backoff", utils.BackoffStrategy(1, 5, 1.0, 5000, **JITTER), retry_connection_errors=True
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
        (Reply(chunks=5, abort_after=2), f"{HTTP.__name__}.RemoteProtocolError"),
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
        pytest.raises(HTTP.TransportError),
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
    with client.chat.stream(**CHAT) as stream, pytest.raises(UNREADABLE):
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


def configure_telemetry(client: Any, **options: Any) -> None:
    """Lets the library trace itself, where it can."""
    tracing = pytest.importorskip("mistralai.extra.observability")
    if not hasattr(tracing, "configure_telemetry"):
        pytest.skip("this release has no configure_telemetry")
    tracing.configure_telemetry(client, **options)


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
