"""How each dialect counts, on spans as its libraries sent them. Those that install send their own in
`tests/integration/dialects`; here are older versions too.
"""

import pytest

from unit.metering.foreign import ANTHROPIC, CACHED, OPERATION, Attributes, event

CONVERSED: Attributes = {**OPERATION, **CACHED, "gen_ai.system": "aws.bedrock"}
BOTOCORE = "opentelemetry.instrumentation.botocore.bedrock-runtime"


class TestCounts:
    """Input with the cache, output with reasoning, whatever the emitter's habit."""

    @pytest.mark.parametrize(
        ("scope", "further"),
        [
            ("openlit.instrumentation.anthropic", ANTHROPIC),
            ("opentelemetry.instrumentation.bedrock", {"gen_ai.system": "bedrock"}),
            (
                "opentelemetry.instrumentation.botocore.bedrock-runtime",
                {"gen_ai.system": "aws.bedrock"},
            ),
            ("@opentelemetry/instrumentation-aws-sdk", {"gen_ai.system": "aws.bedrock"}),
            ("strands.telemetry.tracer", {"gen_ai.system": "strands-agents"}),
        ],
    )
    def test_the_cache_is_added_where_it_is_left_out(self, scope: str, further: Attributes) -> None:
        model = {"gen_ai.request.model": "us.anthropic.claude-haiku-4-5-20251001-v1:0"}
        booked = event(scope, OPERATION, model, further, CACHED)
        assert (booked.input_tokens, booked.output_tokens) == (160, 7)
        assert (booked.cache_read_input_tokens, booked.cache_write_input_tokens) == (100, 50)

    @pytest.mark.parametrize(
        "scope",
        [
            "opentelemetry.instrumentation.anthropic",
            "opentelemetry.instrumentation.genai.anthropic",
            "com.anthropic.sdk.python",
            "litellm",
            "pydantic-ai",
            "logfire.anthropic",
            "an.app.of.its.own",
        ],
    )
    def test_the_cache_is_not_added_again(self, scope: str) -> None:
        whole = {**CACHED, "gen_ai.usage.input_tokens": 160}
        assert event(scope, OPERATION, ANTHROPIC, whole).input_tokens == 160

    @pytest.mark.parametrize(("version", "prompt"), [("0.1.59", 10), ("0.1.60", 160), ("", 160)])
    def test_openinference_counts_converse_otherwise_since_0_1_60(
        self, version: str, prompt: int
    ) -> None:
        attributes: Attributes = {
            "openinference.span.kind": "LLM",
            "llm.provider": "aws",
            "llm.model_name": "us.anthropic.claude-haiku-4-5-20251001-v1:0",
            "llm.token_count.prompt": prompt,
            "llm.token_count.completion": 7,
            "llm.token_count.total": 167,
            "llm.token_count.prompt_details.cache_read": 100,
            "llm.token_count.prompt_details.cache_write": 50,
        }
        booked = event("openinference.instrumentation.bedrock", attributes, version=version)
        assert (booked.provider, booked.input_tokens) == ("aws.bedrock", 160)

    def test_gemini_thoughts_that_are_left_out_are_found_in_the_total(self) -> None:
        attributes: Attributes = {
            "gen_ai.operation.name": "generate_content",
            "gen_ai.provider.name": "gcp.gen_ai",
            "gen_ai.request.model": "gemini-2.5-flash",
            "gen_ai.usage.input_tokens": 10,
            "gen_ai.usage.output_tokens": 7,
            "gen_ai.usage.total_tokens": 20,
        }
        booked = event("opentelemetry.instrumentation.google_generativeai", attributes)
        assert (booked.output_tokens, booked.reasoning_output_tokens) == (10, 3)
        stated = {**attributes, "gen_ai.usage.reasoning_tokens": 2}
        booked = event("opentelemetry.instrumentation.google_generativeai", stated)
        assert (booked.output_tokens, booked.reasoning_output_tokens) == (9, 2)

    def test_anthropics_compactions_are_beside_its_totals(self) -> None:
        compaction = {
            "anthropic.usage.compaction.input_tokens": 1000,
            "anthropic.usage.compaction.output_tokens": 30,
        }
        whole = {**CACHED, "gen_ai.usage.input_tokens": 160}
        booked = event("com.anthropic.sdk.typescript", OPERATION, ANTHROPIC, whole, compaction)
        assert (booked.input_tokens, booked.output_tokens) == (1160, 37)

    def test_anthropics_own_attributes_tell_cache_writes_by_time_to_live(self) -> None:
        by_ttl = {
            "anthropic.usage.cache_creation.ephemeral_5m_input_tokens": 20,
            "anthropic.usage.cache_creation.ephemeral_1h_input_tokens": 30,
        }
        whole = {**CACHED, "gen_ai.usage.input_tokens": 160}
        booked = event("com.anthropic.sdk.python", OPERATION, ANTHROPIC, whole, by_ttl)
        assert booked.cache_write_by_ttl == {"5m": 20, "1h": 30}

    @pytest.mark.parametrize(
        ("usage", "whole", "read", "output"),
        [
            ('{"input": 10, "output": 5, "cache_read_input_tokens": 100}', 110, 100, 5),
            ('{"input": 10, "output": 5, "output_reasoning": 2}', 10, None, 7),
            ('{"input_tokens": 10, "output_tokens": 5, "cache_read_input_tokens": 3}', 13, 3, 5),
            ('{"prompt_tokens": 10, "completion_tokens": 5}', 10, None, 5),
        ],
    )
    def test_langfuse_passes_on_whatever_it_was_told(
        self, usage: str, whole: int, read: int | None, output: int
    ) -> None:
        attributes = {
            "langfuse.observation.type": "generation",
            "langfuse.observation.model.name": "claude-haiku-4-5",
            "langfuse.observation.usage_details": usage,
        }
        booked = event("langfuse-sdk", attributes)
        counts = (booked.input_tokens, booked.cache_read_input_tokens, booked.output_tokens)
        assert counts == (whole, read, output)

    def test_names_that_are_no_longer_in_use_are_read(self) -> None:
        attributes: Attributes = {
            "llm.request.type": "completion",
            "gen_ai.system": "OpenAI",
            "gen_ai.request.model": "gpt-4o-mini",
            "gen_ai.usage.prompt_tokens": 10,
            "gen_ai.usage.completion_tokens": 5,
            "llm.usage.total_tokens": 15,
        }
        booked = event("@traceloop/instrumentation-openai", attributes)
        assert (booked.provider, booked.operation) == ("openai", "text_completion")
        assert (booked.input_tokens, booked.output_tokens) == (10, 5)

    def test_vercels_first_token_comes_in_milliseconds(self) -> None:
        attributes: Attributes = {
            "ai.operationId": "ai.streamText.doStream",
            "ai.model.provider": "google.vertex.chat",
            "ai.model.id": "gemini-2.5-flash",
            "ai.usage.inputTokens": 10,
            "ai.response.msToFirstChunk": 250,
        }
        booked = event("ai", attributes)
        assert booked.provider == "gcp.vertex_ai"
        assert booked.time_to_first_token is not None
        assert booked.time_to_first_token.total_seconds() == 0.25

    @pytest.mark.parametrize("scope", ["litellm", "openlit.instrumentation.openai", "my.app"])
    def test_a_call_that_used_nothing_is_one_whose_usage_is_unknown(self, scope: str) -> None:
        model = {"gen_ai.system": "openai", "gen_ai.request.model": "gpt-4o-mini"}
        nothing = {"gen_ai.usage.input_tokens": 0, "gen_ai.usage.output_tokens": 0}
        booked = event(scope, OPERATION, model, nothing)
        assert (booked.input_tokens, booked.usage_source, booked.cost) == (None, "none", None)


class TestEstimates:
    """Numbers of the emitter's own never pass for the provider's."""

    @pytest.mark.parametrize(
        ("model", "method", "source"),
        [
            ("cohere.command-r-v1:0", "InvokeModel", "estimate"),
            ("mistral.mistral-7b-instruct-v0:2", "InvokeModelWithResponseStream", "estimate"),
            ("us.anthropic.claude-haiku-4-5-20251001-v1:0", "InvokeModel", "estimate"),
            ("us.anthropic.claude-haiku-4-5-20251001-v1:0", "Converse", "provider"),
            ("cohere.command-r-v1:0", "Converse", "provider"),
            ("amazon.nova-lite-v1:0", "InvokeModel", "provider"),
        ],
    )
    def test_botocores(self, model: str, method: str, source: str) -> None:
        called = {"gen_ai.request.model": model, "rpc.method": method}
        assert event(BOTOCORE, CONVERSED, called).usage_source == source

    def test_what_an_emitter_says_of_it_itself_stands(self) -> None:
        called = {
            "gen_ai.request.model": "cohere.command-r-v1:0",
            "rpc.method": "InvokeModel",
            "usage.source": "tokenizer",
        }
        assert event(BOTOCORE, CONVERSED, called).usage_source == "tokenizer"
