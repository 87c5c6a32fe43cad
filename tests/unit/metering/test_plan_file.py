"""Plans as files: what can be read, what is refused and where, and the price of one event."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path

import pytest

from booking import event
from spanmeter.metering.billable_conditions import RulesError
from spanmeter.metering.plans.plan_file import read_plan
from spanmeter.metering.plans.price_of import price_of

PAGE = Path(__file__).parents[3] / "docs" / "plans.md"
HEAD = 'plan = "pro"\ncurrency = "USD"\n'


def test_every_plan_of_the_documentation_can_be_read() -> None:
    blocks = re.findall(r"^```toml\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert len(blocks) == 2
    for block in blocks:
        text = block if block.startswith("plan") else HEAD + block
        assert read_plan(text).charges


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "plan: it must be"),
        ("x = 1", "the file, x: there is no such key"),
        ('plan = "pro"\ncurrency = "dollars"', "currency: it must be a currency"),
        (HEAD + 'time_zone = "Mars/Base"', "time_zone: 'Mars/Base' is no time zone"),
        (HEAD + "anchor_day = 0", "anchor_day"),
        (HEAD + "fee = -1", "fee"),
        (HEAD + '[[charge]]\nname = "a"', "charge 'a': it needs one of unit, action and markup"),
        (HEAD + '[[charge]]\nname = "a"\nunit = "images"', "it needs either price or tiers"),
        (
            HEAD + '[[charge]]\nname = "a"\nunit = "input_tokens"\nprice = 3',
            "the price of input_tokens needs a count",
        ),
        (
            HEAD + '[[charge]]\nname = "a"\nunit = "tokens"\nprice = 3',
            "needs a count",
        ),
        (
            HEAD + '[[charge]]\nname = "a"\nunit = "images"\ntiers = [{ up_to = 5, price = 1 }]',
            "the last has none",
        ),
        (
            HEAD
            + '[[charge]]\nname = "a"\nunit = "images"\n'
            + "tiers = [{ up_to = 5, price = 1 }, { up_to = 5, price = 1 }, { price = 1 }]",
            "each must end above the one before",
        ),
        (HEAD + '[[charge]]\nname = "a"\nmarkup = "lots"', "charge 'a', markup: 'lots' is no"),
        (HEAD + '[[charge]]\nname = "a"\nmarkup = "-101%"', "more than all of the cost"),
        (
            HEAD + '[[charge]]\nname = "a"\nmarkup = "1%"\nincluded = 5',
            "charge 'a', included: a markup has none",
        ),
        (
            HEAD + '[[charge]]\nname = "a"\nmarkup = "1%"\nwhen = { moon = "full" }',
            "charge 'a', moon: nothing is known by that name",
        ),
        (
            HEAD + '[[charge]]\nname = "a"\nmarkup = "1%"\n' * 2,
            "charge 2, name: 'a' is the name of an earlier one",
        ),
        (
            HEAD
            + '[[charge]]\nname = "a"\nunit = "audio_input_tokens"\nprice = "1/1M"\n'
            + '[[charge]]\nname = "b"\nunit = "cache_read_input_tokens"\nprice = "1/1M"\n',
            "they may be the same tokens",
        ),
        (HEAD + '[[grant]]\nname = "g"\namount = "5 EUR"', "the plan is in USD"),
        (HEAD + '[[grant]]\nname = "g"\namount = "5"', 'write "25 USD"'),
        (HEAD + '[[discount]]\nname = "d"\npercent = "5%"\ncharges = ["x"]', "no charge 'x'"),
        (HEAD + '[[discount]]\nname = "d"\npercent = "101%"', "at most 100"),
        (HEAD + "[" * 5000, "TOML"),
        (HEAD + "fee = 1" + "0" * 60, "fee"),
        ("#" * 300_000, "larger than 256 KiB"),
    ],
)
def test_what_cannot_be_used_is_refused_by_its_place(text: str, told: str) -> None:
    with pytest.raises(RulesError, match=re.escape(told)):
        read_plan(text)


PRICED = (
    HEAD
    + """
[[charge]]
name = "input"
unit = "input_tokens"
price = "2.00/1M,>200k:4.00"
included = "1M"
[[charge]]
name = "cached"
unit = "cache_read_input_tokens"
price = "0.50/1M"
[[charge]]
name = "calls"
unit = "requests"
tiers = [{ up_to = 10, price = 0.01 }, { price = 0.001 }]
[[charge]]
name = "report"
action = "report"
price = 5
[[charge]]
name = "llm"
markup = "50%"
when = { feature = "chat" }
"""
)


@pytest.mark.parametrize(
    ("told", "price"),
    [
        # 800 at 2.00 and 200 cached at 0.50 a million, and one call at 0.01: 0.0016 + 0.0001 + 0.01.
        ({}, "0.0117"),
        # And 0.001525 + 50 %.
        ({"feature": "chat"}, "0.0139875"),
        # 299 800 at 4.00 a million, as the input is over 200k: 1.1992 + 0.0001 + 0.01.
        ({"input_tokens": 300_000}, "1.2093"),
        ({"billable_state": "included"}, "0"),
        ({"action": "report"}, "0"),
        ({"feature": "chat", "cost": None}, None),
        ({"feature": "chat", "currency": "EUR"}, None),
    ],
)
def test_the_price_of_one_event(told: dict[str, object], price: str | None) -> None:
    assert price_of(event(**told), read_plan(PRICED)) == (None if price is None else Decimal(price))
