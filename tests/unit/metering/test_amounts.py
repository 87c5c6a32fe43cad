"""Costs worked out by hand, from the providers' price lists as the pinned catalogue has them.

Every amount is in US dollars; prices in the comments are for a million tokens unless they say more.
"""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from spanmeter.metering.span import AttributeValue
from spanmeter.metering.usage_event import UsageEvent
from unit.metering.spans import NOW, event_of, metered, span

Attributes = dict[str, AttributeValue]

INPUT = "gen_ai.usage.input_tokens"
OUTPUT = "gen_ai.usage.output_tokens"
CACHE_READ = "gen_ai.usage.cache_read.input_tokens"
CACHE_WRITE = "gen_ai.usage.cache_write.input_tokens"
REASONING = "gen_ai.usage.reasoning.output_tokens"


def of(provider: str, model: str, **counts: int) -> Attributes:
    named = {"input": INPUT, "output": OUTPUT, "read": CACHE_READ, "write": CACHE_WRITE}
    return {
        "gen_ai.provider.name": provider,
        "gen_ai.request.model": model,
        INPUT: 0,
        OUTPUT: 0,
        **{named[name]: value for name, value in counts.items()},
    }


@pytest.mark.parametrize(
    ("attributes", "cost"),
    [
        pytest.param(
            of("openai", "gpt-4o-mini", input=1000, output=200),
            # 1000 x 0.15 + 200 x 0.60
            "0.00027",
            id="openai",
        ),
        pytest.param(
            of("openai", "gpt-4o-mini", input=1000, read=800, output=200),
            # 200 x 0.15 + 800 x 0.075 + 200 x 0.60
            "0.00021",
            id="openai cached",
        ),
        pytest.param(
            {**of("openai", "o3", input=100, output=500), REASONING: 450},
            # 100 x 2 + 500 x 8: reasoning is within output
            "0.0042",
            id="reasoning",
        ),
        pytest.param(
            of("openai", "text-embedding-3-small", input=8000),
            # 8000 x 0.02
            "0.00016",
            id="embeddings",
        ),
        pytest.param(
            of("anthropic", "claude-sonnet-4-5", input=10_000, read=6000, write=3000, output=500),
            # 1000 x 3 + 6000 x 0.30 + 3000 x 3.75 + 500 x 15
            "0.02355",
            id="anthropic cache",
        ),
        pytest.param(
            {
                **of("anthropic", "claude-sonnet-4-5", input=10_000, write=3000, output=500),
                "usage.cache_write.5m.input_tokens": 1000,
                "usage.cache_write.1h.input_tokens": 2000,
            },
            # 7000 x 3 + 1000 x 3.75 + 2000 x 6 + 500 x 15
            "0.04425",
            id="anthropic cache for an hour",
        ),
        pytest.param(
            of("anthropic", "claude-sonnet-4-5", input=200_000, output=1000),
            # 200 000 x 3 + 1000 x 15
            "0.615",
            id="on the step",
        ),
        pytest.param(
            of("anthropic", "claude-sonnet-4-5", input=200_001, output=1000),
            # 200 001 x 6 + 1000 x 22.50: all of the call, not only what is above the step
            "1.222506",
            id="one token above the step",
        ),
        pytest.param(
            of("perplexity", "sonar", input=1000, output=1000),
            # 1000 x 1 + 1000 x 1 + 12 for a thousand requests
            "0.014",
            id="price per request",
        ),
        pytest.param(
            {
                **of("openai", "gpt-4o-realtime-preview", input=100, read=40, output=20),
                "gen_ai.usage.audio.input_tokens": 50,
                "gen_ai.usage.audio.cache_read.input_tokens": 30,
                "gen_ai.usage.audio.output_tokens": 20,
            },
            # 40 text x 5 + 20 audio x 40 + 10 cached text x 2.50 + 30 cached audio x 2.50
            # + 20 audio out x 80
            "0.0027",
            id="cached audio",
        ),
    ],
)
def test_a_call_costs_what_the_price_list_says(attributes: Attributes, cost: str) -> None:
    event = event_of(attributes)
    assert event.cost == Decimal(cost)
    assert event.cost_quality == "exact"
    assert event.currency == "USD"


