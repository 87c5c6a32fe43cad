"""However a Cohere call ends, each of its attempts is one record."""

from __future__ import annotations

import asyncio
import gc
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import cohere
import httpx
import pytest
from cohere.core import ApiError
from opentelemetry.trace import StatusCode

from simulated_provider import Framing, Reply, SimulatedProvider
from spanmeter.instrumentation.clients.cohere import host_of
from spanmeter.metering import attributes as names
from unit.instrumentation.clients.cohere_calls import (
    ASK,
    ASK_V1,
    NO_AUTHORITIES,
    SLOW,
    STREAMED,
    WHOLE,
    Form,
    async_client_of,
    check_usage,
    client_of,
    each_streamed,
)
from unit.instrumentation.recording import Recorder

pytestmark = pytest.mark.usefixtures("nothing_declared")


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
            api_key="any", base_url="http://127.0.0.1:9", httpx_client=http_client
        )
        once = {**form.arguments, "request_options": {"max_retries": 0}}
        with pytest.raises(httpx.ConnectError):
            deque(replace(form, arguments=once).call(client))
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
