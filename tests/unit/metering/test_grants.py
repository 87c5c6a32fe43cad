"""Grants, with amounts worked out by hand: order, expiry, rollover, and what they pay for."""

from __future__ import annotations

from decimal import Decimal

from spanmeter.metering.plans.grants import Grant
from unit.metering.charging import BEGIN, book_of, charged, november, shown, usage

TOKENS = """
plan = "pro"
currency = "USD"

[[charge]]
name = "input"
unit = "input_tokens"
price = "3.00/1M"
included = "1M"
"""


def grant(amount: str, unit: str, **told: object) -> Grant:
    defaults: dict[str, object] = {
        "grant_id": "g1",
        "tenant_id": "acme",
        "kind": "credit",
        "effective_at": BEGIN,
        "recorded_at": BEGIN,
    }
    return Grant(unit=unit, amount=Decimal(amount), **{**defaults, **told})  # type: ignore[arg-type]


def test_a_credit_that_expires_pays_only_for_what_was_before() -> None:
    """10 USD until November 11: of 4.00 before it pays all; 6.00 are lost; the 5.00 after are owed."""
    plan = 'plan = "pro"\ncurrency = "USD"\n[[charge]]\nname = "llm"\nmarkup = "0%"\n'
    rows = [usage(november(5), cost="4"), usage(november(20), cost="5")]
    expiring = grant("10", "USD", expires_at=november(11, 0))
    found = charged(book_of(plan), rows, grants=[expiring])
    assert shown(found) == [("usage", "llm", "9", "9"), ("credit", "credit g1", "-", "-4")]
    assert found.left == {"g1": Decimal(6)}


def test_grants_are_used_by_priority_then_expiry_then_age() -> None:
    """12.00 are owed: 3 of the first in priority, 4 of what expires first, 5 of the older of the rest."""
    plan = 'plan = "pro"\ncurrency = "USD"\n[[charge]]\nname = "llm"\nmarkup = "0%"\n'
    grants = [
        grant("9", "USD", grant_id="younger", effective_at=november(1)),
        grant("9", "USD", grant_id="older"),
        grant("4", "USD", grant_id="expiring", expires_at=november(29)),
        grant("3", "USD", grant_id="first", priority=1),
    ]
    found = charged(book_of(plan), [usage(november(5), cost="12")], grants=grants)
    assert found.left == {"first": 0, "expiring": 0, "older": 4, "younger": 9}


def test_a_grant_of_tokens_is_shared_and_what_straddles_it_is_split() -> None:
    """1000 tokens: 800 input, then of 300 output the first 200; 100 output at 0.01 are 1.00."""
    plan = """
plan = "pro"
currency = "USD"
[[charge]]
name = "input"
unit = "input_tokens"
price = "0.001/1"
[[charge]]
name = "output"
unit = "output_tokens"
price = "0.01/1"
[[grant]]
name = "monthly"
amount = "1000 tokens"
"""
    rows = [usage(november(1), input_tokens=800), usage(november(2), output_tokens=300)]
    assert shown(charged(book_of(plan), rows)) == [
        ("granted", "input (pro/monthly)", "800", "0"),
        ("granted", "output (pro/monthly)", "200", "0"),
        ("usage", "output", "100", "1"),
    ]


def test_what_is_left_of_a_recurring_grant_rolls_over_within_bounds() -> None:
    """100 a month, at most 30 of what is left go along: 100 - 20 = 80 left, so 130 in the next."""
    plan = """
plan = "pro"
currency = "USD"
[[charge]]
name = "calls"
unit = "requests"
price = 1
[[grant]]
name = "calls"
amount = "100 requests"
rollover_max = 30
"""
    book = book_of(plan)
    first = charged(book, [usage(november(1), requests=20)])
    assert first.left == {"pro/calls": Decimal(80)}
    second = charged(book, [usage(november(1), requests=150)], before=first.left)
    assert shown(second) == [
        ("granted", "calls (pro/calls)", "130", "0"),
        ("usage", "calls", "20", "20"),
    ]


def test_minimum_discount_and_credit_come_in_this_order() -> None:
    """80.00 less 10 % are 72.00; 28.00 are missing to 100.00; the fee is 9.00; 50.00 are paid."""
    plan = """
plan = "pro"
currency = "USD"
fee = 9
minimum = 100
[[charge]]
name = "calls"
unit = "requests"
price = 0.80
[[discount]]
name = "launch"
percent = "10%"
"""
    found = charged(book_of(plan), [usage(november(1), requests=100)], grants=[grant("50", "USD")])
    assert shown(found) == [
        ("usage", "calls", "100", "80"),
        ("discount", "launch", "-", "-8"),
        ("fee", "fee", "-", "9"),
        ("minimum", "minimum", "-", "28"),
        ("credit", "credit g1", "-", "-50"),
    ]
    assert found.amount == 59
