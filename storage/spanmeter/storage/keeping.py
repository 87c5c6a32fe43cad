"""What is booked is kept for as long as was laid down: old chunks leave, when they are sealed and in the rollups.

On plain PostgreSQL, which has no chunks, the same rows are deleted. The rules are the database's own functions
(`0013_keeping.sql`), so that a login that may only add rows can have them applied, and nothing else.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final, Literal, NamedTuple, get_args

from psycopg import errors

from spanmeter.storage import statements
from spanmeter.storage.connection import Connection
from spanmeter.storage.edition import PARTITIONED
from spanmeter.storage.errors import StorageError

What = Literal["ledger", "rejected_spans", "rowstore"]

WHAT: Final[tuple[What, ...]] = get_args(What)

# "spankeep" as a number: advisory locks of all programs share one namespace per database.
_LOCK: Final = int.from_bytes(b"spankeep")

_SQL = statements.load("keeping")


class NotKept(StorageError):
    """Something cannot be kept for so long, or so short."""


class Retention(NamedTuple):
    """What is kept for how long, and who laid that down."""

    what: str
    keep: timedelta
    set_by: str
    set_at: datetime


class Dropped(NamedTuple):
    """What left one of the tables: whole `chunks`, or single `rows`."""

    dropped_at: datetime
    dropped_from: str
    before: datetime
    chunks: int | None
    rows: int | None
    unsealed: bool
    actor: str


class Chunks(NamedTuple):
    """The chunks of a table, of them how many in the columnstore, and how much time a new one spans."""

    chunks: int
    since: datetime | None
    until: datetime | None
    in_columnstore: int
    interval: timedelta | None


class Kept(NamedTuple):
    """What a round did: by table why nothing left, `None` if something did; rejected spans that left; the new span of
    chunks, and the chunk that went to the columnstore, if there is one."""

    held: Mapping[str, str | None]
    rejected: int
    interval: timedelta | None
    in_columnstore: str | None


def retention(connection: Connection) -> list[Retention]:
    """What is not kept for ever."""
    return [Retention._make(row) for row in connection.execute(_SQL["retention"])]


def set_retention(connection: Connection, what: What, keep: timedelta | None) -> None:
    """Lay down for how long something is kept; None: for ever. Raises NotKept."""
    if keep is None:
        connection.execute(_SQL["keep_for_ever"], (what,))
        return
    try:
        connection.execute(_SQL["set_retention"], {"what": what, "keep": keep})
    except errors.CheckViolation as error:
        raise NotKept(f"{what} is kept for a day at least") from error


def keep_house(connection: Connection, *, unsealed: bool = False) -> Kept:
    """Apply what is laid down, step by step, each in a transaction of its own; nobody else's turn is waited for.

    With `unsealed`, which the owner of the tables alone may say, what is not sealed leaves too.
    """
    drop = "drop_unsealed" if unsealed else "drop_sealed"
    held = {table: _step(connection, drop, table) for table in PARTITIONED}
    return Kept(
        held,
        _step(connection, "drop_rejected") or 0,
        _step(connection, "fit_chunks"),
        _step(connection, "compress_old"),
    )


def dropped(connection: Connection, most: int = 100) -> list[Dropped]:
    """What has left lately, the latest first."""
    return [Dropped._make(row) for row in connection.execute(_SQL["dropped"], (most,))]


def chunks_of(connection: Connection, hypertable: str) -> Chunks:
    """The chunks of a hypertable; to be asked on TimescaleDB alone."""
    row = connection.execute(_SQL["chunks"], {"table": hypertable}).fetchone()
    if row is None:
        raise AssertionError("an aggregate has one row")
    return Chunks._make(row)


def _step(connection: Connection, name: str, *values: str) -> Any:
    with connection.transaction():
        connection.execute(_SQL["patience"])
        if connection.execute(_SQL["alone"], (_LOCK,)).fetchone() != (True,):
            return None
        row = connection.execute(_SQL[name], values).fetchone()
    return None if row is None else row[0]
