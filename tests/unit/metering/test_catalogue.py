"""Our evaluation of the catalogue against its own, over every model that it lists."""

import warnings
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta, timezone
from decimal import Context, Decimal, localcontext
from random import Random
from typing import Any, NamedTuple

import pytest
from genai_prices.data import providers
from genai_prices.types import (
    ModelInfo,
    ModelPrice,
    Provider,
    TieredPrices,
    TimeOfDateConstraint,
    Usage,
)

from spanmeter.metering.card_rate import CardRate
from spanmeter.metering.catalogue import CONTEXT_KEYS, prices_of
from spanmeter.metering.costing import UNPRICED, Cost, cost_of
from spanmeter.metering.providers import CANONICAL, CATALOGUE, catalogue_id
from spanmeter.metering.unit_rates import Rate, compiled
from unit.metering.spans import NOW, RATES

MOMENTS = (
    datetime(2025, 1, 1, tzinfo=UTC),
    datetime(2026, 3, 12, 23, 59, 59, tzinfo=UTC),
    datetime(2026, 11, 20, 2, 30, tzinfo=UTC),
    datetime(2026, 11, 20, 18, 0, tzinfo=UTC),
    datetime(2027, 6, 1, tzinfo=UTC),
)
CONTEXTS: tuple[dict[str, str], ...] = (
    {},
    {"processing": "batch"},
    {"service_tier": "priority"},
    {"service_tier": "flex"},
    {"speed": "fast", "service_tier": "fast"},
)


class Listed(NamedTuple):
    provider: Provider
    model: ModelInfo


LISTED = [Listed(provider, model) for provider in providers for model in provider.models]


def listed_as(provider: str, model: str) -> Listed:
    return next(one for one in LISTED if (one.provider.id, one.model.id) == (provider, model))


def quantities(random: Random) -> dict[str, int | Decimal]:
    """Counts of one call in which every part lies within its whole, and no two parts overlap."""
    scale = random.choice((10, 5_000, 199_999, 300_000, 2_000_000))
    parts = {
        name: random.choice((0, random.randrange(scale)))
        for name in ("cache_read_tokens", "input_audio_tokens", "input_image_tokens")
    }
    one_hour = random.choice((0, random.randrange(scale)))
    cache_write = one_hour + random.randrange(scale)
    reasoning = random.choice((0, random.randrange(scale)))
    audio_out = random.choice((0, random.randrange(scale)))
    seconds = random.choice((0, 3, 90, Decimal("12.5")))
    return {
        **parts,
        "cache_audio_read_tokens": 0,
        "cache_image_read_tokens": 0,
        "cache_write_tokens": cache_write,
        "cache_write_1h_tokens": one_hour,
        "input_tokens": sum(parts.values()) + cache_write + random.randrange(scale),
        "output_reasoning_tokens": reasoning,
        "output_audio_tokens": audio_out,
        "output_tokens": reasoning + audio_out + random.randrange(scale),
        "web_searches": random.choice((0, 3)),
        "audio_seconds": seconds,
        "input_audio_seconds": seconds,
        "requests": 1,
    }


def theirs(listed: Listed, usage: Mapping[str, int | Decimal], at: datetime) -> Iterator[Decimal]:
    """The catalogue's own amount in each context.

    It rounds to the 28 digits of Python's default: a price per hour divided by 3600 needs more.
    """
    counts = Usage(**{unit: amount for unit, amount in usage.items() if unit != "requests"})
    for context in CONTEXTS:
        with localcontext(Context(prec=80)):
            yield listed.model.calc_price(
                counts, listed.provider, genai_request_timestamp=at, price_context=context
            ).total_price


def ours(listed: Listed, usage: Mapping[str, int | Decimal], at: datetime) -> Iterator[Cost]:
    for context in CONTEXTS:
        rate = rate_of(listed, listed.model.get_prices(at, context))
        yield cost_of(usage, rate) if rate else UNPRICED


def rate_of(listed: Listed, price: ModelPrice) -> Rate | None:
    stated = {
        key: {"base": value.base, "tiers": [vars(tier) for tier in value.tiers]}
        if isinstance(value, TieredPrices)
        else value
        for key, value in vars(price).items()
    }
    return compiled(
        CardRate(
            card="test",
            version="1",
            scope="catalogue",
            provider=listed.provider.id,
            model=listed.model.id,
            matches={"equals": listed.model.id},
            prices=prices_of(stated),
        )
    )


