"""Usage that is not counted in tokens alone: what of it is priced, and what is told to be not."""

from decimal import Decimal

import pytest

from spanmeter.metering.call_cost import FREE_RULE, REFUSED_RULE
from spanmeter.metering.dialects import CALLS
from spanmeter.metering.span import AttributeValue
from spanmeter.metering.usage_event import UsageEvent
from unit.metering.spans import RATES, metered, span

Attributes = dict[str, AttributeValue]

INPUT = "gen_ai.usage.input_tokens"
OUTPUT = "gen_ai.usage.output_tokens"


def event(
    operation: str,
    provider: str | None,
    model: str | None,
    *,
    tokens: tuple[int, int] | None = None,
    further: Attributes | None = None,
    **units: int | float | str,
) -> UsageEvent:
    """The event of a call with these amounts, by unit."""
    given: Attributes = {
        "gen_ai.operation.name": operation,
        "gen_ai.provider.name": provider,
        "gen_ai.request.model": model,
        **{f"usage.quantity.{unit}": amount for unit, amount in units.items()},
        **(further or {}),
    }
    if tokens is not None:
        given |= {INPUT: tokens[0], OUTPUT: tokens[1]}
    return metered(span(given, without=(INPUT, OUTPUT) if tokens is None else ()))


@pytest.mark.parametrize(
    ("booked", "cost"),
    [
        pytest.param(
            event("chat", "anthropic", "claude-sonnet-4-5", tokens=(1000, 200), web_searches=3),
            # 1000 x 3 + 200 x 15 a million, 3 x 10 a thousand
            "0.036",
            id="searches beside tokens",
        ),
        pytest.param(
            event("ocr", "mistral_ai", "mistral-ocr-latest", input_document_pages=7),
            # 7 x 4 a thousand
            "0.028",
            id="pages",
        ),
        pytest.param(
            event("speech", "openai", "tts-1", input_characters=1200),
            # 1200 x 15 a million
            "0.018",
            id="characters",
        ),
        pytest.param(
            event("transcription", "openai", "whisper-1", audio_seconds=90.0),
            # 1.5 minutes at 0.006
            "0.009",
            id="seconds of audio",
        ),
        pytest.param(
            event(
                "image_generation",
                "openai",
                "gpt-image-1",
                tokens=(50, 544),
                further={
                    "gen_ai.usage.image.output_tokens": 544,
                    "usage.quantity.images.1024x1024.low": 2,
                },
                images=2,
            ),
            # 50 x 5 + 544 x 40 a million: pictures that are told in tokens are paid in tokens
            "0.02201",
            id="images in tokens",
        ),
        pytest.param(
            event("chat", "anthropic", "claude-sonnet-4-5", tokens=(1000, 200), web_fetches=2),
            # 1000 x 3 + 200 x 15 a million: fetching is free
            "0.006",
            id="fetches beside tokens",
        ),
        pytest.param(
            event(
                "realtime",
                "openai",
                "gpt-4o-realtime-preview",
                tokens=(100, 20),
                further={
                    "gen_ai.usage.audio.input_tokens": 100,
                    "gen_ai.usage.cache_read.input_tokens": 40,
                    "gen_ai.usage.audio.cache_read.input_tokens": 40,
                    "gen_ai.usage.audio.output_tokens": 20,
                },
            ),
            # 60 x 40 + 40 x 2.50 + 20 x 80 a million
            "0.0041",
            id="cached audio",
        ),
    ],
)
def test_what_has_a_price_costs_it(booked: UsageEvent, cost: str) -> None:
    assert (booked.cost, booked.cost_quality) == (Decimal(cost), "exact")
    assert booked.rate_version is not None
    assert booked.rate_version.startswith(RATES.version)
    assert booked.usage_source == "provider"


