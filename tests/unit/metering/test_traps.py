"""The six traps of the price catalogue, as measured before it was chosen: none may cost money."""

from decimal import Decimal
from typing import Any

import genai_prices
import pytest
from genai_prices.data_snapshot import DataSnapshot, set_custom_snapshot

from spanmeter.metering.providers import canonical_provider
from spanmeter.metering.rates import Rates
from unit.metering.spans import NOW, RATES, event_of, metered, span


def test_cached_tokens_are_charged_once_as_part_of_the_input() -> None:
    """1000 tokens of which 800 are cached are 200 x 0.15 + 800 x 0.075, not 1000 x 0.15 + …"""
    event = event_of({"gen_ai.usage.cache_read.input_tokens": 800})
    assert event.cost == Decimal("0.00021")


@pytest.mark.parametrize(
    ("name", "canonical"),
    [
        ("AZ.AI.OpenAI", "azure.ai.openai"),
        (" azure ", "azure.ai.openai"),
        ("bedrock", "aws.bedrock"),
        ("vertex_ai", "gcp.vertex_ai"),
        ("xai", "x_ai"),
        ("mistral", "mistral_ai"),
        ("moonshotai", "moonshot_ai"),
        ("openai", "openai"),
        ("Ollama", "ollama"),
    ],
)
def test_a_provider_has_one_name(name: str, canonical: str) -> None:
    assert canonical_provider(name) == canonical
    assert event_of({"gen_ai.provider.name": name}).provider == canonical


def test_azure_is_priced_from_azures_list_and_not_from_openais() -> None:
    """The catalogue itself takes `azure.ai.openai` for OpenAI, at OpenAI's name."""
    loose = genai_prices.calc_price(
        genai_prices.Usage(input_tokens=1), "gpt-4o", provider_id="azure.ai.openai"
    )
    assert loose.provider.id == "openai"
    rate = RATES.find("azure.ai.openai", "phi-4", None, NOW)
    assert rate is not None
    assert (rate.name.partition("/")[0], rate.matched) == ("azure", True)


def test_another_providers_list_stands_in_and_is_marked_and_named() -> None:
    event = event_of({"gen_ai.provider.name": "azure.ai.openai"})
    assert event.cost == Decimal("0.00027")
    assert event.cost_quality == "fallback"
    assert event.rate_version == f"{RATES.version}#openai/gpt-4o-mini"


@pytest.mark.parametrize("provider", ["ollama", "ibm.watsonx.ai", "openai-compatible", "open"])
def test_a_provider_that_is_not_listed_is_unpriced_and_never_guessed(provider: str) -> None:
    event = event_of({"gen_ai.provider.name": provider})
    assert (event.cost, event.cost_quality, event.rate_version) == (None, "unpriced", None)


@pytest.mark.parametrize(
    ("provider", "model", "tier"),
    [
        ("openai", "gpt-4o-mini", "flex"),
        ("openai", "gpt-4o-mini", "scale"),
        ("azure.ai.openai", "gpt-4o-mini", "batch"),
        ("aws.bedrock", "us.anthropic.claude-sonnet-4-5-20250929-v1:0", "batch"),
    ],
)
def test_a_tier_without_a_price_is_charged_at_list_price_and_marked(
    provider: str, model: str, tier: str
) -> None:
    attributes: dict[str, Any] = {"gen_ai.provider.name": provider, "gen_ai.request.model": model}
    listed = event_of(attributes)
    event = event_of({**attributes, "usage.service_tier": tier})
    assert event.cost == listed.cost
    assert event.cost_quality == "fallback"


def test_a_variant_that_has_not_begun_is_no_price() -> None:
    """The catalogue knows OpenAI's batch prices from 2026-10-14 on."""
    one = span({"usage.service_tier": "batch"}, began=NOW.replace(month=10, day=13))
    assert metered(one).cost_quality == "fallback"


def test_what_has_no_price_makes_the_cost_partial() -> None:
    event = event_of({"usage.unit": "code_executions", "usage.quantity": 3})
    assert (event.cost, event.cost_quality) == (Decimal("0.00027"), "partial")


def test_a_provider_is_never_guessed_from_the_model() -> None:
    assert RATES.find("", "gpt-4o", None, NOW) is None
    assert RATES.find("unknown", "gpt-4o", None, NOW) is None


def test_rates_do_not_change_when_the_catalogue_is_refreshed_in_the_process() -> None:
    try:
        set_custom_snapshot(DataSnapshot(providers=[], from_auto_update=True))
        rate = Rates.pinned().find("openai", "gpt-4o-mini", None, NOW)
    finally:
        set_custom_snapshot(None)
    assert rate == RATES.find("openai", "gpt-4o-mini", None, NOW)
    assert rate is not None
