"""The demo's comparison: equal bills say so, a difference is shown with its sign."""

from dataclasses import replace
from decimal import Decimal

from spanmeter.console.demo.bill import COUNTS, Bill, comparison

SERVED = Bill.of(dict.fromkeys(COUNTS, 10) | {"cost": "0.1000000000000000000001"})


def test_equal_bills_have_no_difference() -> None:
    listing = comparison(SERVED, SERVED)
    assert [row[3] for row in listing.rows] == [None] * 7
    assert listing.rows[-1][1] == Decimal("0.1000000000000000000001")


def test_a_missing_request_and_a_fraction_of_a_cent_both_show() -> None:
    counts = dict(SERVED.counts) | {"requests": 9}
    booked = replace(SERVED, counts=counts, cost=SERVED.cost + Decimal("1e-22"))
    differences = {row[0]: row[3] for row in comparison(SERVED, booked).rows if row[3] is not None}
    assert differences == {"requests": -1, "cost in USD": Decimal("1e-22")}
