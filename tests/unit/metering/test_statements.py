"""Statements with amounts worked out by hand."""

from __future__ import annotations

from decimal import Decimal

import pytest

from spanmeter.metering.plans.plan import PlanVersion
from spanmeter.metering.plans.plan_book import Assignment, PlanBook
from spanmeter.metering.plans.plan_file import read_plan
from spanmeter.metering.statements.course import TwoCurrencies
from spanmeter.metering.statements.late import late_lines
from spanmeter.metering.statements.statement import Statement
from spanmeter.metering.statements.usage import Action, ActionCall
from unit.metering.charging import BEGIN, NOVEMBER, book_of, charged, november, shown, usage

TOKENS = """
plan = "pro"
currency = "USD"

[[charge]]
name = "input"
unit = "input_tokens"
price = "3.00/1M"
included = "1M"
"""


def test_a_call_that_straddles_the_allowance_is_split() -> None:
    """1M included: 900 000 are free; of the next 300 000 the first 100 000 are, and 200 000 cost 3.00/1M = 0.60."""
    rows = [usage(november(2), input_tokens=900_000), usage(november(3), input_tokens=300_000)]
    assert shown(charged(book_of(TOKENS), rows)) == [
        ("included", "input", "1000000", "0"),
        ("usage", "input", "200000", "0.6"),
    ]


def test_included_usage_burns_the_allowance_and_is_never_charged() -> None:
    """The trial's 700 000 are free and leave 300 000: of 500 000 then 200 000 cost 0.60; 9M more of it cost nothing."""
    rows = [
        usage(november(1), input_tokens=700_000, state="included"),
        usage(november(2), input_tokens=500_000),
        usage(november(3), input_tokens=9_000_000, state="included"),
        usage(november(4), input_tokens=9_000_000, state="ignored", cost="4"),
    ]
    found = charged(book_of(TOKENS), rows)
    assert shown(found) == [
        ("included", "input", "10000000", "0"),
        ("usage", "input", "200000", "0.6"),
    ]
    assert found.cost == {"USD": Decimal(4)}


def test_parts_with_a_price_of_their_own_are_not_charged_twice() -> None:
    """Of 1M input 400 000 are read from the cache at 0.30/1M = 0.12; 600 000 at 3.00/1M = 1.80; output 9.00/1M."""
    plan = """
plan = "pro"
currency = "USD"
[[charge]]
name = "input"
unit = "input_tokens"
price = "3.00/1M"
[[charge]]
name = "cached"
unit = "cache_read_input_tokens"
price = "0.30/1M"
[[charge]]
name = "output"
unit = "output_tokens"
price = "9.00/1M"
"""
    row = usage(
        november(1),
        input_tokens=1_000_000,
        cache_read_input_tokens=400_000,
        output_tokens=1_000_000,
    )
    assert shown(charged(book_of(plan), [row])) == [
        ("usage", "input", "600000", "1.8"),
        ("usage", "cached", "400000", "0.12"),
        ("usage", "output", "1000000", "9"),
    ]


@pytest.mark.parametrize(
    ("mode", "lines"),
    [
        # 100 at 1.00, 400 at 0.80, 100 at 0.50: 100 + 320 + 50.
        (
            "graduated",
            [
                ("usage", "calls", "100", "100"),
                ("usage", "calls", "400", "320"),
                ("usage", "calls", "100", "50"),
            ],
        ),
        # All 600 at 0.50.
        ("volume", [("usage", "calls", "600", "300")]),
    ],
)
def test_tiers(mode: str, lines: list[tuple[str, str, str, str]]) -> None:
    plan = f"""
plan = "pro"
currency = "USD"
[[charge]]
name = "calls"
unit = "requests"
mode = "{mode}"
tiers = [{{ up_to = 100, price = 1.00 }}, {{ up_to = 500, price = 0.80 }}, {{ price = 0.50 }}]
"""
    rows = [usage(november(day), requests=150) for day in (1, 2, 3, 4)]
    assert shown(charged(book_of(plan), rows)) == lines


