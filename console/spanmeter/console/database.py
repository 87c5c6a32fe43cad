"""What a person wants to know of the database behind the ledger."""

from collections.abc import Sequence
from contextlib import closing
from importlib.resources import files
from typing import Final, cast

from spanmeter.collector_receiver.decode import DECODER
from spanmeter.console.access import key_counts
from spanmeter.console.journal_place import journal_state
from spanmeter.console.keeping import chunk_facts
from spanmeter.console.last_day import last_day
from spanmeter.console.listing import Column, Listing, Value
from spanmeter.console.producers import gaps
from spanmeter.console.settings import Settings
from spanmeter.storage.connection import Connection, connect, database_errors
from spanmeter.storage.edition import Edition, detect
from spanmeter.storage.migrations import pending
from spanmeter.storage.rejected import open_reasons

_NAMES: Final = {
    "community": "TimescaleDB Community {0.timescaledb} on PostgreSQL {0.postgres}",
    "apache": "TimescaleDB {0.timescaledb} (Apache-2 edition) on PostgreSQL {0.postgres}",
    "plain": "PostgreSQL {0.postgres}",
}
_ESTIMATED: Final = "Rows of tables with more than a million are PostgreSQL's estimate."
_TABLES: Final = files("spanmeter.console").joinpath("sql", "tables.sql").read_bytes()


def described(dsn: str) -> str:
    """The edition and its versions in words, for the database behind `dsn`."""
    with closing(connect(dsn)) as connection, database_errors():
        return _in_words(detect(connection))


def status_of(settings: Settings, dsn: str) -> Listing:
    """The ledger's tables with rows and sizes; above them edition, versions, what is pending or missing, and what the
    last day brought."""
    missing = pending(dsn)
    with closing(connect(dsn)) as connection, database_errors():
        edition = detect(connection)
        # A ledger that is not up to date has not got all of it.
        tables = [] if missing else connection.execute(_TABLES).fetchall()
        trouble = {} if missing else _trouble(connection)
        held = {} if missing else {**key_counts(connection), **chunk_facts(connection, edition)}
    columns = [Column("table", "table"), Column("hypertable", "hypertable")]
    columns += [Column("rows", "rows"), Column("bytes", "bytes")]
    rows = cast(Sequence[tuple[str, int, int, bool]], tables)
    return Listing(
        columns=columns,
        rows=[_table_line(name, count, size, edition) for name, count, size, _ in rows],
        notes=[_ESTIMATED] if any(estimated for *_, estimated in rows) else [],
        about={
            "database": _in_words(edition),
            "edition": edition.kind,
            "postgres": edition.postgres,
            "timescaledb": edition.timescaledb,
            "decoder": DECODER,
            "pending_migrations": ", ".join(missing) or None,
            **journal_state(settings, dsn),
            **trouble,
            **held,
        },
    )


def _trouble(connection: Connection) -> dict[str, Value]:
    reasons = open_reasons(connection)
    by_reason = ", ".join(f"{count} {reason}" for reason, count in reasons.items())
    return {
        **last_day(connection),
        "open_rejected_spans": by_reason or None,
        **gaps(connection),
    }


def _table_line(name: str, rows: int, size: int, edition: Edition) -> Sequence[Value]:
    return name, "yes" if name in edition.hypertables else "no", rows, size


def _in_words(edition: Edition) -> str:
    return _NAMES[edition.kind].format(edition)
