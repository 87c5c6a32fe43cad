"""The server that the questions are asked of: one of its own on this machine, kept from run to run."""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Final

import psycopg
from psycopg import sql

from databases import provision, shared
from databases.cluster import TIMESCALEDB_SETTINGS, Cluster
from databases.editions import Edition
from databases.templates import in_database
from spanmeter.storage.migrations import migrate

# What a server of 8 GB is given; everything else is as PostgreSQL comes. Nothing here must survive a power cut.
_SETTINGS: Final = {"shared_buffers": "2GB", "max_wal_size": "4GB", "fsync": "off"}


@contextmanager
def server(edition: Edition) -> Generator[str]:
    """The DSN of the benchmark's server. It stays up with its ledgers until `python -m databases stop`."""
    directory = provision.servers() / f"bench-queries-{edition}"
    if edition == "plain":
        cluster = Cluster(directory, provision.plain(), _SETTINGS)
    else:
        settings = TIMESCALEDB_SETTINGS | _SETTINGS
        cluster = Cluster(directory, provision.timescale(), settings)
    shared.keep(cluster)
    with shared.lease(cluster) as leased:
        yield leased.dsn()


def ledger(server_dsn: str, rows: int) -> tuple[str, bool]:
    """The DSN of the ledger of so many rows, and whether it is new, and so still empty."""
    name = f"ledger_{rows}"
    with psycopg.connect(server_dsn, autocommit=True) as connection:
        known = connection.execute("SELECT FROM pg_database WHERE datname = %s", [name]).fetchone()
        if known is None:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    dsn = in_database(server_dsn, name)
    migrate(dsn)
    return dsn, known is None


def edition_of(dsn: str) -> str:
    """What the server is, for the heading of the figures."""
    with psycopg.connect(dsn) as connection:
        row = connection.execute(
            "SELECT current_setting('server_version_num')::int / 10000, (SELECT extversion FROM pg_extension"
            " WHERE extname = 'timescaledb'), current_setting('timescaledb.license', true)"
        ).fetchone()
    if row is None:
        raise SystemExit("the server does not answer")
    timescale = f" with TimescaleDB {row[1]} ({row[2]})" if row[1] else ""
    return f"PostgreSQL {row[0]}{timescale}"
