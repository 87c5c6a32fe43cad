"""Rows of CSV files, gzipped or not, and a bill in any table of that kind."""

import csv
import gzip
import zlib
from collections.abc import Generator, Iterable, Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import IO, Final

from spanmeter.console.bills.documents import count, decimal
from spanmeter.metering.reconciliation.bill import Bill, BillLine, UnreadableBill, tier_named

GZIP: Final = b"\x1f\x8b"

MAX_ROWS: Final = 20_000_000
"""Of one file: what an archive unpacks to has an end."""

FIELDS: Final = (
    *("day", "model", "kind", "quantity", "amount", "currency"),
    *("account", "tier"),
)
"""The columns of a generic bill. `day` and one of `quantity` and `amount` are needed."""


def records(path: Path) -> Generator[tuple[str, dict[str, str]]]:
    """The rows under their headings, each with where it is. Raises `UnreadableBill`."""
    try:
        with _opened(path) as file:
            rows = csv.DictReader(file, strict=True)
            if not rows.fieldnames:
                raise UnreadableBill(f"{path} has no line of headings")
            for row in rows:
                where = f"{path}, line {rows.line_num}"
                if rows.line_num > MAX_ROWS:
                    raise UnreadableBill(f"{path} has more than {MAX_ROWS:,} lines")
                if None in row or None in row.values():
                    raise UnreadableBill(f"{where} has another number of columns than the headings")
                yield where, row
    except OSError as error:
        raise UnreadableBill(f"{path} cannot be read: {error.strerror or error}") from error
    except (csv.Error, UnicodeDecodeError, EOFError, zlib.error) as error:
        raise UnreadableBill(f"{path} is no CSV file: {error}") from error


def _opened(path: Path) -> IO[str]:
    with path.open("rb") as file:
        zipped = file.read(2) == GZIP
    opening = gzip.open if zipped else open
    opened: IO[str] = opening(path, "rt", encoding="utf-8-sig", newline="")
    return opened


def day_of(value: str, where: str) -> date:
    """The UTC day of a date or a moment. Raises `UnreadableBill`."""
    try:
        moment = datetime.fromisoformat(value.strip())
    except ValueError as error:
        raise UnreadableBill(f"{where} is {value!r:.100}, which is no date") from error
    return moment.astimezone(UTC).date() if moment.tzinfo else moment.date()


def read(paths: Iterable[Path], provider: str, columns: Mapping[str, str]) -> Bill:
    """The bill in tables with any headings: `columns` names them by field, others are headed by their field.

    Raises `UnreadableBill`.
    """
    if unknown := sorted(columns.keys() - set(FIELDS)):
        raise UnreadableBill(f"a bill has no field {unknown[0]!r}; there are {', '.join(FIELDS)}")
    headings = {field: columns.get(field, field) for field in FIELDS}
    lines = [
        _line(where, {field: row.get(heading, "").strip() for field, heading in headings.items()})
        for path in paths
        for where, row in _checked(path, columns)
    ]
    return Bill(provider, tuple(lines))


def _checked(path: Path, columns: Mapping[str, str]) -> Generator[tuple[str, dict[str, str]]]:
    for where, row in records(path):
        if lacking := [heading for heading in columns.values() if heading not in row]:
            raise UnreadableBill(f"{path} has no column {lacking[0]!r}; it has {', '.join(row)}")
        yield where, row


def _line(where: str, row: Mapping[str, str]) -> BillLine:
    quantity, amount = row["quantity"], row["amount"]
    if not quantity and not amount:
        raise UnreadableBill(f"{where} has neither a quantity nor an amount")
    return BillLine(
        day=day_of(row["day"], f"{where}: day"),
        model=row["model"] or None,
        kind=row["kind"] or None,
        quantity=count(quantity, f"{where}: quantity") if quantity else None,
        amount=decimal(amount, f"{where}: amount") if amount else None,
        currency=(row["currency"] or "USD").upper(),
        account=row["account"] or None,
        tier=tier_named(row["tier"] or None),
    )
