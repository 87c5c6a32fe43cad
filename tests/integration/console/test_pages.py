"""What the demo prints of a ledger, and its verdict on the two bills."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from spanmeter.console.demo.bill import Bill
from spanmeter.console.demo.pages import booked, show_bills, show_usage

SINCE = datetime.now(UTC) - timedelta(days=60)


def as_served(bill: Bill) -> dict[str, object]:
    """The sums as the provider would give them."""
    return {**bill.counts, "cost": f"{bill.cost:f}"}


def test_the_bills_are_equal_to_the_last_digit_or_not_equal(
    ledger: str, capsys: pytest.CaptureFixture[str]
) -> None:
    bill = booked(ledger, SINCE)
    assert bill.counts["requests"] == 240
    assert show_bills(ledger, SINCE, as_served(bill))
    dearer = replace(bill, cost=bill.cost + Decimal("1e-21"))
    assert not show_bills(ledger, SINCE, as_served(dearer))
    assert ">-0.000001" in capsys.readouterr().out
    busier = replace(bill, counts={**bill.counts, "output_tokens": 1})
    assert not show_bills(ledger, SINCE, as_served(busier))


def test_a_ledger_in_which_nothing_is_booked_equals_only_nothing(dsn: str) -> None:
    assert show_bills(dsn, SINCE, as_served(Bill.nothing()))
    assert not show_bills(dsn, SINCE, as_served(replace(Bill.nothing(), cost=Decimal(1))))


def test_usage_without_a_tenant_is_shown_with_its_place(
    ledger: str, capsys: pytest.CaptureFixture[str]
) -> None:
    show_usage(ledger, SINCE)
    *_, last = capsys.readouterr().out.split("\n\n")
    title, heading, _, *lines = last.splitlines()
    assert title == "Without a tenant"
    assert heading.split()[:2] == ["service", "callsite"]
    assert [line.split()[:3] for line in lines] == [["assistant", "jobs/digest.py:41", "60"]]
