"""Seals: what was booked up to a moment, in digests that show when any of it was changed since.

A window of booking is closed first, so that nothing more can be booked in it; what it holds is sealed then.
"""

import logging
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, time, timedelta
from typing import Final

from psycopg import errors, sql
from psycopg.types.json import Jsonb

from spanmeter.storage import statements
from spanmeter.storage.connection import Connection, database_errors
from spanmeter.storage.errors import NotSealed
from spanmeter.storage.seal_chain import (
    BEGINNING,
    Part,
    Seal,
    Sums,
    Window,
    seal_of,
)

logger = logging.getLogger(__name__)

TABLES: Final[Mapping[str, tuple[str, tuple[str, ...]]]] = {
    "usage_events": ("ingested_at", ("time", "trace_id", "span_id")),
    "adjustments": ("booked_at", ("time", "adjustment_id")),
}
"""What is sealed: by table the column that tells when a row was booked, and the key that orders its rows."""

# "spanseal" as a number: advisory locks of all programs share one namespace per database.
_LOCK: Final = int.from_bytes(b"spanseal")

_TRIES: Final = 20
"""For the moment in which nobody books. Each waits half a second, and lets those pass who waited behind it."""

_INSTANT: Final = timedelta(microseconds=1)
"""PostgreSQL's times are counted in these."""

_SQL = statements.load("seals")


def seal(
    connection: Connection,
    until: datetime,
    *,
    key: bytes | None = None,
    progress: Callable[[date], object] = lambda _: None,
) -> list[Seal]:
    """Seal all that was booked up to `until`, a moment that is past, and is not sealed yet; return the new seals.

    Signed with `key` if there is one. Nothing is done where another process is sealing. `progress` gets each day of
    service when it is done. Raises NotSealed where the ledger is never still, DatabaseUnavailable.
    """
    with database_errors(), _alone(connection) as alone:
        if not alone:
            logger.info("another process is sealing")
            return []
        if not any(window.until >= until for window in windows(connection)):
            close_window(connection, until)
        chain = seals(connection)
        made: list[Seal] = []
        for window in windows(connection)[len(chain) :]:
            before = [*chain, *made]
            previous = before[-1].digest if before else BEGINNING
            made.append(_seal_window(connection, window, previous, key, progress))
        return made


def windows(connection: Connection) -> list[Window]:
    """All closed windows, in order."""
    return [Window._make(row) for row in connection.execute(_SQL["windows"])]


def seals(connection: Connection) -> list[Seal]:
    """The whole chain, in order."""
    return [Seal._make(row) for row in connection.execute(_SQL["seals"])]


def sealed_parts(
    connection: Connection,
    first: date | None = None,
    last: date | None = None,
    number: int | None = None,
) -> dict[int, dict[Part, Sums]]:
    """What the seals say of these days of service (default: all), by the number of the seal; of one seal, if named."""
    found: dict[int, dict[Part, Sums]] = {}
    asked = {"first": first, "last": last, "number": number}
    for at, table, day, currency, *sums in connection.execute(_SQL["sealed_days"], asked):
        found.setdefault(at, {})[Part(table, day, currency)] = Sums._make(sums)
    return found


def sealable(
    connection: Connection,
    table: str,
    columns: Sequence[str],
    day: date,
    within: Sequence[Window],
) -> dict[int, dict[Part, Sums]]:
    """What a day of service holds now, by window, in the form that seals have it.

    `within` are windows that follow each other; what was booked in none of them is left out.
    """
    booked, key = TABLES[table]
    query = _SQL["digests"].format(
        table=sql.Identifier(table),
        booked=sql.Identifier(booked),
        key=sql.SQL(", ").join(map(sql.Identifier, key)),
        columns=sql.SQL(", ").join(map(sql.Identifier, columns)),
    )
    since = datetime.combine(day, time(), UTC)
    asked = {
        "since": since,
        "until": since + timedelta(days=1),
        "after": within[0].after,
        "last": within[-1].until,
        # A row of the last moment belongs to the window; the function counts it to the next.
        "ends": [window.until + _INSTANT for window in within],
    }
    connection.execute(_SQL["encoding"])
    found: dict[int, dict[Part, Sums]] = {}
    for row in connection.execute(query, asked).fetchall():
        part = Part(table, day, row[1])
        place: int = row[0]
        found.setdefault(within[place].number, {})[part] = Sums._make(row[2:])
    return found


def days_with_rows(
    connection: Connection, table: str, since: datetime | None, until: datetime | None
) -> set[date]:
    """The days of service, UTC, that have rows, of a period."""
    query = _SQL["days_with_rows"].format(table=sql.Identifier(table))
    asked = {"since": since, "until": until}
    return {day for (day,) in connection.execute(query, asked)}


def dropped_before(connection: Connection) -> dict[str, datetime]:
    """By table, before which moment retention has let rows go."""
    return dict(connection.execute(_SQL["dropped"]).fetchall())


@contextmanager
def _alone(connection: Connection) -> Generator[bool]:
    alone = connection.execute(_SQL["one_at_a_time"], (_LOCK,)).fetchone() == (True,)
    try:
        yield alone
    finally:
        if alone and not connection.broken:
            connection.execute(_SQL["done"], (_LOCK,))


def close_window(connection: Connection, until: datetime) -> None:
    """See to it that nothing more can be booked as of before `until`, a moment that is past. Raises NotSealed."""
    for _ in range(_TRIES):
        try:
            with connection.transaction():
                connection.execute(_SQL["patience"])
                connection.execute(_SQL["close_window"], (until,))
        except (errors.LockNotAvailable, errors.DeadlockDetected):
            continue
        except errors.CheckViolation:
            raise NotSealed(
                f"{until.isoformat()} is not past yet; seal up to a moment that is"
            ) from None
        return
    raise NotSealed(
        "the ledger was written to without a pause, by a long transaction perhaps; seal again later"
    )


def _seal_window(
    connection: Connection,
    window: Window,
    previous: bytes,
    key: bytes | None,
    progress: Callable[[date], object],
) -> Seal:
    columns = {table: _columns(connection, table) for table in TABLES}
    parts: dict[Part, Sums] = {}
    for table, names in columns.items():
        for day in _days_booked(connection, table, window):
            parts |= sealable(connection, table, names, day, [window]).get(window.number, {})
            progress(day)
    with connection.transaction():
        row = connection.execute(_SQL["login"]).fetchone()
        if row is None:
            raise AssertionError("a query without a table has one row")
        login, now = row
        made = seal_of(window, previous, columns, (now, login), parts, key)
        values = {**made._asdict(), "columns": Jsonb(made.columns)}
        connection.execute(_SQL["add_seal"], values)
        with connection.cursor() as cursor:
            days = [(window.number, *part, *sums) for part, sums in parts.items()]
            cursor.executemany(_SQL["add_day"], days)
    return made


def _columns(connection: Connection, table: str) -> list[str]:
    return [name for (name,) in connection.execute(_SQL["columns"], (table,))]


def _days_booked(connection: Connection, table: str, window: Window) -> list[date]:
    booked, _ = TABLES[table]
    query = _SQL["days_booked"].format(table=sql.Identifier(table), booked=sql.Identifier(booked))
    asked = {"after": window.after, "until": window.until}
    return [day for (day,) in connection.execute(query, asked)]
