"""Costing by the token says what costing by the rate says, to the last digit, for every model of the catalogue."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from genai_prices.data import providers
from hypothesis import given
from hypothesis import strategies as st

from spanmeter.metering.costing import cost_of, priced_quantities
from spanmeter.metering.token_costs import token_costs
from spanmeter.metering.tokens import Tokens
from spanmeter.metering.unit_rates import Rate
from unit.metering.spans import RATES

AT = datetime(2026, 11, 20, 12, tzinfo=UTC)


def rates() -> list[Rate]:
    """Every rate of the catalogue, at one moment."""
    found = (
        RATES.find(provider.id, model.id, tier, AT)
        for provider in providers
        for model in provider.models
        for tier in (None, "priority")
    )
    return [rate for rate in found if rate is not None]


ALL = rates()
SIMPLE = [(rate, costs) for rate in ALL if (costs := token_costs(rate)) is not None]


@st.composite
def tokens(draw: st.DrawFn) -> Tokens:
    """Counts that agree with each other, as `read_tokens` lets through."""
    count = st.one_of(st.none(), st.integers(0, 400_000), st.integers(0, 10**12))
    whole, output = draw(count), draw(count)
    read, written = draw(count), draw(count)
    spare = (whole or 0) - min(read or 0, whole or 0)
    return Tokens(
        whole,
        None if read is None else min(read, whole or 0),
        None if written is None else min(written, spare),
        {},
        output,
        draw(st.one_of(st.none(), st.integers(0, output or 0))),
        *draw(st.tuples(*[st.sampled_from([None, 0])] * 4)),
    )


@given(st.sampled_from(SIMPLE), tokens())
def test_the_quick_way_and_the_long_way_agree(simple: tuple[Rate, object], used: Tokens) -> None:
    rate, _ = simple
    costs = token_costs(rate)
    assert costs is not None
    quick = costs.cost(used)
    if quick is None:
        assert costs.most_input is not None
        assert (used.input_tokens or 0) > costs.most_input
        return

    exact = cost_of(priced_quantities(used, {}), rate)

    assert (quick.amount, quick.quality) == (exact.amount, exact.quality)
    assert str(quick.amount) == str(exact.amount)


@pytest.mark.parametrize("model", ["gpt-4o", "gpt-5", "o3"])
def test_models_that_everybody_uses_go_the_quick_way(model: str) -> None:
    rate = RATES.find("openai", model, None, AT)
    assert rate is not None
    assert token_costs(rate) is not None


def test_most_of_the_catalogue_goes_the_quick_way() -> None:
    assert len(SIMPLE) > len(ALL) / 2


def test_media_and_writes_by_time_to_live_go_the_long_way() -> None:
    rate = RATES.find("anthropic", "claude-sonnet-4-5", None, AT)
    assert rate is not None
    costs = token_costs(rate)
    assert costs is not None

    assert costs.cost(Tokens(10, None, 5, {"1h": 5})) is None
    assert costs.cost(Tokens(10, audio_input_tokens=5)) is None
    assert costs.cost(Tokens(10, None, 5)) is not None
