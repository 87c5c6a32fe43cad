"""Rates of one's own, as people write them; what cannot be meant is refused with its place."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from spanmeter.metering.prices import BadPrice, Price
from spanmeter.metering.rate_overrides import BadOverrides, read_csv, read_toml

TOML = """
[[rate]]
tenant_id = "acme"
provider = "Azure"
model = "GPT-4o*"
region = "eu"
service_tier = "Batch"
effective_from = 2026-12-01
currency = "EUR"
[rate.prices]
input_tokens = "1.10/1M, >200k:2.20"
pages = 0.01
"""


def test_a_table_is_a_rate() -> None:
    (override,) = read_toml(TOML)
    rate = override.as_rate("1")
    assert rate.rate_version == "contract:acme/1#azure.ai.openai/gpt-4o*@2026-12-01+batch~eu"
    assert (rate.currency, rate.scope, rate.tenant_id) == ("EUR", "contract", "acme")
    assert rate.effective_from == datetime(2026, 12, 1, tzinfo=UTC)
    assert rate.prices == {
        "input_tokens": Price(Decimal("1.10"), 10**6, ((200_000, Decimal("2.20")),)),
        "pages": Price(Decimal("0.01"), 1),
    }
    assert rate.takes("gpt-4o-mini", "EU")
    assert not rate.takes("gpt-4o-mini", None)


def test_lines_that_differ_in_the_unit_are_one_rate() -> None:
    text = (
        "provider,model,service_tier,unit,price\n"
        "openai,gpt-4o,,input_tokens,2/1M\n"
        "openai,gpt-4o,batch,input_tokens,1/1M\n"
        "openai,gpt-4o,,output_tokens,8/1M\n"
        "openai,gpt-3,,,\n"
    )
    assert [(each.model, each.service_tier, sorted(each.prices)) for each in read_csv(text)] == [
        ("gpt-4o", None, ["input_tokens", "output_tokens"]),
        ("gpt-4o", "batch", ["input_tokens"]),
        ("gpt-3", None, []),
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("rate = 1", "no tables"),
        ("[[rates]]", "no tables"),
        ("[[rate]]\nprovider='x'\nmodel='y'", "rate 1 has no table of prices"),
        ("[[rate]]\nmodel='y'\n[rate.prices]", "rate 1 has no provider"),
        ("[[rate]]\nprovder='x'\n[rate.prices]", "rate 1 has 'provder'"),
        ("[[rate]]\nprovider=1\nmodel='y'\n[rate.prices]", "something that is no text"),
        ("[[rate]]\nprovider='x'\nmodel='y'\ncurrency='$'\n[rate.prices]", "no currency"),
        (
            "[[rate]]\nprovider='x'\nmodel='y'\neffective_from='soon'\n[rate.prices]",
            "'soon' is no date",
        ),
        (
            "[[rate]]\nprovider='x'\nmodel='y'\n[rate.prices]\ninput_tokens = 2.5",
            "rate 1: the price of input_tokens needs a count",
        ),
        ("[[rate]]\nprovider='x'\nmodel='y'\n[rate.prices]\n'a b' = 1", "no name of a unit"),
        ("=", "is no TOML"),
    ],
)
def test_what_cannot_be_read_is_told(text: str, said: str) -> None:
    with pytest.raises(BadOverrides, match=said):
        read_toml(text)


@pytest.mark.parametrize("text", ["", "a,b\n1,2\n", "provider,model,unit\n"])
def test_csv_needs_its_columns(text: str) -> None:
    with pytest.raises(BadOverrides, match="has no column"):
        read_csv(text)


@pytest.mark.parametrize(
    "text", ["2.5/1M", "0.04", "1.25/1M,>200k:2.50", "3/1k", "0.000001/7", "0"]
)
def test_a_price_is_written_as_it_is_read(text: str) -> None:
    price = Price.parsed(text, "pages")
    assert str(price) == text
    assert Price.from_json(price.to_json()) == price


@pytest.mark.parametrize(
    "text", ["", "-1", "1e5", "1/0", "NaN", "1,2", "1,>x:2", "1/M", "1" * 60, "..", "1/1M,>5"]
)
def test_what_is_no_price_is_refused(text: str) -> None:
    with pytest.raises(BadPrice):
        Price.parsed(text, "pages")
