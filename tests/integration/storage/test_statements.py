"""Statements from real ledgers: read in every way, closed, late, restated."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from booking import adjust
from charged_ledger import (
    ACTIONS,
    AUGUST,
    BEGIN,
    MARKUP,
    OCTOBER,
    SEPTEMBER,
    at,
    booked,
    call,
    close,
    credit,
    plan,
    statement,
    statements,
)
from spanmeter.metering.plans.grants import Grant
from spanmeter.storage.closing_periods import CannotClose
from spanmeter.storage.connection import Connection, connect
from spanmeter.storage.grants import (
    NothingToRefund,
    Refund,
    UnknownGrant,
    add_grant,
    read_grants,
    refund_action,
    void_grant,
)
from spanmeter.storage.plans import assign, read_plan_book, set_plan
from spanmeter.storage.rollups import fold


@pytest.fixture
def connection(dsn: str) -> Generator[Connection]:
    with closing(connect(dsn)) as connection:
        yield connection


def test_a_statement_is_of_the_tenant_and_the_period(dsn: str, connection: Connection) -> None:
    """1.00 + 2.00 in September and 30 % on it: 3.90. August's 5.00, and globex's 7.00, are theirs."""
    plan(connection, MARKUP)
    booked(
        dsn,
        call(at(9, 1, 0), "1"),
        call(at(9, 30, 23), "2"),
        call(at(8, 31, 23), "5"),
        call(at(9, 10), "7", tenant_id="globex"),
    )
    found = statement(connection, SEPTEMBER)
    assert (found.total, found.own.cost) == (Decimal("3.90"), {"USD": Decimal(3)})
    assert statement(connection, SEPTEMBER, tenant="globex").total is None


def test_an_adjustment_counts_at_its_time_of_service(dsn: str, connection: Connection) -> None:
    plan(connection, MARKUP, tenant=None)
    booked(dsn, call(at(9, 10), "2"))
    adjust(dsn, time=at(9, 20), cost=Decimal(-1))
    assert statement(connection, SEPTEMBER).total == Decimal("1.30")


def test_sums_rollups_and_rows_come_to_the_same_to_the_byte(
    dsn: str, connection: Connection
) -> None:
    """Folded or not, as of now (rollups) or of a moment (sums); a grant that is for nothing makes it go row by row."""
    text = (
        MARKUP + '[[charge]]\nname = "in"\nunit = "input_tokens"\nprice = "3/1M"\nincluded = 5000\n'
    )
    plan(connection, text.replace('markup = "30%"', 'markup = "30%"\nwhen = { feature = "chat" }'))
    booked(
        dsn,
        *(
            call(
                at(9, 1 + n % 28), f"0.{n:03}1", feature=("chat", None)[n % 2], input_tokens=n * 100
            )
            for n in range(3, 60)
        ),
    )
    for folding in (False, True):
        if folding:
            fold(connection)
        quick = statement(connection, SEPTEMBER)
        summed = statement(connection, SEPTEMBER, as_of=quick.as_of)
        assert (summed.digest, summed.document()) == (quick.digest, quick.document())
    nothing = Grant(
        grant_id="none",
        tenant_id="acme",
        kind="topup",
        unit="unicorns",
        amount=Decimal(1),
        effective_at=BEGIN,
        recorded_at=BEGIN,
    )
    add_grant(connection, nothing, "ann")
    ordered = statement(connection, SEPTEMBER)
    assert [*ordered.lines] == [*quick.lines]
    assert ordered.total == quick.total


def test_an_action_is_charged_once_in_the_period_of_its_first_success(
    dsn: str, connection: Connection
) -> None:
    """Key a: failed, succeeded in September, and again in October. Key b fails only. Without it it is the trace."""
    plan(connection, ACTIONS)
    acted = {"action": "report", "billable_reason": "test"}
    trace = bytes(range(16))
    booked(
        dsn,
        call(at(9, 1), "1", idempotency_key="a", status="error", billable_state="ignored", **acted),
        call(at(9, 2), "1", idempotency_key="a", **acted),
        call(at(10, 2), "1", idempotency_key="a", **acted),
        call(at(9, 3), "1", idempotency_key="b", status="error", **acted),
        call(at(9, 4), "1", trace_id=trace, **acted),
        call(at(9, 4, 13), "1", trace_id=trace, **acted),
    )
    assert statement(connection, SEPTEMBER).total == Decimal("1.00")
    assert statement(connection, OCTOBER).total == Decimal("0.00")
    assert statement(connection, SEPTEMBER).own.cost == {"USD": Decimal(5)}


def test_a_refund_takes_it_back_and_the_retry_is_another_action(
    dsn: str, connection: Connection
) -> None:
    """September's report is refunded in October, when that is closed: -0.50 there; the retry costs 0.50 again."""
    plan(connection, ACTIONS)
    acted = {"action": "report", "idempotency_key": "a", "billable_reason": "test"}
    booked(dsn, call(at(9, 2), "1", **acted))
    assert close(connection, SEPTEMBER).total == Decimal("0.50")
    refund = Refund(
        tenant_id="acme", action="report", key="a", refunded_at=at(10, 1), reason="it was empty"
    )
    refund_action(connection, refund, "ann")
    with pytest.raises(NothingToRefund):
        refund_action(connection, refund, "ann")
    found = statement(connection, OCTOBER)
    assert [(each.kind, each.amount) for each in found.lines] == [("late", Decimal("-0.50"))]
    booked(dsn, call(at(10, 2), "1", **acted))
    assert statement(connection, OCTOBER).total == Decimal("0.00")


