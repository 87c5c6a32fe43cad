"""Typed reading of attributes that are sent in more than one type."""

from decimal import Decimal

import pytest

from spanmeter.metering.reading import (
    MAX_TEXT,
    count,
    flag,
    quantity,
    shown,
    text,
)
from spanmeter.metering.span import AttributeValue


@pytest.mark.parametrize(
    ("value", "read"),
    [
        ("acme", "acme"),
        ("", None),
        (None, None),
        ("x" * MAX_TEXT, "x" * MAX_TEXT),
        ("München", "München"),
        (42, "42"),
        (-7, "-7"),
        (42.0, "42"),
        (3.5, "3.5"),
        (1e300, "1e+300"),
        (True, "true"),
        (False, "false"),
    ],
)
def test_text_and_numbers_are_read_as_text(value: AttributeValue, read: str | None) -> None:
    assert text({"id": value}, "id") == read


@pytest.mark.parametrize(
    ("value", "read"),
    [
        (0, 0),
        (7, 7),
        (8.0, 8),
        ("9", 9),
        ("007", 7),
        (10**12, 10**12),
        (1e12, 10**12),
        (None, None),
    ],
)
def test_whole_numbers_are_read_from_whatever_carries_them(
    value: AttributeValue, read: int | None
) -> None:
    assert count({"n": value}, "n") == read


@pytest.mark.parametrize(
    ("value", "read"),
    [
        (2, "2"),
        (0.1, "0.1"),
        ("0.10", "0.10"),
        ("1e3", "1E+3"),
        ("0e-999", "0"),
        (-0.0, "0"),
        (1e-13, "1E-13"),
    ],
)
def test_quantities_keep_every_digit_that_was_sent(value: AttributeValue, read: str) -> None:
    number = quantity({"n": value}, "n")
    assert isinstance(number, Decimal)
    assert str(number) == read


@pytest.mark.parametrize(
    ("value", "read"),
    [(True, True), ("true", True), ("TRUE", True), ("1", True), (1, False), ("no", False)],
)
def test_flags_are_booleans_or_the_text_that_baggage_makes_of_them(
    value: AttributeValue,
    read: bool,  # noqa: FBT001
) -> None:
    assert flag({"byok": value}, "byok") is read


@pytest.mark.parametrize(
    "value",
    ["x" * 10**6, [["deep"] * 10**5], 10**5000, b"x" * 10**6, {}],
    ids=["text", "nested", "number", "bytes", "empty"],
)
def test_a_value_in_a_message_is_short(value: AttributeValue) -> None:
    assert len(shown(value)) < 100