@pytest.mark.parametrize(
    ("model", "tier", "cost"),
    [
        # 1000 x 1.25 + 100 x 10
        ("gpt-5", None, "0.00225"),
        ("gpt-5", "default", "0.00225"),
        ("gpt-5", "auto", "0.00225"),
        # 1000 x 0.625 + 100 x 5
        ("gpt-5", "flex", "0.001125"),
        # 1000 x 2.50 + 100 x 20
        ("gpt-5", "priority", "0.0045"),
        ("gpt-5", "Priority", "0.0045"),
        # 1000 x 0.075 + 100 x 0.30
        ("gpt-4o-mini", "batch", "0.000105"),
    ],
)
def test_a_service_tier_has_its_own_price(model: str, tier: str | None, cost: str) -> None:
    attributes = of("openai", model, input=1000, output=100)
    event = event_of({**attributes, "usage.service_tier": tier})
    assert (event.cost, event.cost_quality) == (Decimal(cost), "exact")


def test_anthropics_fast_mode_is_a_tier_too() -> None:
    """1000 x 10 + 100 x 50; at its usual speed the same call is half of that."""
    attributes = of("anthropic", "claude-opus-4-8", input=1000, output=100)
    assert event_of({**attributes, "usage.service_tier": "fast"}).cost == Decimal("0.015")
    assert event_of(attributes).cost == Decimal("0.0075")


@pytest.mark.parametrize(
    ("began", "cost"),
    [
        # 1M x 5, and from 2026-08-21 on 1M x 4, each doubled above 272 000 tokens of input
        (datetime(2026, 8, 20, 23, 59, 59, tzinfo=UTC), "10"),
        (datetime(2026, 8, 21, 0, 0, 0, tzinfo=UTC), "8"),
    ],
)
def test_a_call_is_priced_as_of_its_beginning(began: datetime, cost: str) -> None:
    attributes = of("openai", "gpt-5.6-sol", input=1_000_000)
    one = span(attributes, began=began)
    assert metered(one, now=NOW).cost == Decimal(cost)
    assert metered(one, now=began + timedelta(days=300)).cost == Decimal(cost)


@pytest.mark.parametrize(
    ("hour", "minute", "cost"),
    [(0, 29, "0.135"), (0, 30, "0.27"), (16, 29, "0.27"), (16, 30, "0.135")],
)
def test_a_price_by_the_time_of_day_changes_on_the_minute(
    hour: int, minute: int, cost: str
) -> None:
    """deepseek-chat: 0.27 from 00:30 to 16:30 UTC, half of that at night."""
    began = NOW.replace(day=19, hour=hour, minute=minute, second=59 * (minute == 29))
    attributes = of("deepseek", "deepseek-chat", input=1_000_000)
    assert metered(span(attributes, began=began)).cost == Decimal(cost)


def in_units(provider: str, model: str, unit: str, amount: str) -> UsageEvent:
    attributes: Attributes = {
        "gen_ai.provider.name": provider,
        "gen_ai.request.model": model,
        "usage.unit": unit,
        "usage.quantity": amount,
    }
    return metered(span(attributes, without=(INPUT, OUTPUT)))


@pytest.mark.parametrize("unit", ["audio_seconds", "input_audio_seconds"])
@pytest.mark.parametrize(
    ("seconds", "billed"),
    # groq.com: at least ten seconds a request
    [("3600", 3600), ("36.5", Decimal("36.5")), ("3", 10), ("0", 0)],
)
def test_audio_is_priced_by_the_second(unit: str, seconds: str, billed: Decimal) -> None:
    """0.111 an hour, whether the emitter says that the audio was input or not."""
    event = in_units("groq", "whisper-large-v3", unit, seconds)
    assert event.cost is not None
    assert abs(event.cost - Decimal("0.111") * billed / 3600) < Decimal("1e-25")
    assert event.cost_quality == "exact"
    assert event.quantities == {unit: Decimal(seconds)}


def test_no_digit_of_a_quantity_is_rounded_away() -> None:
    """4 dollars for 1000 pages."""
    event = in_units(
        "mistral_ai",
        "mistral-ocr-latest",
        "input_document_pages",
        "1.000000000000000000000000000001",
    )
    assert str(event.cost) == "0.004000000000000000000000000000004"
