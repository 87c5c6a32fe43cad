"""What arrived of the metering records that each process of an application numbers."""

from collections.abc import Sequence
from importlib.resources import files
from typing import Final, cast

from spanmeter.console.listing import Column, Listing, Value
from spanmeter.storage.connection import Connection

_SQL: Final = files("spanmeter.console").joinpath("sql")

_COLUMNS: Final = (
    Column("producer_id", "producer"),
    Column("service_name", "service"),
    Column("first_seen", "first seen"),
    Column("last_seen", "last seen"),
    Column("highest", "highest"),
    Column("received", "received"),
    Column("missing", "missing"),
    Column("dropped", "dropped"),
)


def producers_listing(connection: Connection) -> Listing:
    """Each process, those that records are missing of first."""
    rows = connection.execute(_SQL.joinpath("producers.sql").read_bytes()).fetchall()
    return Listing(columns=_COLUMNS, rows=cast("Sequence[tuple[Value, ...]]", rows))


def gaps(connection: Connection) -> dict[str, Value]:
    """How many processes there are, how many of them lack records, and over all the records missing and given up."""
    row = connection.execute(_SQL.joinpath("gaps.sql").read_bytes()).fetchone()
    names = ("producers", "producers_with_gaps", "missing_records", "dropped_records")
    return dict(zip(names, cast("tuple[int, int, int, int]", row), strict=True))
