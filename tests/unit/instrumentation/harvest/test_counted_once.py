"""A call that several spans tell of is one record: ours where there is one, else the innermost."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import Any

import pytest
from anthropic import Anthropic
from openai import OpenAI
from opentelemetry import trace
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, Sampler
from opentelemetry.trace import SpanKind

from simulated_provider import SimulatedProvider
from spanmeter.instrumentation import instrument, usage
from spanmeter.instrumentation.clients.anthropic import AnthropicInstrumentor
from unit.instrumentation.clients.anthropic_calls import ASK
from unit.instrumentation.harvest.application import CHAT, Application, said
from unit.instrumentation.harvest.conftest import MakeApplication

QUESTION: Any = {
    "model": "gpt-4o-mini",
    "messages": [{"role": "user", "content": "How did we do?"}],
}
AGENT: Mapping[str, Any] = {
    "gen_ai.operation.name": "invoke_agent",
    "gen_ai.provider.name": "openai",
    "gen_ai.usage.input_tokens": 1000,
    "gen_ai.usage.output_tokens": 100,
}


@pytest.fixture(params=[ALWAYS_ON, ALWAYS_OFF], ids=["sampled", "never sampled"])
def app(request: pytest.FixtureRequest, application: MakeApplication) -> Application:
    sampler: Sampler = request.param
    return application(sampler=sampler)


def scopes(app: Application) -> list[str]:
    return [record.scope for record in app.records]


def test_a_framework_around_our_call_is_not_counted(
    app: Application, openai_client: OpenAI
) -> None:
    instrument(tracer_provider=app.tracer_provider)

    with app.tracer("langchain").start_as_current_span("ChatOpenAI", attributes=CHAT) as span:
        # A span that no sampler but the framework's keeps.
        with app.tracer("app").start_as_current_span("retry"):
            openai_client.chat.completions.create(**QUESTION)
        span.set_attribute("gen_ai.response.id", "run-1")

    assert scopes(app) == ["spanmeter.openai"]
    ids = span.get_span_context()
    assert app.record().span.trace_id == ids.trace_id.to_bytes(16, "big")


def test_what_is_traced_inside_our_call_is_not_counted(
    app: Application, provider: SimulatedProvider
) -> None:
    instrument(tracer_provider=app.tracer_provider)

    def traced(request: object) -> None:
        with app.tracer().start_as_current_span("chat gpt-4o", attributes=CHAT):
            pass

    import httpx2

    with (
        httpx2.Client(event_hooks={"request": [traced]}) as http_client,
        OpenAI(base_url=provider.openai_base_url, api_key="any", http_client=http_client) as client,
    ):
        client.chat.completions.create(**QUESTION)

    assert scopes(app) == ["spanmeter.openai"]


def test_what_tells_of_our_response_beside_our_call_is_not_counted(
    app: Application, openai_client: OpenAI
) -> None:
    instrument(tracer_provider=app.tracer_provider)

    span = app.tracer().start_span("chat gpt-4o", attributes=CHAT)
    client: Any = openai_client
    answer = client.chat.completions.create(**QUESTION)
    span.set_attribute("gen_ai.response.id", answer.id)
    span.end()

    assert scopes(app) == ["spanmeter.openai"]


def test_another_call_beside_ours_is_counted(app: Application, openai_client: OpenAI) -> None:
    instrument(tracer_provider=app.tracer_provider)

    with app.tracer("app").start_as_current_span("work"):
        openai_client.chat.completions.create(**QUESTION)
        app.tracer().start_span("chat gpt-4o", attributes=CHAT).end()

    assert sorted(scopes(app)) == [
        "opentelemetry.instrumentation.openai_v2",
        "spanmeter.openai",
    ]


def test_of_a_framework_and_an_instrumentation_inside_the_inner_is_counted(
    app: Application,
) -> None:
    with (
        app.tracer("langchain").start_as_current_span("ChatOpenAI", attributes=CHAT),
        app.tracer("app").start_as_current_span("retry"),
        app.tracer().start_as_current_span("chat gpt-4o", attributes=CHAT),
    ):
        pass

    assert scopes(app) == ["opentelemetry.instrumentation.openai_v2"]


def test_a_framework_is_counted_where_what_is_inside_has_no_counts(app: Application) -> None:
    bare = {"gen_ai.operation.name": "chat"}
    with (
        app.tracer("langchain").start_as_current_span("ChatOpenAI", attributes=CHAT),
        app.tracer().start_as_current_span("chat gpt-4o", attributes=bare),
    ):
        pass

    assert "langchain" in scopes(app)


def test_an_agent_that_another_service_runs_is_counted_if_nothing_inside_is(
    app: Application,
) -> None:
    agents = app.tracer("bedrock.agents")
    tool = {"gen_ai.operation.name": "execute_tool"}
    with (
        agents.start_as_current_span("invoke_agent", kind=SpanKind.CLIENT, attributes=AGENT),
        agents.start_as_current_span("execute_tool", attributes=tool),
    ):
        pass

    assert said(app.record()).items() >= AGENT.items()


def test_an_agent_is_not_counted_beside_the_calls_inside(app: Application) -> None:
    agents = app.tracer("bedrock.agents")
    with agents.start_as_current_span("invoke_agent", kind=SpanKind.CLIENT, attributes=AGENT):
        app.tracer().start_span("chat gpt-4o", attributes=CHAT).end()

    assert said(app.record())["gen_ai.operation.name"] == "chat"


@pytest.fixture
def traced_anthropic(
    app: Application, provider: SimulatedProvider, monkeypatch: pytest.MonkeyPatch
) -> Generator[Anthropic]:
    """A client with its own tracing on."""
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: app.tracer_provider)
    with Anthropic(base_url=provider.url, api_key="any") as client:
        yield client


def test_a_library_that_traces_itself_is_counted_where_ours_is_switched_off(
    app: Application, traced_anthropic: Anthropic, provider: SimulatedProvider
) -> None:
    with usage(tenant_id="acme"):
        traced_anthropic.messages.create(**ASK)

    [served] = provider.served
    record = app.record()
    assert record.scope == "com.anthropic.sdk.python"
    attributes = said(record)
    assert attributes["gen_ai.usage.input_tokens"] == served.tokens.input
    assert attributes["gen_ai.usage.output_tokens"] == served.tokens.output
    assert attributes["gen_ai.response.id"] == served.response_id
    assert attributes["tenant.id"] == "acme"
    assert b"How did we do?" not in record.span.SerializeToString()


def test_a_library_that_traces_itself_is_counted_once_where_ours_is_on(
    app: Application, traced_anthropic: Anthropic
) -> None:
    AnthropicInstrumentor().instrument(tracer_provider=app.tracer_provider)

    with usage(tenant_id="acme"):
        traced_anthropic.messages.create(**ASK)

    assert scopes(app) == ["spanmeter.anthropic"]