def test_what_is_booked_after_the_closing_is_late_in_the_next_statement(
    dsn: str, connection: Connection
) -> None:
    """September closes at 1.30. 2.00 come late: 2.60 in October, beside its own 3.90; September stays what it was."""
    plan(connection, MARKUP)
    booked(dsn, call(at(9, 10), "1"))
    closed = close(connection, SEPTEMBER)
    booked(dsn, call(at(9, 11), "2"), call(at(10, 5), "3"))
    again = statement(connection, SEPTEMBER)
    assert (again.total, again.digest) == (Decimal("1.30"), closed.digest)
    october = statement(connection, OCTOBER)
    assert [(each.kind, each.name, each.amount) for each in october.lines] == [
        ("usage", "llm", Decimal("3.9")),
        ("late", "2026-09: llm", Decimal("2.6")),
    ]
    with statements(connection) as known:
        (closing_of,) = known.closed("acme")
        (line,) = known.changed_since("acme", closing_of)
    assert line.amount == Decimal("2.6")
    assert closing_of.digest == closed.digest
    # Once it is billed there, it is not late a second time.
    close(connection, OCTOBER)
    booked(dsn, call(at(9, 12), "1"))
    november = statement(connection, date(2026, 11, 1), as_of=datetime.now(UTC) + timedelta(days=1))
    assert [each.amount for each in november.lines if each.kind == "late"] == [Decimal("1.3")]


def test_a_restated_period_has_all_of_it_and_nothing_is_late(
    dsn: str, connection: Connection
) -> None:
    plan(connection, MARKUP)
    booked(dsn, call(at(9, 10), "1"))
    close(connection, SEPTEMBER)
    booked(dsn, call(at(9, 11), "2"))
    restated = close(connection, SEPTEMBER, restate=True)
    assert (restated.total, restated.revision) == (Decimal("3.90"), 2)
    assert statement(connection, OCTOBER).lines == ()


def test_periods_are_closed_in_order_and_when_they_are_over(
    dsn: str, connection: Connection
) -> None:
    plan(connection, MARKUP)
    booked(dsn, call(at(8, 10), "1"))
    close(connection, AUGUST)
    for month, restate, told in (
        (AUGUST, False, "--restate"),
        (OCTOBER, False, "2026-09"),
        (date(2026, 7, 1), True, "2026-08"),
        (date(2099, 1, 1), False, "not over"),
    ):
        with pytest.raises(CannotClose, match=told):
            close(connection, month, restate=restate)


