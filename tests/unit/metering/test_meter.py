"""From a span to its row."""

from datetime import timedelta
from decimal import Decimal

import pytest

from spanmeter.metering.call_cost import REFUSED_RULE
from spanmeter.metering.costing import priced_quantities
from spanmeter.metering.dialects import CALLS
from spanmeter.metering.meter import Meter
from spanmeter.metering.quantities import IN_COLUMNS
from spanmeter.metering.span import AttributeValue
from spanmeter.metering.tokens import Tokens
from spanmeter.metering.usage_event import UsageEvent
from unit.metering.spans import METER, NOW, RATES, RESOURCE, event_of, metered, span

INPUT = "gen_ai.usage.input_tokens"
OUTPUT = "gen_ai.usage.output_tokens"
FULL: dict[str, AttributeValue] = {
    "tenant.id": "acme",
    "workspace.id": "w1",
    "project.id": "p1",
    "user.id": 42,
    "usage.feature": "chat",
    "usage.workflow": "support",
    "usage.action": "report",
    "usage.label": "Report generated",
    "usage.idempotency_key": "r-1",
    "usage.account_type": "trial",
    "usage.dimension.region": "emea",
    "usage.dimension.beta": True,
    "usage.callsite": "app.py:7",
    "usage.region": "eu",
    "usage.service_tier": "default",
    "usage.byok": "true",
    "usage.attempt": 2,
    "usage.source": "provider",
    "usage.raw": '{"prompt_tokens":1000}',
    "usage.cache_write.5m.input_tokens": 100,
    "gen_ai.response.model": "gpt-4o-mini-2024-07-18",
    "gen_ai.response.id": "chatcmpl-1",
    "gen_ai.response.time_to_first_chunk": 0.25,
    "gen_ai.usage.cache_read.input_tokens": 300,
    "gen_ai.usage.cache_write.input_tokens": 100,
    "gen_ai.usage.reasoning.output_tokens": 50,
    "gen_ai.usage.audio.input_tokens": 0,
}


def test_every_attribute_of_ours_finds_its_column() -> None:
    one = span(FULL)
    assert metered(one) == UsageEvent(
        time=NOW,
        trace_id=one.trace_id,
        span_id=one.span_id,
        tenant_id="acme",
        workspace_id="w1",
        project_id="p1",
        user_id="42",
        feature="chat",
        workflow="support",
        action="report",
        label="Report generated",
        idempotency_key="r-1",
        account_type="trial",
        dimensions={"region": "emea", "beta": "true"},
        environment="production",
        service_name="api",
        callsite="app.py:7",
        attributed_by="tenant.id",
        provider="openai",
        operation="chat",
        request_model="gpt-4o-mini",
        response_model="gpt-4o-mini-2024-07-18",
        response_id="chatcmpl-1",
        region="eu",
        service_tier="default",
        byok=True,
        attempt=2,
        duration=timedelta(seconds=2),
        time_to_first_token=timedelta(milliseconds=250),
        input_tokens=1000,
        cache_read_input_tokens=300,
        cache_write_input_tokens=100,
        cache_write_by_ttl={"5m": 100},
        output_tokens=200,
        reasoning_output_tokens=50,
        audio_input_tokens=0,
        usage_source="provider",
        raw_usage='{"prompt_tokens":1000}',
        billable_state="included",
        billable_reason="defaults-1/trial",
        # 300 x 0.075 + 700 x 0.15 + 200 x 0.60: OpenAI charges cache writes of this model as input
        cost=Decimal("0.0002475"),
        rate_version=f"{RATES.version}#openai/gpt-4o-mini",
        cost_quality="exact",
        dialect="opentelemetry",
        scope_name="spanmeter.openai",
        scope_version="0.1.0",
    )


def test_a_bare_call_without_a_tenant_is_booked() -> None:
    event = metered(span(resource={}))
    assert event.tenant_id is None
    assert event.environment is None
    assert event.billable_state == "billable"


def test_the_same_span_always_gives_the_same_event() -> None:
    one, other = span(FULL), Meter(RATES)
    later = NOW + timedelta(days=300)
    assert METER.meter(one, NOW) == METER.meter(one, later) == other.meter(one, NOW)


@pytest.mark.parametrize(
    "operation",
    ["invoke_agent", "create_agent", "execute_tool", "fetch_response", "", None, 7, ["chat"], {}],
)
def test_a_span_that_is_not_one_request_to_a_provider_is_no_event(
    operation: AttributeValue,
) -> None:
    assert METER.meter(span({"gen_ai.operation.name": operation}), NOW) is None


