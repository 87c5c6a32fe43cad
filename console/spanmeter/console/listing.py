"""A listing and its three forms: a table for people, JSON and CSV for programs.

JSON and CSV hold every value exactly: counts as numbers, money as the ledger's own decimal digits,
times as ISO 8601. Only the table rounds, and only for the eye.
"""

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Final

Value = str | bool | int | Decimal | date | datetime | None

# A single call costs fractions of a cent: six decimals show one token of the cheapest models.
MONEY_STEP: Final = Decimal("0.000001")


@dataclass(frozen=True, slots=True)
class Column:
    """One column: `name` in JSON and CSV; in a table `heading`, and `missing` for no value."""

    name: str
    heading: str
    missing: str = "-"


@dataclass(frozen=True, slots=True)
class Listing:
    """Rows under columns; `about` says what was asked, `notes` what to know.

    A row of `totals` has values for the last columns only: those that add up.
    """

    columns: Sequence[Column]
    rows: Sequence[Sequence[Value]]
    totals: Sequence[Sequence[Value]] = ()
    about: Mapping[str, Value] = field(default_factory=dict[str, Value])
    notes: Sequence[str] = ()


def as_table(listing: Listing) -> str:
    """Aligned text: what was asked, the rows, totals under a line, notes.

    Counts are grouped by thousands; money has six decimals.
    """
    body = [_cells(row, listing.columns) for row in listing.rows]
    totals = [_total_cells(row, listing.columns) for row in listing.totals]
    heading = [column.heading for column in listing.columns]
    lines = [heading, *body, *totals]
    widths = [max(map(len, cells)) for cells in zip(*lines, strict=True)]
    rule = "  ".join("-" * width for width in widths)
    to_the_right = [_is_quantity(listing, index) for index in range(len(widths))]

    def aligned(cells: Sequence[str]) -> str:
        parts = zip(cells, widths, to_the_right, strict=True)
        return "  ".join(c.rjust(w) if right else c.ljust(w) for c, w, right in parts).rstrip()

    text = [aligned(heading), rule, *map(aligned, body)]
    if totals:
        text += [rule, *map(aligned, totals)]
    blocks = [_about(listing), text, listing.notes]
    return "\n\n".join("\n".join(block) for block in blocks if block) + "\n"


def as_json(listing: Listing) -> str:
    """One object: what was asked, `rows`, `totals`, `notes`. Money is text: no parser rounds it."""
    names = [column.name for column in listing.columns]

    def as_object(row: Sequence[Value]) -> dict[str, object]:
        return {name: _exact(value) for name, value in zip(names[-len(row) :], row, strict=True)}

    document: dict[str, object] = {name: _exact(value) for name, value in listing.about.items()}
    document["rows"] = [as_object(row) for row in listing.rows]
    document["totals"] = [as_object(row) for row in listing.totals]
    document["notes"] = list(listing.notes)
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def as_csv(listing: Listing) -> str:
    """A heading line and the rows; no totals, so that a spreadsheet's own sums are right."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([column.name for column in listing.columns])
    # The csv module writes None as an empty field.
    writer.writerows([[_exact(value) for value in row] for row in listing.rows])
    return text.getvalue()


FORMATS: Final[Mapping[str, Callable[[Listing], str]]] = {
    "table": as_table,
    "json": as_json,
    "csv": as_csv,
}


def shown(value: Value, column: Column) -> str:
    """One value as a table shows it; text is made safe to print on a terminal."""
    match value:
        case None:
            return column.missing
        case Decimal():
            return money(value)
        case bool():
            return "yes" if value else "no"
        case int():
            return f"{value:,}"
        case date():  # a datetime too; its time is shown unless it is midnight
            return f"{value:%Y-%m-%d %H:%M}".removesuffix(" 00:00")
        case str():
            return "".join(
                c if c.isprintable() else c.encode("unicode_escape").decode() for c in value
            )


def money(amount: Decimal) -> str:
    """An amount with six decimals for reading; one too small for that is not shown as nothing."""
    if 0 < abs(amount) < MONEY_STEP:
        return f"<{MONEY_STEP}" if amount > 0 else f">-{MONEY_STEP}"
    # format() rounds half to even at any size; quantize() fails beyond the context's 28 digits.
    return f"{amount:,.6f}"


def _exact(value: Value) -> object:
    match value:
        case Decimal():
            return f"{value:f}"
        case date():  # a datetime too
            return value.isoformat()
        case _:
            return value


def _about(listing: Listing) -> Sequence[str]:
    width = max(map(len, listing.about), default=0)
    return [
        f"{name.replace('_', ' '):{width}}  {shown(value, Column(name, name, missing='none'))}"
        for name, value in listing.about.items()
    ]


def _cells(row: Sequence[Value], columns: Sequence[Column]) -> list[str]:
    return [shown(value, column) for value, column in zip(row, columns, strict=True)]


def _total_cells(row: Sequence[Value], columns: Sequence[Column]) -> list[str]:
    unsummed = len(columns) - len(row)
    return ["total", *[""] * (unsummed - 1), *_cells(row, columns[unsummed:])]


def _is_quantity(listing: Listing, index: int) -> bool:
    values = [row[index] for row in listing.rows if row[index] is not None]
    return bool(values) and all(isinstance(value, int | Decimal) for value in values)