def test_markups_go_by_model_and_what_has_no_cost_is_said() -> None:
    """Premium: 2.00 + 50 % = 3.00; the rest: 1.00 + 30 % = 1.30. An unpriced call is a line without an amount."""
    plan = """
plan = "pro"
currency = "USD"
[[charge]]
name = "premium"
markup = "50%"
when = { model = { glob = "*opus*" } }
[[charge]]
name = "rest"
markup = "30%"
"""
    rows = [
        usage(november(1), model="claude-opus-4", cost="2"),
        usage(november(2), model="gpt-4o-mini", cost="1"),
        usage(november(3), model="house-model", unpriced=1),
        usage(november(4), model="mistral", cost="7", currency="EUR"),
    ]
    found = charged(book_of(plan), rows)
    assert shown(found) == [
        ("usage", "premium", "2", "3"),
        ("usage", "rest", "1", "1.3"),
        ("unpriced", "rest: no rate is known", "-", "-"),
        ("unpriced", "rest: the cost is in EUR", "7", "-"),
    ]
    assert found.amount == Decimal("4.3")


def test_a_plan_change_in_the_month_shares_fees_and_allowances_by_time() -> None:
    """10 of 30 days at 90.00 are 30.00, 20 at 300.00 are 200.00.

    Included are 30 * 10/30 = 10 calls of basic and 60 * 20/30 = 40 of pro: of 15 and 45 calls 5 cost 1.00 each, and 5
    cost 0.50.
    """
    basic = plan_of("basic", fee=90, price="1.00", included=30)
    pro = plan_of("pro", fee=300, price="0.50", included=60)
    book = book_of(basic, pro)
    changed = PlanBook(
        book.versions, [*book.assignments, Assignment("acme", "pro", november(11, 0), BEGIN)]
    )
    rows = [usage(november(5), requests=15), usage(november(15), requests=45)]
    assert shown(charged(changed, rows)) == [
        ("included", "calls", "10", "0"),
        ("usage", "calls", "5", "5"),
        ("fee", "fee", "-", "30"),
        ("included", "calls", "40", "0"),
        ("usage", "calls", "5", "2.5"),
        ("fee", "fee", "-", "200"),
    ]


def plan_of(name: str, *, fee: int, price: str, included: int) -> str:
    return f"""
plan = "{name}"
currency = "USD"
fee = {fee}
[[charge]]
name = "calls"
unit = "requests"
price = {price}
included = {included}
"""


def test_a_new_version_in_the_month_goes_on_counting() -> None:
    """Of 30 included 20 are used before the change; 10 are left. Then 15 calls are 5 at the new price of 2.00."""
    old, new = (plan_of("pro", fee=0, price=price, included=30) for price in ("1.00", "2.00"))
    versions = [
        PlanVersion(read_plan(old), 1, BEGIN, BEGIN),
        PlanVersion(read_plan(new), 2, november(11, 0), BEGIN),
    ]
    book = PlanBook(versions, [Assignment(None, "pro", BEGIN, BEGIN)])
    rows = [usage(november(5), requests=20), usage(november(15), requests=15)]
    assert shown(charged(book, rows)) == [
        ("included", "calls", "20", "0"),
        ("included", "calls", "10", "0"),
        ("usage", "calls", "5", "10"),
    ]


REPORTS = """
plan = "pro"
currency = "USD"
[[charge]]
name = "report-premium"
action = "report"
price = 2.00
when = { model = { glob = "*opus*" } }
[[charge]]
name = "report"
action = "report"
price = 0.50
[[charge]]
name = "llm"
markup = "30%"
"""


def action(key: str, *models: str, **told: object) -> Action:
    # The columns that the plan looks at: action, model.
    calls = tuple(ActionCall(("report", model), "billable") for model in models)
    return Action(november(2), "report", key, calls, **told)  # type: ignore[arg-type]