def test_a_plan_recorded_for_the_past_changes_no_closed_statement(
    dsn: str, connection: Connection
) -> None:
    """30 % become 50 % from January on: September stays at 1.30, and October has the 0.20."""
    plan(connection, MARKUP)
    booked(dsn, call(at(9, 10), "1"))
    closed = close(connection, SEPTEMBER)
    set_plan(connection, MARKUP.replace("30", "50"), BEGIN, "ann")
    assert statement(connection, SEPTEMBER).digest == closed.digest
    october = statement(connection, OCTOBER)
    assert sum(each.amount or 0 for each in october.lines) == Decimal("0.2")


def test_as_of_a_moment_a_statement_is_what_it_was(dsn: str, connection: Connection) -> None:
    plan(connection, MARKUP)
    booked(dsn, call(at(9, 10), "1"))
    before = statement(connection, SEPTEMBER)
    booked(dsn, call(at(9, 11), "1"))
    set_plan(connection, MARKUP.replace("30", "50"), BEGIN, "ann")
    again = statement(connection, SEPTEMBER, as_of=before.as_of)
    assert (again.document(), again.digest) == (before.document(), before.digest)
    assert statement(connection, SEPTEMBER).total == Decimal("3.00")


@pytest.mark.parametrize("closing_september", [False, True])
def test_a_credit_lasts_until_it_is_used_up(
    dsn: str, connection: Connection, *, closing_september: bool
) -> None:
    """10.00: September takes 1.30, October 3.90: 4.80 are left. What comes late in September, 1.30, leaves 3.50."""
    plan(connection, MARKUP)
    assert add_grant(connection, credit("10"), "ann")
    assert not add_grant(connection, credit("10"), "ann")
    booked(dsn, call(at(9, 10), "1"), call(at(10, 10), "3"))
    if closing_september:
        close(connection, SEPTEMBER)
    october = statement(connection, OCTOBER)
    assert october.total == 0
    assert october.own.left == {"welcome": Decimal("4.8")}
    booked(dsn, call(at(9, 11), "1"))
    assert statement(connection, OCTOBER).own.left == {"welcome": Decimal("3.5")}


def test_a_void_grant_is_known_only_from_then_on(dsn: str, connection: Connection) -> None:
    plan(connection, MARKUP)
    add_grant(connection, credit("10"), "ann")
    booked(dsn, call(at(9, 10), "1"), call(at(9, 20), "1"))
    before = statement(connection, SEPTEMBER)
    assert before.total == 0
    void_grant(connection, "welcome", at(9, 15), "ann", "a mistake")
    assert statement(connection, SEPTEMBER).total == Decimal("1.30")
    assert statement(connection, SEPTEMBER, as_of=before.as_of).digest == before.digest
    with pytest.raises(UnknownGrant):
        void_grant(connection, "welcome", at(9, 15), "ann")
    (found,) = read_grants(connection, "acme")
    assert found.voided_at == at(9, 15)


def test_a_plan_is_recorded_once(connection: Connection) -> None:
    first, new = set_plan(connection, MARKUP, BEGIN, "ann", "the beginning")
    assert (first.name, new) == ("pro/1", True)
    assert set_plan(connection, MARKUP, BEGIN, "bob") == (first, False)
    second, new = set_plan(connection, MARKUP + "# more\n", at(9, 1), "bob")
    assert (second.name, new) == ("pro/2", True)
    assign(connection, None, "pro", BEGIN, "ann")
    book = read_plan_book(connection)
    for moment, name in ((at(8, 31), "pro/1"), (at(9, 1), "pro/2")):
        version = book.in_force("anybody", moment)
        assert version is not None
        assert version.name == name
