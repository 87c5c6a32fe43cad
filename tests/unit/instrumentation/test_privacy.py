"""No tenant reaches a provider, no prompt reaches a span, and one call is one record."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from contextlib import suppress

import httpx
import httpx2
import pytest
from anthropic import Anthropic, AsyncAnthropic
from opentelemetry import baggage
from opentelemetry.context import attach, detach
from opentelemetry.instrumentation.httpx import HTTPX2ClientInstrumentor, HTTPXClientInstrumentor

from simulated_provider import Reply, SimulatedProvider
from spanmeter.instrumentation import UsageContext, usage
from spanmeter.metering import attributes as names
from unit.instrumentation.forms import (
    APIS,
    CHAT,
    MESSAGES,
    STREAMING_APIS,
    Api,
    async_client_of,
    client_of,
)
from unit.instrumentation.recording import Recorder

each_api = pytest.mark.parametrize("api", APIS.values(), ids=APIS)

PROMPT, COMPLETION = "sentinel-of-the-prompt", "sentinel-of-the-completion"

IDENTITY = UsageContext(
    tenant_id="tenant-sentinel",
    workspace_id="workspace-sentinel",
    project_id="project-sentinel",
    user_id="user-sentinel",
    feature="feature-sentinel",
    workflow="workflow-sentinel",
    action="action-sentinel",
    label="label-sentinel",
    idempotency_key="key-sentinel",
    account_type="trial",
    billable_state="included",
    byok=True,
    dimensions={"region": "dimension-sentinel"},
)


@pytest.fixture
def http_tracing(recorder: Recorder) -> Generator[None]:
    """OpenTelemetry's own instrumentation of httpx and httpx2, which injects baggage into every
    request."""
    instrumentors = (HTTPXClientInstrumentor(), HTTPX2ClientInstrumentor())
    for instrumentor in instrumentors:
        instrumentor.instrument(tracer_provider=recorder.tracer_provider)
    yield
    for instrumentor in instrumentors:
        instrumentor.uninstrument()


@pytest.fixture
def session() -> Generator[None]:
    """Baggage that is none of ours."""
    token = attach(baggage.set_baggage("session", "s1"))
    yield
    detach(token)


def check_private(provider: SimulatedProvider) -> None:
    assert provider.requests
    for request in provider.requests:
        for leak in (b"-sentinel", b"tenant.id", b"usage.", b"user.id", b"project.id"):
            assert leak not in request.raw
        assert request.header("baggage") == "session=s1"
        assert request.header("traceparent") is not None


@pytest.mark.usefixtures("http_tracing", "session")
@each_api
def test_no_tenant_reaches_the_provider(
    recorder: Recorder, provider: SimulatedProvider, api: Api
) -> None:
    """Not in the second attempt either. Baggage of others goes through."""
    provider.enqueue(Reply(status=429, retry_after=0.001), Reply())
    with client_of(api, provider) as client, usage(IDENTITY):
        api.resource(client).create(**api.arguments)
        assert baggage.get_baggage(names.TENANT_ID) == "tenant-sentinel"
    check_private(provider)
    for span in recorder.metered:
        assert span.items() >= IDENTITY.identity().items()


@pytest.mark.usefixtures("http_tracing", "session")
@pytest.mark.parametrize("api", STREAMING_APIS.values(), ids=STREAMING_APIS)
def test_no_tenant_reaches_the_provider_of_an_async_stream(
    recorder: Recorder, provider: SimulatedProvider, api: Api
) -> None:
    async def call() -> None:
        async with async_client_of(api, provider) as client, usage(IDENTITY):
            async for _ in await api.resource(client).create(**api.arguments, stream=True):
                assert baggage.get_baggage(names.TENANT_ID) == "tenant-sentinel"

    asyncio.run(call())
    check_private(provider)
    assert recorder.only()[names.TENANT_ID] == "tenant-sentinel"


@pytest.mark.usefixtures("http_tracing")
def test_older_httpx_clients_are_private_too(
    recorder: Recorder, provider: SimulatedProvider
) -> None:
    """The SDK still takes a client of httpx, which its earlier majors were made with."""
    with (
        httpx.Client() as http_client,
        client_of(CHAT, provider, http_client=http_client) as client,
        usage(IDENTITY),
    ):
        CHAT.resource(client).create(**CHAT.arguments)
    [request] = provider.requests
    assert request.header("baggage") is None
    assert b"-sentinel" not in request.raw
    assert recorder.metered[0][names.TENANT_ID] == "tenant-sentinel"


@pytest.mark.usefixtures("http_tracing")
def test_other_requests_carry_the_tenant_on(
    recorder: Recorder, provider: SimulatedProvider
) -> None:
    """That is how the service that is called knows it."""
    with usage(tenant_id="acme"):
        httpx2.post(provider.url + "/v1/embeddings", json={"model": "text-embedding-3-small"})
    assert provider.requests[0].header("baggage") == "tenant.id=acme"


@pytest.mark.usefixtures("http_tracing")
def test_the_http_clients_span_is_a_child_of_the_attempts(
    recorder: Recorder, provider: SimulatedProvider
) -> None:
    provider.enqueue(Reply(status=500, retry_after=0.001), Reply())
    with client_of(CHAT, provider) as client:
        CHAT.resource(client).create(**CHAT.arguments)
    first_http, first, second_http, second = recorder.spans
    assert first_http.parent == first.context
    assert second_http.parent == second.context
    assert first.parent is None
    assert second.parent is None


@pytest.mark.parametrize("stream", [False, True])
def test_anthropics_own_tracing_makes_no_second_record(
    recorder: Recorder, provider: SimulatedProvider, *, stream: bool
) -> None:
    """It is on by default, from 1.14; what it does not share with us it goes on recording."""
    with (
        Anthropic(
            base_url=provider.url,
            api_key="any",
            open_telemetry={"tracer_provider": recorder.tracer_provider},
        ) as client,
        usage(IDENTITY),
    ):
        message = client.messages.create(**MESSAGES.arguments, stream=stream)
        if stream:
            list(message)
    assert recorder.only() == dict(recorder.only_span().attributes or {})
    [request] = provider.requests
    assert request.header("baggage") is None
    assert b"-sentinel" not in request.raw


def test_anthropics_own_tracing_comes_back_when_ours_ends(
    recorder: Recorder, provider: SimulatedProvider
) -> None:
    async def call() -> None:
        async with AsyncAnthropic(
            base_url=provider.url,
            api_key="any",
            open_telemetry={"tracer_provider": recorder.tracer_provider},
        ) as client:
            await client.messages.create(**MESSAGES.arguments)

    recorder.stop()
    asyncio.run(call())
    scope = recorder.only_span().instrumentation_scope
    assert scope is not None
    assert scope.name == "com.anthropic.sdk.python"


def with_prompt(api: Api, prompt: str) -> dict[str, object]:
    """A call of the API that says this to the model."""
    messages = [{"role": "user", "content": prompt}]
    said = {"messages": messages, "input": prompt, "prompt": prompt}
    return {name: said.get(name, value) for name, value in api.arguments.items()}


@each_api
@pytest.mark.parametrize(
    "reply",
    [
        Reply(text=COMPLETION),
        Reply(text=COMPLETION * 20, chunks=9, error_after=5),
        Reply(text=COMPLETION * 20, chunks=9, abort_after=5),
        Reply(status=400, error={"type": "invalid_request_error", "message": PROMPT}),
    ],
    ids=["whole", "error event", "broken off", "refused with the prompt in the message"],
)
@pytest.mark.parametrize("stream", [False, True])
def test_no_prompt_and_no_completion_reaches_a_span(
    recorder: Recorder, provider: SimulatedProvider, api: Api, reply: Reply, *, stream: bool
) -> None:
    further = {"stream": True} if stream and api.path != "/embeddings" else {}
    provider.enqueue(reply)
    # The SDKs' errors have no common base, and it is not what they say that matters here.
    with client_of(api, provider, max_retries=0) as client, suppress(Exception):
        answer = api.resource(client).create(**with_prompt(api, PROMPT), **further)
        list(answer)
    assert PROMPT.encode() in provider.requests[0].body
    [span] = recorder.spans
    for text in (PROMPT, COMPLETION):
        assert text not in span.to_json()
