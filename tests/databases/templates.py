"""A fresh database per test, copied from a template that was migrated once."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import LiteralString
from urllib.parse import urlsplit

import psycopg
from psycopg import sql


def in_database(dsn: str, database: str) -> str:
    """The same server, another database; *dsn* is a URI."""
    return urlsplit(dsn)._replace(path=f"/{database}").geturl()


@contextmanager
def fresh_database(server: str, template: str = "template1") -> Generator[str]:
    """The DSN of a copy of *template* that exists for as long as the block lasts."""
    name = f"spanmeter_test_{uuid.uuid4().hex[:16]}"
    with psycopg.connect(server, autocommit=True) as connection:
        _execute(connection, "CREATE DATABASE {} TEMPLATE {}", name, template)
    try:
        yield in_database(server, name)
    finally:
        with psycopg.connect(server, autocommit=True) as connection:
            _execute(connection, "DROP DATABASE {} WITH (FORCE)", name)


def ensure_template(server: str, version: str, prepare: Callable[[str], object]) -> str:
    """Return the template for *version*; where the server has none, make it with *prepare*.

    *prepare* gets the DSN of an empty database. However many ask at once, one of them makes it.
    """
    name = f"spanmeter_template_{version}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute("SELECT pg_advisory_lock(hashtext(%s))", [name])
        known = "SELECT FROM pg_database WHERE datname = %s AND datistemplate"
        if connection.execute(known, [name]).fetchone() is None:
            _execute(connection, "DROP DATABASE IF EXISTS {} WITH (FORCE)", name)
            _execute(connection, "CREATE DATABASE {}", name)
            prepare(in_database(server, name))
            # Closed to connections, among them those of TimescaleDB's scheduler: one that is
            # open blocks every copy.
            _execute(connection, "ALTER DATABASE {} ALLOW_CONNECTIONS false IS_TEMPLATE true", name)
            connection.execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s",
                [name],
            )
    return name


def _execute(connection: psycopg.Connection, statement: LiteralString, *names: str) -> None:
    identifiers = map(sql.Identifier, names)
    connection.execute(sql.SQL(statement).format(*identifiers))
