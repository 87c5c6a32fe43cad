"""Which spans of other libraries are calls to a provider, and whose."""

from decimal import Decimal

import pytest

from spanmeter.metering import attributes as names
from spanmeter.metering.dialects import CALLS, DIALECTS, TELLTALES, is_tracing_copy
from spanmeter.metering.unmeterable import Unmeterable
from unit.metering.foreign import ANTHROPIC, OPERATION, USAGE, Attributes, event, sent
from unit.metering.spans import METER, NOW

RUN: Attributes = {**USAGE, "gen_ai.operation.name": "invoke_agent"}


class TestNoCalls:
    """Spans whose usage is that of others, which have spans of their own."""

    @pytest.mark.parametrize(
        "operation",
        ["invoke_workflow", "create_agent", "plan", "execute_tool", "fetch_response", "agent_step"],
    )
    @pytest.mark.parametrize(
        "scope", ["gen_ai", "pydantic-ai", "strands.telemetry.tracer", "my.app", "litellm"]
    )
    def test_of_genai_names(self, scope: str, operation: str) -> None:
        told = {"gen_ai.operation.name": operation}
        assert METER.meter(sent(scope, USAGE, told), NOW) is None

    @pytest.mark.parametrize(
        "kind", ["AGENT", "CHAIN", "TOOL", "RETRIEVER", "GUARDRAIL", "EVALUATOR"]
    )
    def test_of_openinference(self, kind: str) -> None:
        counts: Attributes = {"llm.token_count.prompt": 10, "llm.model_name": "gpt-4o-mini"}
        told = {"openinference.span.kind": kind}
        assert METER.meter(sent("openinference.instrumentation.crewai", counts, told), NOW) is None

    def test_of_openinference_that_ask_for_no_inference(self) -> None:
        """It has a span for every request to OpenAI, the list of the models among them."""
        told = {"openinference.span.kind": "LLM", "llm.system": "openai"}
        assert METER.meter(sent("openinference.instrumentation.openai", told), NOW) is None

    @pytest.mark.parametrize("kind", ["workflow", "task", "agent", "tool"])
    def test_of_openllmetry(self, kind: str) -> None:
        told = {"traceloop.span.kind": kind}
        assert METER.meter(sent("traceloop.tracer", USAGE, told), NOW) is None

    @pytest.mark.parametrize(
        "operation",
        ["generateText", "streamText", "generateObject", "embed", "embedMany", "toolCall"],
    )
    def test_of_vercel(self, operation: str) -> None:
        told: Attributes = {"ai.operationId": f"ai.{operation}", "ai.usage.inputTokens": 10}
        assert METER.meter(sent("ai", USAGE, told), NOW) is None

    @pytest.mark.parametrize("kind", ["span", "event", "agent", "tool", "chain", "retriever"])
    def test_of_langfuse(self, kind: str) -> None:
        told = {"langfuse.observation.type": kind}
        assert METER.meter(sent("langfuse-sdk", USAGE, told), NOW) is None

    def test_in_the_first_vocabulary_that_tells(self) -> None:
        told = {"openinference.span.kind": "CHAIN"}
        assert METER.meter(sent("my.app", OPERATION, USAGE, told), NOW) is None

    def test_the_beginning_of_a_stream_that_logfire_tells_of_at_its_end(self) -> None:
        began = {**OPERATION, "gen_ai.system": "openai", "gen_ai.request.model": "gpt-4o-mini"}
        told = {"logfire.span_type": "span"}
        assert METER.meter(sent("logfire.openai", began, told), NOW) is None
        failed = sent("logfire.openai", began, told)._replace(failed=True)
        assert METER.meter(failed, NOW) is not None
        ended = {**USAGE, "logfire.span_type": "log"}
        assert event("logfire.openai", OPERATION, ended).input_tokens == 10

    def test_the_tracing_of_a_call_that_is_metered(self) -> None:
        copy = sent(names.TRACING_SCOPE_PREFIX + "openai", OPERATION, USAGE)
        assert is_tracing_copy(copy)
        assert METER.meter(copy, NOW) is None
        assert not is_tracing_copy(sent(names.SCOPE_PREFIX + "openai"))


