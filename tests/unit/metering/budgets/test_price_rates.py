"""What an application reserves for a call by its tenant's plan: never less than the call will be charged."""

from __future__ import annotations

from decimal import Decimal

import pytest

from spanmeter.metering.budgets.call_rates import CallRates, Model, TokenRates
from spanmeter.metering.budgets.price_rates import price_rates
from spanmeter.metering.plans.plan_file import read_plan

COST = CallRates(
    TokenRates(*map(Decimal, ("0.000002", "0.000008", "0.000004", "0.000012"))),
    {"web_searches": Decimal("0.01")},
    "USD",
)
MODEL = Model("openai", "chat", "gpt-4o", "acme")

HEADER = 'plan = "p"\ncurrency = "USD"\n'


def charge(unit: str, price: str, when: str = "", name: str = "c") -> str:
    return f'[[charge]]\nname = "{name}"\nunit = "{unit}"\nprice = {price}\n{when and f"when = {when}"}\n'


def markup(percent: str, when: str = "") -> str:
    return f'[[charge]]\nname = "m"\nmarkup = "{percent}"\n{when and f"when = {when}"}\n'


DISCOUNT = '[[discount]]\nname = "d"\npercent = "10%"\n'
LONG = charge("input_tokens", '"1/1M,>100k:2,>200k:3"')

PLANS: dict[str, tuple[str, str, dict[str, str] | None]] = {
    "nothing": ("", "0 0 0 0", {}),
    "markup": (markup("50%"), "0.000003 0.000012 0.000006 0.000018", {"web_searches": "0.015"}),
    "less a discount": (markup("50%") + DISCOUNT, "0.0000027 0.0000108 0.0000054 0.0000162", None),
    # The tier that the longest of usual prompts reaches, and that of all tokens.
    "tiers by input": (LONG, "0.000002 0 0.000003 0", {}),
    "all tokens": (charge("tokens", '"5/1M"'), "0.000005 0.000005 0.000005 0.000005", {}),
    "not for it": (charge("requests", "0.5", '{ model = "o3" }'), "0 0 0 0", {"requests": "0"}),
    # A feature is not told of: it may be that one.
    "perhaps for it": (
        charge("requests", "0.5", '{ feature = "search", tenant = "acme" }')
        + charge("requests", "0.1", name="d")
        + charge("requests", "9", name="e"),
        "0 0 0 0",
        {"requests": "0.5"},
    ),
}  # fmt: skip


@pytest.mark.parametrize(("charges", "tokens", "units"), PLANS.values(), ids=PLANS)
def test_rates_are_the_dearest_that_may_be(
    charges: str, tokens: str, units: dict[str, str] | None
) -> None:
    found = price_rates(read_plan(HEADER + charges), MODEL, COST)
    assert found is not None
    assert list(found.tokens) == [Decimal(each) for each in tokens.split()]
    if units is not None:
        told = {"web_searches": "0", **units}
        assert found.units == {unit: Decimal(each) for unit, each in told.items()}


def test_a_markup_needs_a_cost() -> None:
    assert price_rates(read_plan(HEADER + markup("50%")), MODEL, None) is None
    perhaps = HEADER + markup("50%", '{ feature = "search" }')
    assert price_rates(read_plan(perhaps), MODEL, None) is None
    by_call = price_rates(read_plan(HEADER + charge("requests", "1")), MODEL, None)
    assert by_call == CallRates(TokenRates(), {"requests": Decimal(1)}, "USD")
    # What it costs in another currency is not in the bill.
    euros = COST._replace(currency="EUR")
    found = price_rates(read_plan(HEADER + markup("50%")), MODEL, euros)
    assert found == CallRates(TokenRates(), {}, "USD")
