"""What a person wants to know of the database behind the ledger."""

from collections.abc import Sequence
from contextlib import closing
from importlib.resources import files
from typing import Final, cast

from spanmeter.console.listing import Column, Listing, Value
from spanmeter.storage.connection import connect, database_errors
from spanmeter.storage.edition import Edition, detect
from spanmeter.storage.migrations import pending

_NAMES: Final = {
    "community": "TimescaleDB Community {0.timescaledb} on PostgreSQL {0.postgres}",
    "apache": "TimescaleDB {0.timescaledb} (Apache-2 edition) on PostgreSQL {0.postgres}",
    "plain": "PostgreSQL {0.postgres}",
}
_TABLES: Final = files("spanmeter.console").joinpath("sql", "tables.sql").read_bytes()


def described(dsn: str) -> str:
    """The edition and its versions in words, for the database behind `dsn`."""
    with closing(connect(dsn)) as connection, database_errors():
        return _in_words(detect(connection))


def status_of(dsn: str) -> Listing:
    """The ledger's tables with rows and sizes; above them edition, versions, what is pending."""
    missing = pending(dsn)
    with closing(connect(dsn)) as connection, database_errors():
        edition = detect(connection)
        tables = connection.execute(_TABLES).fetchall()
    columns = [Column("table", "table"), Column("hypertable", "hypertable")]
    columns += [Column("rows", "rows"), Column("bytes", "bytes")]
    rows = cast(Sequence[tuple[str, int, int]], tables)
    return Listing(
        columns=columns,
        rows=[_table_line(name, count, size, edition) for name, count, size in rows],
        about={
            "database": _in_words(edition),
            "edition": edition.kind,
            "postgres": edition.postgres,
            "timescaledb": edition.timescaledb,
            "pending_migrations": ", ".join(missing) or None,
        },
    )


def _table_line(name: str, rows: int, size: int, edition: Edition) -> Sequence[Value]:
    return name, "yes" if name in edition.hypertables else "no", rows, size


def _in_words(edition: Edition) -> str:
    return _NAMES[edition.kind].format(edition)