class TestHostedAgents:
    """An agent that somebody else runs may have no span inside: it is a call, of an operation of its own."""

    def test_a_clients_span_with_counts_is_booked_as_such(self) -> None:
        booked = event("my.app", RUN)
        assert (booked.operation, booked.input_tokens) == (names.INVOKE_AGENT, 10)
        assert booked.cost == Decimal("0.0000045")

    def test_without_counts_or_inside_the_process_it_is_none(self) -> None:
        without = {"gen_ai.operation.name": "invoke_agent", "gen_ai.provider.name": "openai"}
        assert METER.meter(sent("my.app", without), NOW) is None
        assert METER.meter(sent("my.app", RUN, kind=1), NOW) is None
        nobodys = {name: value for name, value in RUN.items() if "provider" not in name}
        assert METER.meter(sent("my.app", nobodys), NOW) is None
        assert METER.meter(sent("spanmeter.openai", RUN), NOW) is None


class TestProviders:
    def test_one_that_nobody_names_is_told_by_the_model_and_marked(self) -> None:
        attributes: Attributes = {
            "langfuse.observation.type": "generation",
            "langfuse.observation.model.name": "gpt-4o-mini",
            "langfuse.observation.usage_details": {"input": 1000, "output": 200},
        }
        booked = event("langfuse-sdk", attributes)
        assert (booked.provider, booked.cost_quality) == ("openai", "fallback")
        assert booked.cost == Decimal("0.00027")
        unheard_of = {**attributes, "langfuse.observation.model.name": "our-own-7b"}
        booked = event("langfuse-sdk", unheard_of)
        assert (booked.provider, booked.cost, booked.cost_quality) == ("unknown", None, "unpriced")

    def test_genai_spans_must_name_theirs(self) -> None:
        told: Attributes = {"gen_ai.request.model": "gpt-4o-mini", "gen_ai.usage.input_tokens": 10}
        with pytest.raises(Unmeterable, match="no_provider"):
            METER.meter(sent("my.app", OPERATION, told), NOW)

    @pytest.mark.parametrize(
        ("model", "priced"),
        [("openai/gpt-4o-mini", "gpt-4o-mini"), ("meta/gpt-4o-mini", "meta/gpt-4o-mini")],
    )
    def test_a_gateways_prefix_is_the_providers_or_the_models_own(
        self, model: str, priced: str
    ) -> None:
        told = {"gen_ai.system": "openai", "gen_ai.request.model": model}
        assert event("litellm", OPERATION, USAGE, told).request_model == priced

    def test_ids_that_litellm_makes_up_are_not_the_providers(self) -> None:
        told = {**ANTHROPIC, "gen_ai.response.id": "chatcmpl-585493e1-5bca-4bce-8ff0-8793eb98c334"}
        assert event("litellm", OPERATION, told).response_id is None
        told["gen_ai.response.id"] = "chatcmpl-kCaq6XYIwAzD3kSlPgGEbKfg0QrjY"
        assert event("litellm", OPERATION, told).response_id == told["gen_ai.response.id"]


def test_counts_that_an_sdk_had_no_room_for_are_not_counts_of_nothing() -> None:
    told = {"gen_ai.system": "openai", "gen_ai.request.model": "gpt-4o-mini"}
    full = sent("opentelemetry.instrumentation.openai.v1", OPERATION, told)
    with pytest.raises(Unmeterable, match=r"dropped_attributes: .* left out 3 of its attributes"):
        METER.meter(full._replace(dropped_attributes=3), NOW)
    counted = sent("opentelemetry.instrumentation.openai.v1", OPERATION, USAGE, told)
    assert METER.meter(counted._replace(dropped_attributes=3), NOW) is not None
    workflow = sent("traceloop.tracer", {"traceloop.span.kind": "workflow"})
    assert METER.meter(workflow._replace(dropped_attributes=3), NOW) is None


def test_the_tables_speak_of_operations_that_there_are() -> None:
    for dialect in DIALECTS:
        assert set(dialect.calls.values()) <= CALLS.keys(), dialect.name
        assert TELLTALES.issuperset(dialect.operation)


def test_no_two_dialects_claim_one_scope() -> None:
    scopes = [scope for dialect in DIALECTS for scope in dialect.scopes]
    assert len(scopes) == len(set(scopes))