def test_a_span_that_is_not_a_call_is_no_event_however_broken() -> None:
    one = span({"tenant.id": "\0"}, without=("gen_ai.operation.name",))
    assert METER.meter(one._replace(trace_id=b"", start_ns=0), NOW) is None


@pytest.mark.parametrize("operation", sorted(CALLS))
def test_each_kind_of_request_is_metered(operation: str) -> None:
    assert event_of({"gen_ai.operation.name": operation}).operation == operation


def test_all_zeros_mean_that_a_span_has_no_parent() -> None:
    assert metered(span()._replace(parent_span_id=bytes(8))).parent_span_id is None
    assert metered(span()._replace(parent_span_id=bytes(7) + b"\1")).parent_span_id is not None


class TestUnpriced:
    """A cost that is not known is NULL, and never 0."""

    @pytest.mark.parametrize(
        ("provider", "model"),
        [
            ("openai", "no-such-model"),
            ("openai", "ft:gpt-4o-mini:acme::1"),
            # Listed, without any price.
            ("github-copilot", "gpt-4o"),
            ("google", "gemma-3"),
            # Listed with prices for audio only.
            ("groq", "whisper-large-v3"),
        ],
    )
    def test_where_nothing_used_has_a_price(self, provider: str, model: str) -> None:
        event = event_of({"gen_ai.provider.name": provider, "gen_ai.request.model": model})
        assert event.cost is None
        assert event.cost_quality == "unpriced"
        assert event.rate_version is None
        assert event.input_tokens == 1000

    def test_where_only_units_unknown_to_the_list_are_used(self) -> None:
        images: dict[str, AttributeValue] = {"usage.unit": "images", "usage.quantity": 2}
        event = metered(span(images, without=(INPUT, OUTPUT)))
        assert (event.cost, event.cost_quality) == (None, "unpriced")
        assert event.quantities == {"images": Decimal(2)}

    def test_where_cached_audio_is_not_told_apart(self) -> None:
        event = event_of(
            {
                "gen_ai.request.model": "gpt-4o-realtime-preview",
                "gen_ai.usage.audio.input_tokens": 900,
                "gen_ai.usage.cache_read.input_tokens": 50,
            }
        )
        assert (event.cost, event.cost_quality) == (None, "unpriced")

    @pytest.mark.parametrize("code", [None, 200, 408, 504, 524, 600, 10**20, "unknown", [429]])
    def test_where_a_call_failed_and_the_provider_may_have_served_it(
        self, code: AttributeValue
    ) -> None:
        attributes: dict[str, AttributeValue] = {
            "error.type": "APIError",
            "http.response.status_code": code,
        }
        event = metered(span(attributes, without=(INPUT, OUTPUT), failed=True))
        assert (event.cost, event.cost_quality, event.usage_source) == (None, "unpriced", "none")

    def test_where_a_call_timed_out_without_counts(self) -> None:
        attributes: dict[str, AttributeValue] = {
            "error.type": "timeout",
            "http.response.status_code": 400,
        }
        assert metered(span(attributes, without=(INPUT, OUTPUT))).cost is None


@pytest.mark.parametrize("code", [400, 401, 404, 500, 503, 529, "429"])
def test_a_refused_request_costs_nothing_by_a_rule_that_is_named(code: AttributeValue) -> None:
    attributes: dict[str, AttributeValue] = {
        "error.type": "RateLimitError",
        "http.response.status_code": code,
    }
    event = metered(span(attributes, without=(INPUT, OUTPUT), failed=True))
    assert event.cost == 0
    assert (event.cost_quality, event.rate_version) == ("exact", REFUSED_RULE)
    assert event.billable_state == "ignored"


def test_a_failed_call_that_used_tokens_costs_what_they_cost() -> None:
    event = event_of({"error.type": "APIError", "http.response.status_code": 500})
    assert event.cost == Decimal("0.00027")
    assert event.billable_reason == "defaults-1/failed"


def test_tokens_reported_as_0_are_0_and_cost_0() -> None:
    event = event_of({INPUT: 0, OUTPUT: 0})
    assert (event.input_tokens, event.cost, event.cost_quality) == (0, Decimal(0), "exact")


def test_the_model_that_answered_is_priced_before_the_one_that_was_asked_for() -> None:
    """1000 x 2.50 + 200 x 10."""
    event = event_of({"gen_ai.response.model": "gpt-4o-2024-08-06"})
    assert (event.cost, event.cost_quality) == (Decimal("0.0045"), "exact")


def test_the_model_that_was_asked_for_stands_in_for_an_unknown_one_and_is_marked() -> None:
    event = event_of({"gen_ai.response.model": "mystery-7b"})
    assert (event.cost, event.cost_quality) == (Decimal("0.00027"), "fallback")
    assert event.rate_version == f"{RATES.version}#openai/gpt-4o-mini"


