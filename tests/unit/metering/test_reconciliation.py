"""A bill of each kind of fault beside the books, and that the causes always add up."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanmeter.metering.reconciliation.bill import (
    CACHE_READ,
    OUTPUT,
    UNCACHED_INPUT,
    Bill,
    BillLine,
    Cell,
    UnreadableBill,
    currency_of,
    tier_named,
)
from spanmeter.metering.reconciliation.booked import Booked, Books, Crossing
from spanmeter.metering.reconciliation.waterfall import Reconciliation, reconcile

DAY = date(2026, 11, 20)
NEXT = DAY + timedelta(days=1)
MODEL = "claude-sonnet-4-5"
PRICES = {
    UNCACHED_INPUT: Decimal("0.000003"),
    CACHE_READ: Decimal("0.0000003"),
    OUTPUT: Decimal("0.000015"),
}
CELL = Cell(DAY, None, MODEL, "standard")


def lines(
    used: Mapping[str, int], cell: Cell = CELL, times: str = "1", places: int | None = None
) -> list[BillLine]:
    """What a provider would bill, at so many times the list price, rounded to so many places."""
    amounts = {kind: PRICES[kind] * n * Decimal(times) for kind, n in used.items()}
    return [
        BillLine(
            day=cell.day,
            account=cell.account,
            model=cell.model,
            tier=cell.tier,
            kind=kind,
            quantity=Decimal(used[kind]),
            amount=amount if places is None else round(amount, places),
        )
        for kind, amount in amounts.items()
    ]


def worth(used: Mapping[str, int]) -> Decimal:
    return sum((PRICES[kind] * n for kind, n in used.items()), Decimal())


def booked(used: Mapping[str, int]) -> Booked:
    """What a ledger would hold of it, for tenants, at the list price."""
    return Booked(attributed=worth(used), priced=_decimals(used), requests=1)


def explained(
    billed: list[BillLine], cells: Mapping[Cell, Booked], *crossings: Crossing
) -> Reconciliation:
    bill = Bill("anthropic", tuple(billed))
    return reconcile(bill, Books(cells, crossings), [DAY, NEXT], lambda cell: PRICES)


def causes(result: Reconciliation) -> dict[str, Decimal]:
    return {cause: amount for cause, amount in result.by_cause().items() if amount}


def _decimals(used: Mapping[str, int]) -> dict[str, Decimal]:
    return {kind: Decimal(n) for kind, n in used.items()}


USED = {UNCACHED_INPUT: 1_000_000, CACHE_READ: 500_000, OUTPUT: 200_000}


def test_books_that_are_right_leave_nothing_to_explain() -> None:
    result = explained(lines(USED), {CELL: booked(USED)})

    assert causes(result) == {}
    assert result.attributed == result.billed == Decimal("6.15")


def test_missing_calls_are_what_only_the_bill_has() -> None:
    more = {kind: n + 1000 for kind, n in USED.items()}

    result = explained(lines(more), {CELL: booked(USED)})

    assert causes(result) == {"missing": Decimal("0.0183")}
    assert result.variances[0].quantities == dict.fromkeys(sorted(USED), Decimal(1000))


def test_a_model_that_the_ledger_has_never_seen_is_missing() -> None:
    assert causes(explained(lines(USED), {})) == {"missing": Decimal("6.15")}


def test_a_model_that_the_bill_does_not_have_was_not_billed() -> None:
    assert causes(explained([], {CELL: booked(USED)})) == {"not_billed": Decimal("-6.15")}


def test_calls_that_the_ledger_has_twice_are_duplicates() -> None:
    twice = {kind: n * 2 for kind, n in USED.items()}
    books = Booked(attributed=worth(twice), priced=_decimals(twice), duplicates=_decimals(USED))

    assert causes(explained(lines(USED), {CELL: books})) == {"duplicate": Decimal("-6.15")}


def test_suspects_that_the_bill_has_as_well_are_no_duplicates() -> None:
    books = Booked(attributed=worth(USED), priced=_decimals(USED), duplicates=_decimals(USED))

    assert causes(explained(lines(USED), {CELL: books})) == {}


def test_unattributed_and_late_costs_are_part_of_the_bill() -> None:
    books = Booked(
        attributed=Decimal("6.00"),
        unattributed=Decimal("0.10"),
        late=Decimal("0.05"),
        priced=_decimals(USED),
    )

    assert causes(explained(lines(USED), {CELL: books})) == {
        "unattributed": Decimal("0.1"),
        "late": Decimal("0.05"),
    }


def test_what_has_no_rate_is_worth_what_the_provider_takes_for_it() -> None:
    books = Booked(unpriced=_decimals(USED), unpriced_requests=7, requests=7)

    assert causes(explained(lines(USED), {CELL: books})) == {"unpriced": Decimal("6.15")}


def test_the_same_usage_at_another_price_is_rate_drift() -> None:
    result = explained(lines(USED, times="1.03"), {CELL: booked(USED)})

    assert causes(result) == {"rate_drift": Decimal("0.1845")}


def test_the_same_usage_at_another_tier_is_a_tier_mismatch() -> None:
    batch = CELL._replace(tier="batch")

    result = explained(lines(USED, batch, times="0.5"), {CELL: booked(USED)})

    assert causes(result) == {"tier_mismatch": Decimal("-3.075")}


def test_input_that_the_provider_had_cached_is_a_cache_mismatch() -> None:
    uncached = {**USED, UNCACHED_INPUT: 1_100_000, CACHE_READ: 400_000}

    result = explained(lines(USED), {CELL: booked(uncached)})

    assert causes(result) == {"cache_mismatch": Decimal("-0.27")}
    assert result.variances[0].quantities == {CACHE_READ: 100_000, UNCACHED_INPUT: -100_000}


def test_calls_that_pass_midnight_are_late_and_add_up_to_nothing() -> None:
    passed = {UNCACHED_INPUT: 10_000, OUTPUT: 1_000}
    tomorrow = CELL._replace(day=NEXT)
    before = {**USED, UNCACHED_INPUT: 990_000, OUTPUT: 199_000}
    after = {**USED, UNCACHED_INPUT: 1_010_000, OUTPUT: 201_000}

    result = explained(
        lines(before) + lines(after, tomorrow),
        {CELL: booked(USED), tomorrow: booked(USED)},
        Crossing(CELL, NEXT, _decimals(passed)),
    )

    assert causes(result) == {}
    assert {(v.cell.day, v.cause, v.amount) for v in result.variances} == {
        (DAY, "late", Decimal("-0.045")),
        (NEXT, "late", Decimal("0.045")),
    }


def test_calls_that_pass_the_end_of_the_period_are_late_on_its_last_day() -> None:
    passed = {UNCACHED_INPUT: 10_000}
    last = CELL._replace(day=NEXT)

    result = explained(
        lines({**USED, UNCACHED_INPUT: 990_000}, last),
        {last: booked(USED)},
        Crossing(last, NEXT + timedelta(days=1), _decimals(passed)),
    )

    assert causes(result) == {"late": Decimal("-0.03")}


def test_amounts_that_the_provider_rounded_are_rounding() -> None:
    used = {UNCACHED_INPUT: 5_003, OUTPUT: 333}

    result = explained(lines(used, places=2), {CELL: booked(used)})

    assert causes(result) == {"rounding": Decimal("0.02") - Decimal("0.020004")}
    assert result.billed == Decimal("0.02")


def test_a_sum_without_quantities_is_not_explained_but_shown() -> None:
    sum_only = BillLine(DAY, MODEL, None, None, Decimal(7))

    assert causes(explained([sum_only], {CELL: booked(USED)})) == {"unexplained": Decimal("0.85")}


def test_an_amount_of_which_the_quantity_is_not_told_is_compared_with_what_is_booked() -> None:
    amounts = [line._replace(quantity=None) for line in lines(USED, times="1.1")]

    assert causes(explained(amounts, {CELL: booked(USED)})) == {"rate_drift": Decimal("0.615")}


def test_an_amount_that_does_not_tell_tiers_is_divided_by_what_each_is_worth() -> None:
    batch = CELL._replace(tier="batch")
    half = {kind: price / 2 for kind, price in PRICES.items()}
    quantities = [line._replace(amount=None) for line in lines(USED) + lines(USED, batch)]
    amounts = [line._replace(quantity=None, tier=None) for line in lines(USED, times="1.5")]
    books = {
        CELL: booked(USED),
        batch: Booked(attributed=worth(USED) / 2, priced=_decimals(USED)),
    }

    result = reconcile(
        Bill("openai", (*quantities, *amounts)),
        Books(books),
        [DAY],
        lambda cell: half if cell.tier == "batch" else PRICES,
    )

    assert causes(result) == {}


def test_two_currencies_are_never_added() -> None:
    line = lines(USED)[0]
    with pytest.raises(UnreadableBill, match="EUR and USD"):
        currency_of([line, line._replace(currency="EUR")])


@pytest.mark.parametrize("name", [None, "default", "Standard", "auto", "on_demand"])
def test_the_list_price_has_one_name(name: str | None) -> None:
    assert tier_named(name) == "standard"


COUNTS = st.integers(0, 10**7)
KINDS = st.dictionaries(st.sampled_from([*PRICES, "web_searches"]), COUNTS)
CELLS = st.builds(
    Cell,
    st.sampled_from([DAY, NEXT]),
    st.none(),
    st.sampled_from([MODEL, "other", None]),
    st.sampled_from(["standard", "batch"]),
)
MONEY = st.decimals(0, 1000, places=9)


@st.composite
def bill_lines(draw: st.DrawFn) -> BillLine:
    cell = draw(CELLS)
    quantity = draw(st.none() | COUNTS.map(Decimal))
    return BillLine(
        day=cell.day,
        model=cell.model,
        tier=draw(st.sampled_from([cell.tier, None])),
        kind=draw(st.none() | st.sampled_from([*PRICES, "web_searches"])),
        quantity=quantity,
        amount=draw(MONEY if quantity is None else st.none() | MONEY),
    )


BOOKED = st.builds(
    Booked,
    attributed=MONEY,
    unattributed=MONEY,
    late=MONEY,
    priced=KINDS.map(_decimals),
    unpriced=KINDS.map(_decimals),
    duplicates=KINDS.map(_decimals),
    requests=st.integers(0, 9),
)
CROSSINGS = st.builds(
    Crossing,
    CELLS,
    st.sampled_from([DAY, NEXT, NEXT + timedelta(days=1)]),
    KINDS.map(_decimals),
).filter(lambda crossing: crossing.ended > crossing.cell.day)


@given(st.lists(bill_lines()), st.dictionaries(CELLS, BOOKED), st.lists(CROSSINGS, max_size=4))
def test_whatever_is_billed_and_booked_the_causes_add_up_to_the_bill(
    billed: list[BillLine], cells: dict[Cell, Booked], crossings: list[Crossing]
) -> None:
    bill = Bill("anthropic", tuple(billed))

    result = reconcile(bill, Books(cells, tuple(crossings)), [DAY, NEXT], lambda cell: PRICES)

    assert result.attributed + sum(result.by_cause().values()) == result.billed
    assert result.attributed == sum((sums.attributed for sums in cells.values()), Decimal())
    assert abs(result.billed - bill.total) < Decimal("1e-9")
    for cell in result.cells:
        assert cell.attributed + sum(v.amount for v in cell.variances) == cell.billed
