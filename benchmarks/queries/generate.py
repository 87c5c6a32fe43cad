"""The ledger that the questions are asked of: a month of calls, made by the server from a fixed seed.

The same rows come whatever the number of connections: a call is a function of its number, and a day has its numbers.
"""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import psycopg

from spanmeter.storage import statements

DAYS: Final = 30
PASSES: Final = 4
"""Each pass adds to every day, as late rows do: a run that is ended early leaves a whole month."""

CONNECTIONS: Final = 2

_SQL = statements.load_file(Path(__file__).with_name("generate.sql"))


def first_day() -> datetime:
    """The first of the days: the last of them is yesterday, UTC."""
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return today - timedelta(days=DAYS)


def generate(dsn: str, rows: int) -> None:
    """Book about `rows` calls, and roll them up."""
    since = first_day()
    size = rows // (DAYS * PASSES)
    parts = [
        {
            "first": 1 + number * size,
            "rows": size,
            "day": since + timedelta(days=number % DAYS),
            "later": since + timedelta(days=DAYS // 2),
        }
        for number in range(DAYS * PASSES)
    ]
    _run(dsn, "without_index")
    _run(dsn, "uncounted")
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        list(pool.map(lambda part: _run(dsn, "usage_events", part), parts))
    roll_up(dsn)


def roll_up(dsn: str) -> None:
    """Make the rollups and the index of what is booked."""
    _run(dsn, "with_index")
    _run(dsn, "counted")
    _run(dsn, "roll_up", {"first": first_day(), "end": first_day() + timedelta(days=DAYS)})
    _run(dsn, "analyze")


def _run(dsn: str, name: str, parameters: Mapping[str, object] | None = None) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("SET synchronous_commit = off")
        connection.execute(_SQL[name], parameters)