@pytest.mark.parametrize("seed", range(2))
def test_every_model_costs_what_the_catalogue_itself_computes(seed: int) -> None:
    """To the last digit. Where we say unpriced, it says 0: it has no price for anything used."""
    random = Random(seed)
    compared = 0
    for listed in LISTED:
        usage, at = quantities(random), random.choice(MOMENTS)
        for their_amount, cost in zip(
            theirs(listed, usage, at), ours(listed, usage, at), strict=True
        ):
            if cost.amount is None:
                assert their_amount == 0, listed
            else:
                assert cost.amount == their_amount, (listed, usage, at)
                assert sum(line.amount for line in cost.components) == pytest.approx(cost.amount)
                compared += 1
    assert compared > 5 * 2000


@pytest.mark.parametrize("tier", [None, "priority", "flex", "batch", "fast"])
def test_the_rate_found_by_name_is_the_one_the_catalogue_finds(tier: str | None) -> None:
    random = Random(tier)
    everyone = {provider.id: provider for provider in providers}
    found = 0
    for name in ("openai", "anthropic", "azure.ai.openai", "aws.bedrock", "gcp.gemini", "groq"):
        provider = everyone[catalogue_id(name)]
        for model in provider.models:
            usage, at = quantities(random), random.choice(MOMENTS)
            seen = provider.find_model(model.id, all_providers=list(providers))
            rate = RATES.find(name, model.id, tier, at)
            if seen is None:
                # Some are listed under an id that no request uses (`regional.…`).
                assert rate is None
                continue
            context: Any = dict.fromkeys(CONTEXT_KEYS, tier) if tier else {}
            expected = rate_of(Listed(provider, seen), seen.get_prices(at, context))
            assert (rate and rate.units) == (expected and expected.units)
            found += rate is not None and cost_of(usage, rate).amount is not None
    assert found > 200


@pytest.mark.parametrize(
    ("provider", "model"),
    [("openai", "gpt-4o-realtime-preview"), ("google", "gemini-2.5-flash")],
)
def test_cached_audio_that_is_not_told_is_unpriced_where_the_catalogue_refuses_it(
    provider: str, model: str
) -> None:
    listed = listed_as(provider, model)
    usage = {"input_tokens": 100, "cache_read_tokens": 40, "input_audio_tokens": 50}
    with pytest.raises(ValueError, match="cache_audio_read_tokens"):
        list(theirs(listed, usage, NOW))
    assert set(ours(listed, usage, NOW)) == {UNPRICED}
    told = {**usage, "cache_audio_read_tokens": 30}
    assert [cost.amount for cost in ours(listed, told, NOW)] == list(theirs(listed, told, NOW))


def test_a_part_beyond_its_whole_is_unpriced_where_the_catalogue_refuses_it() -> None:
    listed = listed_as("openai", "gpt-4o-mini")
    usage = {"input_tokens": 10, "cache_read_tokens": 11}
    with pytest.raises(ValueError, match="cannot exceed"):
        list(theirs(listed, usage, NOW))
    assert set(ours(listed, usage, NOW)) == {UNPRICED}


def test_conditions_of_the_catalogue_are_dates_and_whole_minutes() -> None:
    """A rate is remembered for a day, or a minute where a time of day matters."""
    times = [
        moment
        for _, model in LISTED
        for part in [
            *(model.prices if isinstance(model.prices, list) else ()),
            *(model.price_variants or ()),
        ]
        if isinstance(part.constraint, TimeOfDateConstraint)
        for moment in (part.constraint.start_time, part.constraint.end_time)
    ]
    assert times
    assert {(moment.second, moment.microsecond) for moment in times} == {(0, 0)}


def test_no_two_conditions_of_a_variant_need_words_of_different_kinds() -> None:
    """A service tier is one word, offered under each key: a variant of two would be missed."""
    whens = {tuple(variant.when) for _, model in LISTED for variant in model.price_variants or ()}
    assert {len(when) for when in whens} == {1}


def test_every_provider_mapped_by_name_is_listed() -> None:
    ids = {provider.id for provider in providers}
    assert set(CATALOGUE.values()) <= ids
    for canonical in CANONICAL.values():
        assert catalogue_id(canonical) in ids, canonical


def test_a_price_by_date_changes_at_midnight_utc_and_not_before() -> None:
    """o3 fell from 10 to 2 dollars for a million input tokens on 2025-06-10."""
    change = datetime(2025, 6, 10, tzinfo=UTC)
    west = change.astimezone(timezone(timedelta(hours=-7)))
    amounts = [
        cost_of({"input_tokens": 1_000_000}, rate).amount
        for at in (change - timedelta(seconds=1), change, west)
        if (rate := RATES.find("openai", "o3", None, at))
    ]
    assert amounts == [Decimal(10), Decimal(2), Decimal(2)]


def test_the_catalogue_raises_no_warning_when_it_is_read() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for listed in LISTED:
            rate_of(listed, listed.model.get_prices(NOW))
