"""A second opinion on prices: what is compared, what is refused, what is not known."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from card_rates import override
from spanmeter.metering.card_rate import CATALOGUE_CARD, CardRate
from spanmeter.metering.second_catalogue import (
    BadSecondCatalogue,
    SecondOpinion,
    read_second_catalogue,
    second_opinions,
)
from unit.metering.spans import NOW


def listed(**fields: Any) -> CardRate:
    stated: dict[str, Any] = {"model": "gpt-4o", **fields}
    return override(card=CATALOGUE_CARD, **stated)


def opinion(rate: CardRate, name: str = "gpt-4o", **fields: Any) -> SecondOpinion | None:
    entry = {"litellm_provider": "openai", "mode": "chat", **fields}
    text = json.dumps({"sample_spec": {"input_cost_per_token": 0}, name: entry})
    return read_second_catalogue(text).opinion(rate)


@pytest.mark.parametrize(
    ("price", "agrees"),
    [(2.5e-06, True), (2.52e-06, True), (2.53e-06, False), (2.47e-06, False), (0, False)],
)
def test_more_than_one_percent_is_a_dispute(price: float, *, agrees: bool) -> None:
    found = opinion(listed(input_tokens="2.50/1M"), input_cost_per_token=price)
    assert found is not None
    assert found.agrees == agrees
    assert found.differences == ({} if agrees else {"input_tokens": Decimal(str(price))})


@pytest.mark.parametrize(
    ("rate", "fields"),
    [
        (
            listed(service_tier="batch", input_tokens="1/1M"),
            {"input_cost_per_token": 2e-06, "input_cost_per_token_batches": 1e-06},
        ),
        (
            listed(cache_read_tokens="1.25/1M", cache_write_1h_tokens="6/1M"),
            {
                "cache_read_input_token_cost": 1.25e-06,
                "cache_creation_input_token_cost_above_1hr": 6e-06,
            },
        ),
        (
            listed(input_tokens="3/1M,>200k:6"),
            {"input_cost_per_token": 3e-06, "input_cost_per_token_above_200k_tokens": 6e-06},
        ),
    ],
)
def test_tiers_caches_and_long_inputs_are_compared(rate: CardRate, fields: dict[str, Any]) -> None:
    assert opinion(rate, **fields) == SecondOpinion(agrees=True, differences={})
    doubled = {name: Decimal(str(value)) * 2 for name, value in fields.items()}
    text: dict[str, Any] = {name: float(value) for name, value in doubled.items()}
    found = opinion(rate, **text)
    assert found is not None
    assert not found.agrees


@pytest.mark.parametrize(
    ("maker", "name", "provider", "model"),
    [
        ("azure", "azure/gpt-4o", "azure", "gpt-4o"),
        ("gemini", "gemini/gemini-2.5-pro", "google", "gemini-2.5-pro"),
        (
            "vertex_ai-anthropic_models",
            "vertex_ai/claude-sonnet-4-5",
            "google",
            "claude-sonnet-4-5",
        ),
        ("bedrock_converse", "amazon.nova-pro-v1:0", "aws", "amazon.nova-pro-v1:0"),
        ("xai", "xai/grok-4", "x-ai", "grok-4"),
        ("mistral", "mistral/mistral-large", "mistral", "mistral-large"),
    ],
)
def test_its_names_are_translated(maker: str, name: str, provider: str, model: str) -> None:
    rate = listed(provider=provider, model=model, input_tokens="1/1M")
    found = opinion(rate, name, litellm_provider=maker, input_cost_per_token=1e-06)
    assert found == SecondOpinion(agrees=True, differences={})


def test_what_it_does_not_know_has_no_opinion() -> None:
    assert opinion(listed(model="gpt-5", input_tokens="1/1M"), input_cost_per_token=1e-06) is None
    assert opinion(listed(pages="1"), input_cost_per_token=1e-06) is None
    assert opinion(listed(input_tokens="1/1M"), output_cost_per_token=1e-06) is None


def test_it_speaks_of_todays_rates_only() -> None:
    future = datetime(2027, 1, 1, tzinfo=UTC)
    rates = [
        listed(input_tokens="9/1M"),
        override(card=CATALOGUE_CARD, model="gpt-4o", effective_from=NOW, input_tokens="1/1M"),
        override(card=CATALOGUE_CARD, model="gpt-4o", effective_from=future, input_tokens="7/1M"),
    ]
    second = read_second_catalogue(
        json.dumps({"gpt-4o": {"litellm_provider": "openai", "input_cost_per_token": 1e-06}})
    )
    assert list(second_opinions(rates, second, NOW)) == [
        (rates[1], SecondOpinion(agrees=True, differences={}))
    ]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        "null",
        "[" * 100_000,
        '{"m": {"litellm_provider": "openai", "input_cost_per_token": NaN}}',
        '{"m": {"litellm_provider": 5, "input_cost_per_token": 1}}',
        '{"m": {"litellm_provider": "openai", "input_cost_per_token": "free"}}',
        '{"m": {"litellm_provider": "openai", "input_cost_per_token": -1}}',
    ],
)
def test_what_is_no_such_catalogue_is_refused(text: str) -> None:
    with pytest.raises(BadSecondCatalogue):
        read_second_catalogue(text)
