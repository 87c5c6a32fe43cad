"""Which PostgreSQL this is, and the one thing that is done differently on each.

Plain PostgreSQL keeps `usage_events` and `adjustments` as ordinary tables; TimescaleDB, under
either license, makes them hypertables with chunks in a schema of their own. Nothing else asks.
"""

import logging
from dataclasses import dataclass
from typing import Final, Literal, cast

from psycopg import errors, sql

from spanmeter.storage import statements
from spanmeter.storage.connection import Connection

logger = logging.getLogger(__name__)

Kind = Literal["community", "apache", "plain"]

PARTITIONED: Final = ("adjustments", "usage_events")

CHUNK_SCHEMA: Final = "spanmeter_chunks"
"""Only the owner may use it: a grant on a hypertable reaches its chunks, row-level security not."""

_SQL = statements.load("edition")


@dataclass(frozen=True, slots=True)
class Edition:
    """The server's edition: `kind` by TimescaleDB's license, the versions, our hypertables."""

    kind: Kind
    postgres: str
    timescaledb: str | None
    hypertables: tuple[str, ...]


def detect(connection: Connection) -> Edition:
    """Return the edition that `connection` leads to.

    The license setting decides: Community's functions exist in both and fail when called.
    """
    row = connection.execute(_SQL["versions"]).fetchone()
    postgres, timescaledb, license_ = cast("tuple[str, str | None, str | None]", row)
    if timescaledb is None:
        return Edition("plain", postgres, None, ())
    kind: Kind = "community" if license_ == "timescale" else "apache"
    hypertables = tuple(str(name) for (name,) in connection.execute(_SQL["hypertables"]))
    return Edition(kind, postgres, timescaledb, hypertables)


def prepare(connection: Connection) -> None:
    """Create TimescaleDB's extension if the server offers it and this role may; else stay plain."""
    offered = connection.execute(_SQL["offers_timescaledb"]).fetchone() == (True,)
    if offered and detect(connection).timescaledb is None:
        try:
            connection.execute(_SQL["create_timescaledb"])
        except errors.InsufficientPrivilege:
            logger.warning(
                "this server has TimescaleDB, but this role may not create the extension; for "
                "hypertables, let the database's owner run CREATE EXTENSION timescaledb and "
                "CREATE SCHEMA %s AUTHORIZATION this role, and migrate again",
                CHUNK_SCHEMA,
            )


def partition(connection: Connection) -> None:
    """Make the ledger's tables hypertables, where that is possible and not done yet."""
    edition = detect(connection)
    if edition.kind == "plain":
        return
    with connection.transaction():
        for name in PARTITIONED:
            if name not in edition.hypertables:
                create = _SQL["create_hypertable"].format(
                    table=sql.Identifier(name), name=name, chunk_schema=CHUNK_SCHEMA
                )
                connection.execute(create)
    _protect_server(connection)


def _protect_server(connection: Connection) -> None:
    for procedure, ours in connection.execute(_SQL["public_merge_chunks"]).fetchall():
        revoke = _SQL["revoke_from_public"].format(procedure=statements.trusted(procedure))
        if ours:
            connection.execute(revoke)
        else:
            logger.warning(
                "any role can crash this server through a fault of TimescaleDB before 2.24; "
                "let a superuser run: %s",
                revoke.as_string(connection),
            )
