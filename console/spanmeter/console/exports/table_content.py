"""The content of a file of rows, as CSV or Parquet: the same rows make the same content, and no number is rounded."""

import csv
import io
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from importlib import import_module
from typing import Any, Final, Literal, NamedTuple

from spanmeter.console.extras import require

Format = Literal["csv", "parquet"]
FORMATS: Final = ("csv", "parquet")

Cell = str | int | Decimal | datetime | None
Kind = type[str] | type[int] | type[Decimal] | type[datetime]

LEAST_SCALE: Final = 18
"""Decimals of Parquet's numbers, unless one needs more."""


class TableOf(NamedTuple):
    """Columns with their types, rows under them, and sums that the ledger has as well."""

    columns: Mapping[str, Kind]
    rows: Sequence[Sequence[Cell]]
    totals: Mapping[str, Decimal]
    left_out: Mapping[str, Decimal]
    """Sums of what such a file cannot tell."""


def content(table: TableOf, form: Format) -> bytes:
    """The file's content. Parquet needs the extra `parquet`: raises `MissingExtra`."""
    return as_csv(table) if form == "csv" else _as_parquet(table)


def as_csv(table: TableOf) -> bytes:
    """RFC 4180 in UTF-8, with headings; what is not known is empty, moments are RFC 3339 in UTC."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(table.columns)
    writer.writerows([_cell(value) for value in row] for row in table.rows)
    return text.getvalue().encode()


def _cell(value: Cell) -> str | int | None:
    match value:
        case Decimal():
            return f"{value:f}"
        case datetime():
            return f"{value:%Y-%m-%dT%H:%M:%SZ}"
        case _:
            return value


def _as_parquet(table: TableOf) -> bytes:
    require("Parquet", "collector", "parquet")
    # Untyped: neither mypy nor pyright knows its types.
    pa: Any = import_module("pyarrow")
    parquet: Any = import_module("pyarrow.parquet")
    columns = list(zip(*table.rows, strict=True)) or [()] * len(table.columns)
    arrays = [
        pa.array(values, type=_arrow_type(pa, kind, values))
        for kind, values in zip(table.columns.values(), columns, strict=True)
    ]
    file = io.BytesIO()
    parquet.write_table(pa.table(arrays, names=list(table.columns)), file, compression="zstd")
    return file.getvalue()


def _arrow_type(pa: Any, kind: Kind, values: Sequence[Any]) -> Any:
    if kind is Decimal:
        return _decimal_type(pa, [value for value in values if value is not None])
    if kind is datetime:
        return pa.timestamp("us", tz="UTC")
    return pa.int64() if kind is int else pa.string()


def _decimal_type(pa: Any, values: Sequence[Decimal]) -> Any:
    """128 bits, which every reader has, unless a number needs more: none is rounded."""
    scale = max((-int(value.as_tuple().exponent) for value in values), default=0)
    scale = max(scale, LEAST_SCALE)
    whole = max((value.adjusted() + 1 for value in values if value), default=1)
    precision = max(whole, 1) + scale
    return pa.decimal128(38, scale) if precision <= 38 else pa.decimal256(76, scale)
