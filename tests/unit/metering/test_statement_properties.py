"""What holds for every statement: lines sum to the total, sums are as good as rows, periods add up, replays agree."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from spanmeter.metering.costing import EXACT
from spanmeter.metering.plans.grants import Grant
from spanmeter.metering.plans.plan_book import Assignment, PlanBook
from spanmeter.metering.statements.charging import charge
from spanmeter.metering.statements.course import Course
from spanmeter.metering.statements.rounding import rounded, smallest, spread
from spanmeter.metering.statements.statement import Charged, Statement, total_of
from spanmeter.metering.statements.usage import UsageItem
from unit.metering.charging import BEGIN, DECEMBER, NOVEMBER, book_of, charged, item

HOURS = (DECEMBER - NOVEMBER) // timedelta(hours=1)

LINEAR = """
plan = "linear"
currency = "USD"
[[charge]]
name = "premium"
markup = "37.5%"
when = { model = { glob = "*opus*" } }
[[charge]]
name = "rest"
markup = "10%"
[[charge]]
name = "input"
unit = "input_tokens"
price = "0.333/7"
[[charge]]
name = "cached"
unit = "cache_read_input_tokens"
price = "0.1/1k"
"""
RICH = """
plan = "rich"
currency = "USD"
fee = 19.99
minimum = 40
[[charge]]
name = "llm"
markup = "12.5%"
when = { feature = "chat" }
[[charge]]
name = "input"
unit = "input_tokens"
included = 500
tiers = [{ up_to = 1000, price = "0.333/7" }, { up_to = 3000, price = "0.02/1" }, { price = "0.01/1" }]
[[charge]]
name = "calls"
unit = "requests"
mode = "volume"
tiers = [{ up_to = 3, price = 0.7 }, { price = 0.5 }]
[[discount]]
name = "launch"
percent = "3.7%"
charges = ["input"]
"""

money = st.decimals(Decimal(-1), Decimal(5), places=9)
rows_of_usage = st.lists(
    st.fixed_dictionaries(
        {
            "time": st.integers(0, HOURS - 1).map(lambda hour: NOVEMBER + timedelta(hours=hour)),
            "model": st.sampled_from(["claude-opus-4", "gpt-4o", None]),
            "feature": st.sampled_from(["chat", "search"]),
            "cost": money,
            "input_tokens": st.integers(-300, 2000),
            "cache_read_input_tokens": st.integers(0, 100),
            "requests": st.integers(-1, 1),
            "state": st.sampled_from(["billable", "billable", "included", "ignored"]),
        }
    ),
    max_size=25,
)


def grants(amount: Decimal, expires: datetime) -> list[Grant]:
    told: dict[str, Any] = {"tenant_id": "acme", "recorded_at": BEGIN, "effective_at": BEGIN}
    return [
        Grant(grant_id="a", kind="credit", unit="USD", amount=amount, expires_at=expires, **told),
        Grant(grant_id="b", kind="credit", unit="USD", amount=amount, **told),
    ]


def statement_of(found: Charged) -> Statement:
    return Statement(tenant_id="acme", month="2026-11", as_of=DECEMBER, own=found)


def summed(book: PlanBook, rows: Sequence[dict[str, Any]], given_: Sequence[Grant]) -> Charged:
    """The same as `charged`, from sums between the cuts."""
    course = Course(book, "acme", NOVEMBER, DECEMBER, given_)
    wanted = course.wanted(included_usage=False)
    assert not wanted.ordered
    sums: defaultdict[tuple[object, ...], list[UsageItem]] = defaultdict(list)
    for each in (item(wanted, row) for row in rows):
        part = sum(cut <= each.time for cut in wanted.cuts)
        sums[part, *map(str, each.values), each.state].append(each)
    items = [_sum(of_key) for of_key in sums.values()]
    return charge(course, wanted, sorted(items, key=lambda each: each.time))


def _sum(items: Sequence[UsageItem]) -> UsageItem:
    first = min(items, key=lambda each: each.time)
    cost = Decimal(0)
    amounts = [Decimal(0) for _ in first.amounts]
    for each in items:
        cost = EXACT.add(cost, each.cost)
        amounts = [EXACT.add(a, b) for a, b in zip(amounts, each.amounts, strict=True)]
    calls = sum(each.calls for each in items)
    return first._replace(cost=cost, amounts=tuple(amounts), calls=calls)


@given(rows_of_usage, st.decimals(Decimal(0), Decimal(30), places=4), st.integers(1, 28))
def test_lines_sum_to_the_total(rows: list[dict[str, Any]], amount: Decimal, day: int) -> None:
    """Exactly before rounding, and to what is owed after it; each line is less than one unit off."""
    found = charged(book_of(RICH), rows, grants=grants(amount, NOVEMBER + timedelta(days=day)))
    statement = statement_of(found)
    assert statement.total is not None
    assert statement.unrounded == total_of(statement.lines)
    assert statement.total == rounded(statement.unrounded or Decimal(0), smallest("USD"))
    known = [each for each in statement.rounded if each is not None]
    assert sum(known) == statement.total
    for line, due in zip(statement.lines, statement.rounded, strict=True):
        assert line.amount is not None
        assert due is not None
        assert abs(line.amount - due) < smallest("USD")


@given(rows_of_usage, st.decimals(Decimal(0), Decimal(30), places=4), st.integers(1, 28))
def test_sums_are_as_good_as_rows_and_replays_agree(
    rows: list[dict[str, Any]], amount: Decimal, day: int
) -> None:
    """To the byte, with tiers, credits that expire, and a plan that changes."""
    rows = [row | {"state": "billable"} for row in rows]
    book = book_of(RICH, LINEAR)
    changed = PlanBook(
        book.versions,
        [*book.assignments, Assignment("acme", "linear", NOVEMBER + timedelta(days=day), BEGIN)],
    )
    given_ = grants(amount, NOVEMBER + timedelta(days=29 - day, hours=1))
    first = statement_of(charged(changed, rows, grants=given_))
    again = statement_of(charged(changed, list(reversed(rows)), grants=given_))
    sums = statement_of(summed(changed, rows, given_))
    assert first.digest == again.digest == sums.digest
    assert first.own.left == sums.own.left


@given(rows_of_usage, st.integers(1, HOURS - 1))
def test_adjacent_periods_equal_the_statement_over_both(
    rows: list[dict[str, Any]], hour: int
) -> None:
    """Where the plan has nothing that counts a period: unit prices and markups."""
    book, middle = book_of(LINEAR), NOVEMBER + timedelta(hours=hour)
    whole = _by_charge(charged(book, rows))
    parts = [charged(book, rows, until=middle), charged(book, rows, since=middle)]
    together: dict[str, Decimal] = {}
    for part in parts:
        for name, quantity in _by_charge(part).items():
            together[name] = EXACT.add(together.get(name, Decimal(0)), quantity)
    assert {name: each for name, each in together.items() if each} == {
        name: each for name, each in whole.items() if each
    }


def _by_charge(found: Charged) -> dict[str, Decimal]:
    """Quantities, which are exact; a price for 7 does not come out even."""
    return {each.name: each.quantity or Decimal(0) for each in found.lines if each.kind == "usage"}


@given(rows_of_usage)
def test_every_call_is_accounted_for(rows: list[dict[str, Any]]) -> None:
    found = charged(book_of(RICH), rows)
    assert sum(found.calls.values()) == len(rows)
    assert found.cost.get("USD", Decimal(0)) == sum((row["cost"] for row in rows), Decimal(0))


@given(st.lists(st.decimals(Decimal(-9), Decimal(9), places=5), min_size=1))
def test_spread_amounts_add_up(amounts: list[Decimal]) -> None:
    parts = spread(amounts, Decimal("0.01"))
    assert sum(parts) == rounded(sum(amounts, Decimal(0)), Decimal("0.01"))
    assert all(
        abs(one - other) < Decimal("0.01") for one, other in zip(parts, amounts, strict=True)
    )