def test_an_action_is_charged_once_and_its_calls_are_not() -> None:
    """Two reports of which one used opus: 0.50 + 2.00. Their three calls cost us 3.00, and are not marked up."""
    rows = [usage(november(2), action="report", model="gpt-5", cost="1") for _ in range(3)]
    rows += [usage(november(3), model="gpt-5", cost="1")]
    actions = [action("a", "gpt-5", "gpt-5"), action("b", "gpt-5", "claude-opus-4")]
    found = charged(book_of(REPORTS), rows, actions=actions)
    assert shown(found) == [
        ("usage", "report-premium", "1", "2"),
        ("usage", "report", "1", "0.5"),
        ("usage", "llm", "1", "1.3"),
    ]
    assert found.cost == {"USD": Decimal(4)}


def test_a_refunded_action_is_not_charged_and_the_next_one_is() -> None:
    actions = [action("a", "gpt-5", refunded=True), action("a", "gpt-5")]
    assert shown(charged(book_of(REPORTS), [], actions=actions)) == [
        ("usage", "report", "1", "0.5")
    ]


def test_what_corrections_take_off_comes_off_what_is_paid_first() -> None:
    """1.2M: 1M included, 0.2M paid. Less 0.3M: nothing is paid, 0.9M are included. Then 0.2M: 0.1M paid again."""
    rows = [
        usage(november(1), input_tokens=1_200_000),
        usage(november(2), input_tokens=-300_000),
        usage(november(3), input_tokens=200_000),
    ]
    assert shown(charged(book_of(TOKENS), rows)) == [
        ("included", "input", "1000000", "0"),
        ("usage", "input", "100000", "0.3"),
    ]


def test_without_a_plan_that_is_said() -> None:
    found = charged(PlanBook([]), [usage(november(1), cost="3")])
    statement = Statement(tenant_id="acme", month="2026-11", as_of=NOVEMBER, own=found)
    assert shown(found) == [("no_plan", "no plan", "-", "-")]
    assert statement.total is None


def test_two_currencies_in_a_period_are_refused() -> None:
    book = book_of('plan = "a"\ncurrency = "USD"\n', 'plan = "b"\ncurrency = "EUR"\n')
    changed = PlanBook(
        book.versions, [*book.assignments, Assignment("acme", "b", november(5), BEGIN)]
    )
    with pytest.raises(TwoCurrencies, match="from EUR to USD"):
        charged(changed, [])


def test_the_total_is_rounded_once_and_the_lines_add_up_to_it() -> None:
    """0.004 + 0.004 + 0.004 = 0.012, so 0.01: the first of equal remainders has it. Each by itself would be 0.00."""
    plan = 'plan = "pro"\ncurrency = "USD"\n' + "".join(
        f'[[charge]]\nname = "{unit}"\nunit = "{unit}"\nprice = 0.004\n'
        for unit in ("images", "pages", "searches")
    )
    found = charged(book_of(plan), [usage(november(1), images=1, pages=1, searches=1)])
    statement = Statement(tenant_id="acme", month="2026-11", as_of=NOVEMBER, own=found)
    assert statement.total == Decimal("0.01")
    assert statement.rounded == [Decimal("0.01"), Decimal("0.00"), Decimal("0.00")]


def test_what_comes_late_is_the_difference_of_the_whole_period() -> None:
    """0.9M were within the 1M included. 0.3M more make 0.2M paid: 0.60."""
    before = charged(book_of(TOKENS), [usage(november(1), input_tokens=900_000)])
    now = charged(
        book_of(TOKENS),
        [usage(november(1), input_tokens=900_000), usage(november(2), input_tokens=300_000)],
    )
    (line,) = late_lines("2026-11", before.lines, now.lines)
    assert (line.name, line.quantity, line.amount) == (
        "2026-11: input",
        Decimal(200_000),
        Decimal("0.6"),
    )
