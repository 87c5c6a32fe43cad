"""Each request to a provider is a span; what else goes over the wire meanwhile is none."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from typing import Any

import httpx2
import openai
import pytest
from opentelemetry.trace import StatusCode

from simulated_provider import Reply, SimulatedProvider
from spanmeter.metering import attributes as names
from unit.instrumentation.forms import APIS, CHAT, STREAMING_APIS, Api, async_client_of, client_of
from unit.instrumentation.recording import Attributes, Recorder, check_usage

each_api = pytest.mark.parametrize("api", APIS.values(), ids=APIS)

LIMITED = Reply(status=429, retry_after=0.001)
BROKEN = Reply(status=500, retry_after=0.001)

Outcome = tuple[object, object, object]


def outcomes(recorder: Recorder) -> list[Outcome]:
    """Of each attempt: its number, the type of its error, the status it was answered with."""

    def outcome(span: Attributes) -> Outcome:
        status = span.get(names.HTTP_RESPONSE_STATUS_CODE)
        return span[names.USAGE_ATTEMPT], span.get(names.ERROR_TYPE), status

    return [outcome(span) for span in recorder.metered]


SCRIPTS: list[tuple[list[Reply], list[Outcome]]] = [
    ([LIMITED, Reply()], [(1, "429", 429), (2, None, None)]),
    ([BROKEN, BROKEN, Reply()], [(1, "500", 500), (2, "500", 500), (3, None, None)]),
    ([Reply(hang=True), Reply()], [(1, "timeout", None), (2, None, None)]),
    ([Reply(hang_after=0), Reply()], [(1, "timeout", None), (2, None, None)]),
    ([Reply(drop=True), Reply()], [(1, "httpx2.RemoteProtocolError", None), (2, None, None)]),
]
each_script = pytest.mark.parametrize(
    ("script", "expected"),
    SCRIPTS,
    ids=["429", "500 twice", "timeout", "timeout in the body", "connection lost"],
)


@each_api
@each_script
def test_every_attempt_is_a_span(
    recorder: Recorder,
    provider: SimulatedProvider,
    api: Api,
    script: list[Reply],
    expected: list[Outcome],
) -> None:
    provider.enqueue(*script)
    with client_of(api, provider, timeout=httpx2.Timeout(5, read=0.3), max_retries=2) as client:
        api.resource(client).create(**api.arguments)
    assert outcomes(recorder) == expected
    check_usage(recorder.metered[-1], provider.served[-1])
    for span in recorder.metered[:-1]:
        assert names.USAGE_SOURCE not in span


@pytest.mark.parametrize("api", STREAMING_APIS.values(), ids=STREAMING_APIS)
def test_every_attempt_of_a_stream_is_a_span(
    recorder: Recorder, provider: SimulatedProvider, api: Api
) -> None:
    async def call() -> None:
        async with async_client_of(api, provider) as client:
            async for _ in await api.resource(client).create(**api.arguments, stream=True):
                pass

    provider.enqueue(LIMITED, BROKEN, Reply())
    asyncio.run(call())
    assert outcomes(recorder) == [(1, "429", 429), (2, "500", 500), (3, None, None)]
    check_usage(recorder.metered[-1], provider.served[-1])


def test_when_all_attempts_fail_the_application_gets_the_sdks_error(
    recorder: Recorder, provider: SimulatedProvider
) -> None:
    provider.enqueue(LIMITED, BROKEN, LIMITED)
    with client_of(CHAT, provider) as client, pytest.raises(openai.RateLimitError):
        CHAT.resource(client).create(**CHAT.arguments)
    assert outcomes(recorder) == [(1, "429", 429), (2, "500", 500), (3, "429", 429)]
    assert {span.status.status_code for span in recorder.spans} == {StatusCode.ERROR}


def test_a_refused_request_is_one_attempt(recorder: Recorder, provider: SimulatedProvider) -> None:
    with client_of(CHAT, provider) as client, pytest.raises(openai.NotFoundError):
        CHAT.resource(client).create(**{**CHAT.arguments, "model": "no such model"})
    assert outcomes(recorder) == [(1, "404", 404)]


def test_a_call_that_sends_nothing_is_one_attempt_still(
    recorder: Recorder, provider: SimulatedProvider
) -> None:
    def refuse(request: object) -> str:
        raise LookupError("no key for today")

    with (
        openai.OpenAI(base_url=provider.openai_base_url, api_key=lambda: refuse(None)) as client,
        pytest.raises(LookupError),
    ):
        CHAT.resource(client).create(**CHAT.arguments)
    assert provider.requests == []
    assert outcomes(recorder) == [(1, "LookupError", None)]


def test_no_server_is_a_connection_error(recorder: Recorder) -> None:
    with (
        openai.OpenAI(base_url="http://127.0.0.1:9/v1", api_key="any", max_retries=0) as client,
        pytest.raises(openai.APIConnectionError),
    ):
        CHAT.resource(client).create(**CHAT.arguments)
    assert outcomes(recorder) == [(1, "httpx2.ConnectError", None)]


class TokenAuth(httpx2.Auth):
    """Fetches a token before the request, on the same connections."""

    requires_response_body = True

    def __init__(self, url: str) -> None:
        self._url = url

    def auth_flow(
        self, request: httpx2.Request
    ) -> Generator[httpx2.Request, httpx2.Response, None]:
        token = yield httpx2.Request("GET", self._url)
        request.headers["x-token"] = str(token.status_code)
        yield request


def test_requests_of_authentication_are_no_attempts(
    recorder: Recorder, provider: SimulatedProvider
) -> None:
    http_client = httpx2.Client(auth=TokenAuth(provider.url + "/_served"), verify=False)
    with client_of(CHAT, provider, http_client=http_client) as client:
        CHAT.resource(client).create(**CHAT.arguments)
    assert provider.requests[-1].header("x-token") == "200"
    assert outcomes(recorder) == [(1, None, None)]


@pytest.mark.parametrize("shared", [False, True], ids=["another client", "the same client"])
def test_requests_of_hooks_are_no_attempts(
    recorder: Recorder, provider: SimulatedProvider, *, shared: bool
) -> None:
    """An application's hook may well ask something of its own, even of the provider's host."""

    def ask_elsewhere(request: httpx2.Request) -> None:
        if request.url.path != "/_served":
            seen.append(other.get(provider.url + "/_served").status_code)

    seen: list[int] = []
    with httpx2.Client(verify=False) as other:
        http_client = other if shared else httpx2.Client(verify=False)
        http_client.event_hooks = {"request": [ask_elsewhere]}
        with client_of(CHAT, provider, http_client=http_client) as client:
            CHAT.resource(client).create(**CHAT.arguments)
    assert seen == [200]
    assert outcomes(recorder) == [(1, None, None)]
    check_usage(recorder.only(), provider.served[-1])


def test_a_call_within_a_call_is_a_call(recorder: Recorder, provider: SimulatedProvider) -> None:
    """A hook that asks a model (to moderate, say) is metered like any other code."""

    def moderate(request: httpx2.Request) -> None:
        with client_of(CHAT, provider) as inner:
            CHAT.resource(inner).create(**{**CHAT.arguments, "model": "gpt-4o-mini"})

    hooks: Any = {"request": [moderate]}
    http_client = httpx2.Client(event_hooks=hooks, verify=False)
    with client_of(CHAT, provider, http_client=http_client) as client:
        CHAT.resource(client).create(**CHAT.arguments)
    inner, outer = recorder.metered
    assert inner[names.REQUEST_MODEL] == "gpt-4o-mini"
    assert outer[names.REQUEST_MODEL] == CHAT.arguments["model"]
    assert [inner[names.RESPONSE_ID], outer[names.RESPONSE_ID]] == [
        served.response_id for served in provider.served
    ]
