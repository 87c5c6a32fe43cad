"""Each span of another's that tells of a call is one record, whatever the application's sampler says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from opentelemetry.context import Context
from opentelemetry.sdk.trace import SpanLimits
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, ParentBased, Sampler
from opentelemetry.trace import SpanKind, Status, StatusCode, format_span_id, format_trace_id

from spanmeter.instrumentation import usage
from spanmeter.instrumentation.harvest import attaching
from spanmeter.instrumentation.harvest.attaching import HARVEST, harvest, stop_harvest
from unit.instrumentation.harvest.application import CHAT, said
from unit.instrumentation.harvest.conftest import MakeApplication

SECRET = "what nobody may read"

# The scope of an instrumentation, the name of its span, what it says at first, and what later.
DIALECTS: Mapping[str, tuple[str, str, Mapping[str, Any], Mapping[str, Any]]] = {
    "opentelemetry": (
        "opentelemetry.instrumentation.openai_v2",
        "chat gpt-4o",
        {"gen_ai.operation.name": "chat", "gen_ai.input.messages": SECRET},
        {**CHAT, "gen_ai.output.messages": SECRET, "gen_ai.response.finish_reasons": ["stop"]},
    ),
    # Its tracer sets every attribute after the span has begun.
    "openinference": (
        "openinference.instrumentation.openai",
        "ChatCompletion",
        {},
        {
            "openinference.span.kind": "LLM",
            "llm.model_name": "gpt-4o",
            "llm.provider": "openai",
            "llm.token_count.prompt": 1000,
            "llm.token_count.completion": 100,
            "llm.input_messages.0.message.content": SECRET,
            "input.value": SECRET,
            "output.value": SECRET,
        },
    ),
    "openllmetry": (
        "opentelemetry.instrumentation.anthropic",
        "anthropic.chat",
        {"llm.request.type": "chat"},
        {
            "gen_ai.system": "anthropic",
            "gen_ai.usage.prompt_tokens": 1000,
            "gen_ai.usage.completion_tokens": 100,
            "gen_ai.prompt.0.content": SECRET,
            "gen_ai.completion.0.content": SECRET,
            "traceloop.association.properties.tenant_id": "acme",
        },
    ),
    "langfuse": (
        "langfuse-sdk",
        "OpenAI-generation",
        {"langfuse.observation.type": "generation", "langfuse.observation.input": SECRET},
        {
            "langfuse.observation.model.name": "gpt-4o",
            "langfuse.observation.usage_details": '{"input": 1000, "output": 100}',
            "langfuse.observation.output": SECRET,
        },
    ),
    "the application itself": ("app", "chat gpt-4o", {}, CHAT),
}
SAMPLERS = {
    "sampled": ALWAYS_ON,
    "never sampled": ALWAYS_OFF,
    "sampled as its parent": ParentBased(ALWAYS_OFF),
}


@pytest.mark.parametrize("sampler", SAMPLERS.values(), ids=SAMPLERS)
@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=DIALECTS)
def test_is_one_record_with_its_own_ids_times_and_scope(
    application: MakeApplication,
    dialect: tuple[str, str, Mapping[str, Any], Mapping[str, Any]],
    sampler: Sampler,
) -> None:
    app = application(sampler=sampler)
    scope, name, first, later = dialect

    with (
        app.tracer("app").start_as_current_span("work") as work,
        app.tracer(scope).start_as_current_span(
            name, kind=SpanKind.CLIENT, attributes=first
        ) as made,
    ):
        made.set_attributes(later)
    ids = made.get_span_context()

    record = app.record()
    assert record.scope == scope
    assert record.span.name == name
    assert record.span.kind == 3
    assert record.span.trace_id.hex() == format_trace_id(ids.trace_id)
    assert record.span.span_id.hex() == format_span_id(ids.span_id)
    assert record.span.parent_span_id.hex() == format_span_id(work.get_span_context().span_id)
    assert record.span.start_time_unix_nano == made.start_time  # type: ignore[attr-defined]
    assert record.span.end_time_unix_nano == made.end_time  # type: ignore[attr-defined]
    whole = {**first, **later}
    told = {k: v for k, v in whole.items() if v != SECRET and not isinstance(v, list)}
    assert said(record).items() >= told.items()
    assert SECRET.encode() not in record.span.SerializeToString()
    assert len(app.exported) == (2 if sampler is ALWAYS_ON else 0)


def test_of_an_unsampled_trace_nothing_is_told_to_anyone_else(application: MakeApplication) -> None:
    app = application(sampler=ALWAYS_OFF)

    with app.tracer().start_as_current_span("chat gpt-4o", attributes=CHAT) as span:
        assert span.is_recording()
        assert not span.get_span_context().trace_flags.sampled
    with app.tracer("app").start_as_current_span("work") as other:
        assert not other.is_recording()


def test_one_that_failed_says_so(application: MakeApplication) -> None:
    app = application()

    with app.tracer().start_as_current_span("chat", attributes={**CHAT, "error.type": "X"}) as span:
        span.set_status(Status(StatusCode.ERROR, SECRET))

    assert app.record().span.status.code == 2
    assert app.record().span.status.message == ""


@pytest.mark.parametrize(
    ("kind", "attributes"),
    [
        (SpanKind.INTERNAL, {"gen_ai.operation.name": "invoke_agent"}),
        (SpanKind.CLIENT, {"gen_ai.operation.name": "execute_tool"}),
        (SpanKind.CLIENT, {"gen_ai.operation.name": "fetch_response"}),
        (SpanKind.INTERNAL, {"openinference.span.kind": "CHAIN"}),
        (SpanKind.INTERNAL, {"openinference.span.kind": "AGENT"}),
        (SpanKind.INTERNAL, {"langfuse.observation.type": "span"}),
        (SpanKind.INTERNAL, {"traceloop.span.kind": "workflow"}),
        (SpanKind.CLIENT, {"llm.request.type": "unknown"}),
        (SpanKind.CLIENT, {"gen_ai.request.model": "gpt-4o"}),
        (SpanKind.CLIENT, {"http.request.method": "POST"}),
    ],
    ids=str,
)
def test_that_tells_of_no_call_is_no_record(
    application: MakeApplication, kind: SpanKind, attributes: Mapping[str, str]
) -> None:
    app = application()

    with app.tracer().start_as_current_span("span", kind=kind, attributes=attributes):
        pass

    assert app.records == []


def test_with_too_many_attributes_for_the_application_is_a_whole_record(
    application: MakeApplication,
) -> None:
    limits = SpanLimits(max_span_attributes=3, max_span_attribute_length=4)
    app = application(limits=limits)

    with (
        usage(tenant_id="acme-incorporated", feature="search"),
        app.tracer().start_as_current_span("chat gpt-4o", attributes=CHAT) as span,
    ):
        span.set_attribute("gen_ai.response.id", "chatcmpl-BsR7")
        span.set_attributes({"gen_ai.usage.output_tokens": 101, "http.response.status_code": 200})

    wanted = {
        **CHAT,
        "gen_ai.response.id": "chatcmpl-BsR7",
        "gen_ai.usage.output_tokens": 101,
        "http.response.status_code": 200,
        "tenant.id": "acme-incorporated",
        "usage.feature": "search",
    }
    assert said(app.record()) == wanted
    assert app.record().span.dropped_attributes_count == 0
    [exported] = app.exported
    assert len(exported.attributes or {}) == 3


def test_that_was_begun_before_says_what_it_has_lost(application: MakeApplication) -> None:
    app = application(harvested=False, limits=SpanLimits(max_span_attributes=2))

    with app.tracer().start_as_current_span("chat gpt-4o", attributes=CHAT) as span:
        harvest(app.tracer_provider)
        span.set_attribute("gen_ai.operation.name", "chat")

    assert app.record().span.dropped_attributes_count == 5


@pytest.mark.parametrize("older_sdk", [False, True])
def test_of_a_tracer_that_was_made_before_is_a_record_too(
    application: MakeApplication,
    older_sdk: bool,  # noqa: FBT001 (parametrized)
) -> None:
    app = application(harvested=False, sampler=ALWAYS_OFF)
    tracer = app.tracer()
    if older_sdk:
        # Which kept no account of its tracers.
        del app.tracer_provider._tracers  # pyright: ignore[reportPrivateUsage]
    harvest(app.tracer_provider)

    tracer.start_span("chat gpt-4o", attributes=CHAT).end()

    assert app.record().scope == "opentelemetry.instrumentation.openai_v2"


def test_is_for_whoever_is_served_where_it_begins(application: MakeApplication) -> None:
    app = application(sampler=ALWAYS_OFF)

    with usage(tenant_id="acme", feature="search"):
        span = app.tracer().start_span("chat gpt-4o", attributes=CHAT)
    with usage(tenant_id="globex"):
        span.end()

    assert said(app.record()) == {**CHAT, "tenant.id": "acme", "usage.feature": "search"}


def test_is_for_whoever_its_own_context_names(application: MakeApplication) -> None:
    app = application()

    with usage(tenant_id="acme"):
        app.tracer().start_span("chat gpt-4o", context=Context(), attributes=CHAT).end()

    assert "tenant.id" not in said(app.record())


def test_that_names_its_tenant_is_believed(application: MakeApplication) -> None:
    app = application()
    own = {**CHAT, "tenant.id": "initech"}

    with usage(tenant_id="acme", feature="search"):
        app.tracer().start_span("chat gpt-4o", attributes=own).end()

    assert said(app.record()) == {**own, "usage.feature": "search"}
    assert dict(app.exported[0].attributes or {}) == {**own, "usage.feature": "search"}


def test_that_is_nobodys_says_where_it_was_made(application: MakeApplication) -> None:
    app = application()

    app.tracer().start_span("chat gpt-4o", attributes=CHAT).end()

    assert "test_spans_of_others.py:" in said(app.record())["usage.callsite"]
    assert "usage.callsite" not in (app.exported[0].attributes or {})


def test_is_let_be_where_harvesting_is_off(
    application: MakeApplication, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(HARVEST, "off")
    app = application(sampler=ALWAYS_OFF)

    with app.tracer().start_as_current_span("chat gpt-4o", attributes=CHAT) as span:
        assert not span.is_recording()

    assert app.records == []


def test_is_let_be_until_harvesting_is_on_again(application: MakeApplication) -> None:
    app = application(sampler=ALWAYS_OFF)
    tracer = app.tracer()

    stop_harvest()
    tracer.start_span("chat gpt-4o", attributes=CHAT).end()
    harvest(app.tracer_provider)
    tracer.start_span("chat gpt-4o", attributes={**CHAT, "gen_ai.response.id": "second"}).end()

    assert said(app.record())["gen_ai.response.id"] == "second"


def test_says_whose_it_is_where_the_applications_exporter_carries_it(
    application: MakeApplication, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = application(harvested=False)
    monkeypatch.setattr(attaching, "shared", lambda: None)
    harvest(app.tracer_provider)

    with usage(tenant_id="acme"):
        app.tracer().start_span("chat gpt-4o", attributes=CHAT).end()
        app.tracer("app").start_span("work").end()

    call, work = app.exported
    assert dict(call.attributes or {}) == {**CHAT, "tenant.id": "acme"}
    assert dict(work.attributes or {}) == {}
    assert app.records == []