@pytest.mark.parametrize(
    "booked",
    [
        event("image_generation", "openai", "dall-e-3", images=1),
        event("video_generation", "openai", "sora-2", video_seconds=8.0),
        event("rerank", "cohere", "rerank-v3.5", rerank_searches=5),
        event("recorded", None, None, gpu_seconds="12.75"),
    ],
    ids=["images", "seconds of video", "searches to rank", "the application's own"],
)
def test_what_has_no_price_is_on_the_row_and_unpriced(booked: UsageEvent) -> None:
    assert (booked.cost, booked.cost_quality, booked.rate_version) == (None, "unpriced", None)
    assert booked.quantities


@pytest.mark.parametrize("unit", ["code_executions", "search_sources", "images"])
def test_what_has_no_price_beside_tokens_makes_the_cost_partial(unit: str) -> None:
    used: Attributes = {f"usage.quantity.{unit}": 1}
    booked = event("chat", "openai", "gpt-4o-mini", tokens=(1000, 200), further=used)
    assert (booked.cost, booked.cost_quality) == (Decimal("0.00027"), "partial")


def test_a_detail_without_its_unit_is_not_overlooked() -> None:
    detail: Attributes = {"usage.quantity.images.1024x1024.low": 1}
    booked = event("chat", "openai", "gpt-4o-mini", tokens=(1000, 200), further=detail)
    assert booked.cost_quality == "partial"


def test_every_digit_and_every_unit_is_kept() -> None:
    further: Attributes = {"usage.unit": "gpu_seconds", "usage.quantity": "0.1000000000000000001"}
    booked = event("recorded", None, None, further=further, pages=3, seconds=0.1)
    assert booked.quantities == {
        "gpu_seconds": Decimal("0.1000000000000000001"),
        "pages": Decimal(3),
        "seconds": Decimal("0.1"),
    }


def test_moderation_is_free_at_openai_and_not_elsewhere() -> None:
    free = event("moderation", "openai", "omni-moderation-latest")
    assert (free.cost, free.cost_quality, free.rate_version) == (Decimal(0), "exact", FREE_RULE)
    assert free.usage_source == "none"
    elsewhere = event("moderation", "mistral_ai", "mistral-moderation-latest")
    assert elsewhere.cost is None


def test_a_refused_moderation_is_refused() -> None:
    attributes: Attributes = {"error.type": "400", "http.response.status_code": 400}
    refused = event("moderation", "openai", "omni-moderation-latest", further=attributes)
    assert (refused.cost, refused.rate_version) == (Decimal(0), REFUSED_RULE)


def test_what_the_application_records_needs_neither_provider_nor_model() -> None:
    booked = event("recorded", None, None, gpu_seconds=5)
    assert (booked.provider, booked.operation) == ("self_hosted", "recorded")
    assert (booked.request_model, booked.response_model) == (None, None)


def test_what_the_application_records_of_a_provider_costs_what_that_charges() -> None:
    booked = event("recorded", "anthropic", "claude-sonnet-4-5", web_searches=2)
    assert (booked.cost, booked.cost_quality) == (Decimal("0.02"), "exact")


@pytest.mark.parametrize(
    "operation",
    sorted(
        CALLS.keys() - {"chat", "generate_content", "text_completion", "embeddings", "moderation"}
    ),
)
def test_a_model_that_nobody_names_is_booked_where_providers_have_a_default(operation: str) -> None:
    assert event(operation, "openai", None, images=1).cost_quality == "unpriced"


def test_a_region_with_a_surcharge_that_the_list_does_not_have_is_marked() -> None:
    """Anthropic charges 1.1 times as much for inference that is bound to the United States."""
    attributes: Attributes = {"usage.region": "us"}
    bound = event("chat", "anthropic", "claude-opus-4-8", tokens=(10, 10), further=attributes)
    free = event("chat", "anthropic", "claude-opus-4-8", tokens=(10, 10))
    assert (bound.cost, bound.cost_quality) == (free.cost, "fallback")
    assert free.cost_quality == "exact"
