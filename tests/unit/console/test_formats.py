"""Numbers as pages show them, and files that a spreadsheet runs nothing of."""

from decimal import Decimal

import pytest

from spanmeter.console.web import formats
from spanmeter.console.web.csv_files import csv_file


@pytest.mark.parametrize(
    ("amount", "currency", "shown"),
    [
        ("1234.5", "USD", "$1,234.50"),
        ("0.0123456", "EUR", "€0.0123"),
        ("0.00000001", "USD", "<$0.0001"),
        ("-2.5", "USD", "\u2212$2.50"),
        ("0", "USD", "$0.00"),
        ("7", "SEK", "SEK 7.00"),
    ],
)
def test_money(amount: str, currency: str, shown: str) -> None:
    assert formats.money(Decimal(amount), currency) == shown


@pytest.mark.parametrize(
    ("count", "shown"),
    [(0, "0"), (999, "999"), (1000, "1.0k"), (934_000, "934k"), (30_400_000, "30.4M")],
)
def test_compact(count: int, shown: str) -> None:
    assert formats.compact(count) == shown


def test_growth_is_told_where_there_was_something_to_grow_from() -> None:
    assert formats.growth(formats.change(Decimal(150), Decimal(100))) == "+50\u00a0%"
    assert formats.growth(formats.change(Decimal(50), Decimal(100))) == "\u221250\u00a0%"
    assert formats.growth(formats.change(Decimal(2400), Decimal(100))) == "\u00d724"
    assert formats.growth(formats.change(Decimal(1), None)) == ""


def test_a_line_in_small_stays_in_its_box() -> None:
    assert formats.polyline([Decimal(0), Decimal(4)]) == "0.00,28.00 100.00,3.00"
    assert formats.polyline([]) == ""
    assert formats.area([Decimal(0)]) == "M0,30 L0.00,28.00 L100,30 Z"


def test_a_formula_is_text_and_a_decimal_is_exact() -> None:
    file = csv_file("x.csv", ["a", "b"], [["=1+1", Decimal("1E-7")], ["-x", Decimal("-1.50")]])
    assert bytes(file.body).decode() == "a,b\r\n'=1+1,0.0000001\r\n'-x,-1.50\r\n"
