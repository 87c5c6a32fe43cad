"""Which rate is chosen, against a reference that looks at every rate of every card; and names that stay good."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from card_rates import override
from spanmeter.metering.card_rate import ANY_TIER, CATALOGUE_CARD, CardRate
from spanmeter.metering.costing import cost_of
from spanmeter.metering.meter import Meter
from spanmeter.metering.rate_book import RateBook
from spanmeter.metering.rates import Rates, UnknownRate
from spanmeter.metering.unit_rates import Rate
from unit.metering.spans import NOW, RATES, span

DAYS = [datetime(2026, 11, day, tzinfo=UTC) for day in (10, 15, 19, 20, 25)]
MODELS = ["gpt-4o", "gpt-4o*", "gpt-*", "*", "gpt-5"]
TENANTS = [None, "acme", "globex"]
TIERS = [None, "batch", ANY_TIER]
REGIONS = [None, "eu"]


@st.composite
def card_rates(draw: st.DrawFn) -> list[CardRate]:
    """Approved rates of an organisation and two tenants, some of them approved again with other prices."""
    rates = draw(
        st.lists(
            st.builds(
                override,
                tenant_id=st.sampled_from(TENANTS),
                model=st.sampled_from(MODELS),
                service_tier=st.sampled_from(TIERS),
                region=st.sampled_from(REGIONS),
                effective_from=st.sampled_from([None, *DAYS]),
                hours=st.sampled_from([None, (time(8), time(18)), (time(18), time())]),
                input_tokens=st.integers(0, 10**6).map(lambda price: f"{price}/1M"),
            ),
            max_size=24,
        )
    )
    return [
        override_of(rate, approval, ended=draw(st.booleans()) and draw(st.booleans()))
        for approval, rate in enumerate(rates, 1)
    ]


def override_of(rate: CardRate, approval: int, *, ended: bool) -> CardRate:
    return replace(
        rate,
        version=str(approval),
        approval=approval,
        approved_at=DAYS[0] + timedelta(minutes=approval),
        prices={} if ended else rate.prices,
    )


def reference(
    rates: list[CardRate], tenant: str | None, region: str | None, tier: str | None, at: datetime
) -> str | None:
    """The rate for gpt-4o, found in the order that docs/rates.md gives."""
    latest = {(rate.card, rate.name): rate for rate in rates}
    fitting = [
        rate
        for rate in latest.values()
        if rate.tenant_id in {None, tenant}
        and rate.region in {None, region}
        and rate.model in {"gpt-4o", "gpt-4o*", "gpt-*", "*"}
        and (rate.effective_from is None or rate.effective_from <= at)
        and (
            rate.hours is None
            or rate.hours[0] <= at.time() < (rate.hours[1] if rate.hours[1] != time() else time.max)
        )
    ]
    for wanted in [tier] if tier is None else [tier, None]:
        of_tier = [rate for rate in fitting if rate.service_tier in {wanted, ANY_TIER}]
        newest: dict[tuple[object, ...], CardRate] = {}
        earliest = datetime.min.replace(tzinfo=UTC)
        for rate in sorted(of_tier, key=lambda r: (r.effective_from or earliest, r.approval)):
            newest[rate.card, rate.model, rate.region, rate.service_tier] = rate
        in_order = sorted(
            (rate for rate in newest.values() if rate.prices),
            key=lambda rate: (
                rate.tenant_id is None,
                MODELS.index(rate.model),
                rate.region is None,
                rate.service_tier == ANY_TIER,
            ),
        )
        if in_order:
            return in_order[0].rate_version
    return None


@given(
    card_rates(),
    st.sampled_from([*TENANTS, "other"]),
    st.sampled_from([None, "eu", "us"]),
    st.sampled_from([None, "batch", "flex", "default"]),
    st.datetimes(DAYS[0].replace(tzinfo=None), DAYS[-1].replace(tzinfo=None) + timedelta(days=3)),
)
def test_the_choice_is_that_of_the_reference(
    rates: list[CardRate],
    tenant: str | None,
    region: str | None,
    tier: str | None,
    naive: datetime,
) -> None:
    at = naive.replace(tzinfo=UTC, second=0, microsecond=0)
    chosen = RateBook(rates).rates()
    found = chosen.find(
        "openai", "GPT-4o", tier, at, region=region, contract=chosen.contract_of(tenant)
    )
    named = None if tier == "default" else tier
    assert (found and found.rate_version) == reference(rates, tenant, region, named, at)


@given(card_rates(), st.integers(0, 24))
def test_what_was_in_force_is_what_had_been_approved(rates: list[CardRate], count: int) -> None:
    """As of the moment of the nth approval the later ones are not known."""
    as_of = DAYS[0] + timedelta(minutes=count)
    assert RateBook(rates).in_force(as_of) == RateBook(rates[:count]).in_force()


@given(card_rates())
def test_every_rate_that_was_ever_approved_is_found_by_its_name(rates: list[CardRate]) -> None:
    book = RateBook(rates).rates()
    for rate in rates:
        if rate.prices:
            assert book.rate_named(rate.rate_version).rate_version == rate.rate_version


def cost(rate: Rate | None, **quantities: int) -> Decimal | None:
    assert rate is not None
    return cost_of(quantities, rate).amount


def test_a_tier_that_only_the_catalogue_prices_is_charged_at_the_catalogues() -> None:
    own = override(input_tokens="9/1M", output_tokens="9/1M")
    rates = Rates([*RATES.in_force, own], version="test")
    batch = rates.find("openai", "gpt-4o-mini", "batch", NOW)
    assert batch is not None
    assert (batch.rate_version, batch.matched) == (
        f"{RATES.version}#openai/gpt-4o-mini@2026-10-14+batch",
        True,
    )
    scale = rates.find("openai", "gpt-4o-mini", "scale", NOW)
    assert scale is not None
    assert (scale.rate_version, scale.matched) == ("organisation/1#openai/gpt-4o-mini", False)


def test_the_length_of_the_whole_input_decides_on_the_tier() -> None:
    tiered = override(input_tokens="1/1M,>200k:2", cache_read_tokens="0.1/1M,>200k:0.2")
    rate = Rates([tiered], version="test").find("openai", "gpt-4o-mini", None, NOW)
    assert cost(rate, input_tokens=200_000, cache_read_tokens=150_000) == Decimal("0.065")
    assert cost(rate, input_tokens=200_001, cache_read_tokens=150_001) == Decimal("0.1300002")


def test_units_of_ones_own_have_prices() -> None:
    own = override(
        provider="house",
        model="*",
        gpu_seconds="0.0005",
        images="0.04",
        cache_write_1h_tokens="6/1M",
    )
    rate = Rates([own], version="test").find("house", "any", None, NOW)
    assert cost(rate, gpu_seconds=90, images=3, cache_write_1h_tokens=1000) == Decimal("0.171")


def test_a_row_is_in_the_currency_of_its_rate() -> None:
    own = override(currency="EUR", input_tokens="1/1M", output_tokens="1/1M")
    event = Meter(Rates([own], version="test")).meter(span(), NOW)
    assert event is not None
    assert (event.cost, event.currency, event.cost_quality) == (Decimal("0.0012"), "EUR", "exact")


def test_a_rate_for_a_region_makes_a_surcharged_region_exact() -> None:
    attributes = {
        "gen_ai.provider.name": "anthropic",
        "gen_ai.request.model": "claude-sonnet-4-5",
        "usage.region": "us",
    }
    listed = Meter(RATES).meter(span(attributes), NOW)
    own = override(
        provider="anthropic",
        model="claude-sonnet-4-5",
        region="us",
        input_tokens="3.3/1M",
        output_tokens="16.5/1M",
    )
    exact = Meter(Rates([*RATES.in_force, own], version="test")).meter(span(attributes), NOW)
    assert listed is not None
    assert exact is not None
    assert (listed.cost_quality, exact.cost_quality) == ("fallback", "exact")


@pytest.mark.parametrize(
    ("tier", "at", "price"),
    [
        (None, datetime(2025, 6, 9, tzinfo=UTC), "10"),
        (None, NOW, "2"),
        ("batch", NOW, "1"),
    ],
)
def test_a_name_from_before_there_were_cards_is_told_by_the_rows_own_facts(
    tier: str | None, at: datetime, price: str
) -> None:
    """Rows used to say `genai-prices/VERSION#openai/o3`, whatever the date and the tier."""
    old = f"{RATES.version}#openai/o3"
    named = RATES.rate_named(old, provider="openai", service_tier=tier, at=at)
    found = RATES.find("openai", "o3", tier, at)
    assert found is not None
    assert named.units == found.units
    assert cost(named, input_tokens=1_000_000) == Decimal(price)


def test_a_name_that_no_card_has_is_told() -> None:
    with pytest.raises(UnknownRate, match="no rate card has 'house/1#openai/o3'"):
        RATES.rate_named("house/1#openai/o3")


def test_every_rate_of_the_catalogue_has_a_name_of_its_own_and_is_found_by_it() -> None:
    names = [rate.rate_version for rate in RATES.in_force]
    assert len(set(names)) == len(names)
    assert all(rate.card == CATALOGUE_CARD for rate in RATES.in_force)
    for rate in RATES.in_force[::7]:
        if rate.prices:
            assert RATES.rate_named(rate.rate_version).name == rate.name


def test_no_name_of_a_model_is_taken_by_two_of_a_provider() -> None:
    """Of two the first counts, whose place another version of the catalogue may change."""
    models = {(rate.provider, rate.model): rate for rate in RATES.in_force}
    for provider in {provider for provider, _ in models}:
        own = [rate for (named, _), rate in models.items() if named == provider]
        for rate in own:
            taking = {other.model for other in own if other.takes(rate.model.lower(), None)}
            assert taking <= {rate.model}, rate.name
