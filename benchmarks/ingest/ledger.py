"""The database that is written to: one of its own on the tests' server, or on the one that is named."""

import sys
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import psycopg
from processor import process

from databases import editions
from databases.templates import fresh_database
from spanmeter.metering.usage_event import UsageEvent
from spanmeter.storage.migrations import migrate

RENEWED = ("time", "trace_id", "span_id", "response_id")
DAYS = 60

FILLING = 2
"""Connections that fill: as many as the reference machine has cores."""


@contextmanager
def ledger() -> Generator[str]:
    """The DSN of an empty ledger, for as long as the block lasts."""
    with editions.server("timescale", "bench-ingest") as server, fresh_database(server) as dsn:
        migrate(dsn)
        yield dsn


def count(dsn: str) -> int:
    """Rows booked."""
    return _one(dsn, "SELECT count(*) FROM usage_events")


def server_pid(dsn: str) -> int | None:
    """The server's first process; `None` where it runs on another machine, or in a container."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        backend = process(connection.info.backend_pid)
        return backend.parent if backend is not None and backend.name == "postgres" else None


def fill(dsn: str, rows: int) -> None:
    """Book `rows` more rows like those that are there, over the last 60 days, and note their calls."""
    with ThreadPoolExecutor(FILLING) as threads:
        # Every statement takes one day, so that no transaction opens more chunks than it may lock.
        days = threads.map(lambda day: _fill_day(dsn, day, rows // DAYS), range(1, DAYS + 1))
        for done, _ in enumerate(days, start=1):
            print(f"\rbooking rows of the past: day {done} of {DAYS}", end="", file=sys.stderr)
    print(file=sys.stderr)
    for table in ("usage_events", "provider_calls"):
        _one(dsn, f"VACUUM ANALYZE {table}")


def _fill_day(dsn: str, day: int, rows: int) -> None:
    names = [name for name in UsageEvent._fields if name not in RENEWED]
    _one(
        dsn,
        f"""
        WITH booked AS (
            INSERT INTO usage_events ({", ".join(RENEWED)}, {", ".join(names)})
            SELECT now() - interval '{day} days' + n * interval '1 second' * 86400 / {rows},
                uuid_send(gen_random_uuid()), substr(uuid_send(gen_random_uuid()), 9),
                'chatcmpl-' || gen_random_uuid(), {", ".join(names)}
            FROM generate_series(1, {rows}) AS n
            JOIN (
                SELECT row_number() OVER () - 1 AS number, * FROM (
                    SELECT * FROM usage_events WHERE time > now() - interval '1 hour' LIMIT 512
                ) AS latest
            ) AS model ON model.number = n % 512
            RETURNING time, trace_id, span_id, response_id
        )
        INSERT INTO provider_calls (call, time, trace_id, span_id)
        SELECT decode(md5(response_id), 'hex') AS call, time, trace_id, span_id FROM booked ORDER BY call
        """,  # noqa: S608
    )


def _one(dsn: str, statement: str) -> int:
    with psycopg.connect(dsn, autocommit=True) as connection:
        cursor = connection.execute(statement.encode())
        row = cursor.fetchone() if cursor.description else None
        return int(row[0]) if row else 0