def test_cached_audio_is_on_the_row_so_that_its_cost_can_be_computed_again() -> None:
    event = event_of(
        {
            "gen_ai.request.model": "gpt-4o-realtime-preview",
            "gen_ai.usage.audio.input_tokens": 500,
            "gen_ai.usage.cache_read.input_tokens": 50,
            "gen_ai.usage.audio.cache_read.input_tokens": 50,
        }
    )
    assert event.quantities == {"cache_audio_read_tokens": Decimal(50)}
    # 450 x 40 + 50 x 2.50 + 500 x 5 + 200 x 20
    assert event.cost == Decimal("0.024625")


def test_a_unit_that_has_a_column_cannot_be_declared_beside_it() -> None:
    counts = Tokens(1, 1, 1, {"5m": 1, "1h": 1}, 1, 1, 1, 1, 1, 1)
    assert set(priced_quantities(counts, {})) == IN_COLUMNS | {"requests"}


def test_cache_writes_by_time_to_live_make_the_sum_where_none_is_given() -> None:
    event = event_of(
        {"usage.cache_write.5m.input_tokens": 30, "usage.cache_write.24h.input_tokens": 12}
    )
    assert event.cache_write_input_tokens == 42
    assert event.cache_write_by_ttl == {"5m": 30, "24h": 12}


def test_a_name_that_only_resembles_a_time_to_live_is_no_count() -> None:
    attributes = {"usage.cache_write.input_tokens": 7, "usage.cache_write.5m.tokens": 7}
    assert event_of(attributes).cache_write_by_ttl == {}


@pytest.mark.parametrize("source", ["provider", "tokenizer", "estimate"])
def test_an_estimate_never_passes_for_the_providers_count(source: str) -> None:
    assert event_of({"usage.source": source}).usage_source == source


@pytest.mark.parametrize(
    ("error_type", "failed", "status"),
    [
        (None, False, "ok"),
        (None, True, "error"),
        ("", True, "error"),
        ("", False, "ok"),
        ("RateLimitError", False, "error"),
        (429, False, "error"),
        ("timeout", True, "timeout"),
        ("openai.APITimeoutError", True, "timeout"),
        ("httpx.ReadTimeout", True, "timeout"),
        ("DEADLINE_EXCEEDED", True, "timeout"),
        ("cancelled", True, "cancelled"),
        ("asyncio.exceptions.CancelledError", True, "cancelled"),
        ("Canceled", True, "cancelled"),
    ],
)
def test_the_status_follows_from_the_error(
    error_type: AttributeValue,
    failed: bool,  # noqa: FBT001
    status: str,
) -> None:
    one = span({"error.type": error_type}, failed=failed)
    assert metered(one).status == status


@pytest.mark.parametrize(
    ("value", "cleaned"),
    [
        ("a\0b", "a�b"),
        ("x" * 5000, "x" * 1024),
        ("half \ud800", "half ?"),
        ([1, 2], "a list"),
        pytest.param(10**5000, "a int", id="huge"),
        (429, "429"),
    ],
)
def test_text_that_only_describes_is_mended_and_refuses_nothing(
    value: AttributeValue, cleaned: str
) -> None:
    event = metered(
        span({"error.type": value, "usage.callsite": value})._replace(
            scope_name="a\0\ud800", scope_version="1\0"
        )
    )
    assert (event.error_type, event.callsite) == (cleaned, cleaned)
    assert (event.scope_name, event.scope_version) == ("a�?", "1�")


@pytest.mark.parametrize("seconds", [-1, float("nan"), float("inf"), True, "0.3", 10**20, [1]])
def test_a_time_to_first_token_that_is_none_is_left_out(seconds: AttributeValue) -> None:
    assert event_of({"gen_ai.response.time_to_first_chunk": seconds}).time_to_first_token is None


def test_the_environment_and_service_come_from_the_resource() -> None:
    event = event_of({"service.name": "spoofed", "deployment.environment.name": "dev"})
    assert (event.service_name, event.environment) == ("api", "production")
    event = metered(span(resource={**RESOURCE, "deployment.environment.name": "Staging"}))
    assert (event.billable_state, event.billable_reason) == ("ignored", "defaults-1/environment")


def test_the_environment_by_its_older_name_where_the_newer_is_absent() -> None:
    newer = metered(span(resource={**RESOURCE, "deployment.environment": "staging"}))
    older = metered(span(resource={"deployment.environment": "staging"}))
    assert (newer.environment, older.environment) == ("production", "staging")
