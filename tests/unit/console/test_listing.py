"""The three forms of a listing: exact for programs, rounded only for the eye."""

import csv
import io
import json
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from spanmeter.console.listing import Column, Listing, as_csv, as_json, as_table, money

EXACT = Decimal("1234.000000000000000001")

LISTING = Listing(
    columns=[
        Column("tenant", "tenant", missing="(unattributed)"),
        Column("day", "day"),
        Column("requests", "requests"),
        Column("cost", "cost USD", missing="unpriced"),
    ],
    rows=[
        ["acme", date(2026, 11, 20), 12345, EXACT],
        [None, date(2026, 11, 21), 7, None],
    ],
    totals=[[12352, EXACT]],
    about={"since": datetime(2026, 11, 1, tzinfo=UTC)},
    notes=["7 requests have no rate."],
)


def test_a_table_aligns_counts_and_money_to_the_right_and_says_what_is_missing() -> None:
    assert as_table(LISTING) == (
        "since  2026-11-01\n"
        "\n"
        "tenant          day         requests      cost USD\n"
        "--------------  ----------  --------  ------------\n"
        "acme            2026-11-20    12,345  1,234.000000\n"
        "(unattributed)  2026-11-21         7      unpriced\n"
        "--------------  ----------  --------  ------------\n"
        "total                         12,352  1,234.000000\n"
        "\n"
        "7 requests have no rate.\n"
    )


def test_json_holds_the_exact_digits_and_no_invented_tenant() -> None:
    document = json.loads(as_json(LISTING))
    assert document["since"] == "2026-11-01T00:00:00+00:00"
    assert document["rows"][0]["cost"] == "1234.000000000000000001"
    assert document["rows"][1] == {
        "tenant": None,
        "day": "2026-11-21",
        "requests": 7,
        "cost": None,
    }
    assert document["totals"] == [{"requests": 12352, "cost": "1234.000000000000000001"}]


def test_csv_is_a_heading_and_the_rows() -> None:
    rows = list(csv.reader(io.StringIO(as_csv(LISTING))))
    assert rows == [
        ["tenant", "day", "requests", "cost"],
        ["acme", "2026-11-20", "12345", "1234.000000000000000001"],
        ["", "2026-11-21", "7", ""],
    ]


def test_a_table_cannot_be_made_to_control_the_terminal() -> None:
    listing = Listing(columns=[Column("tenant", "tenant")], rows=[["\x1b[2Jacme\nglobex"]])
    assert "\\x1b[2Jacme\\nglobex" in as_table(listing)


def test_a_listing_without_rows_still_has_its_heading() -> None:
    assert as_table(Listing(columns=[Column("tenant", "tenant")], rows=[])) == "tenant\n------\n"


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        ("0", "0.000000"),
        ("0.0000005", "<0.000001"),
        ("-0.0000005", ">-0.000001"),
        ("12345678901234567890123456789.1234565", "12,345,678,901,234,567,890,123,456,789.123456"),
        ("-1.5", "-1.500000"),
    ],
)
def test_money_is_rounded_for_reading_only(amount: str, text: str) -> None:
    assert money(Decimal(amount)) == text
