"""Connections to the database: the defaults each starts with, and its errors as ours."""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Final

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.rows import TupleRow

from spanmeter.storage.errors import DatabaseUnavailable, StorageError

Connection = psycopg.Connection[TupleRow]

_DEFAULTS: Final = {
    "application_name": "spanmeter",
    "connect_timeout": "5",
    # A peer that went away without a word is noticed within about 10 s (libpq, milliseconds).
    "tcp_user_timeout": "10000",
    "keepalives_idle": "5",
    "keepalives_interval": "2",
}


def connect(conninfo: str) -> Connection:
    """Return a new connection in autocommit; what `conninfo` says wins over the defaults.

    Raises DatabaseUnavailable when the server cannot be reached, StorageError when `conninfo` is
    malformed.
    """
    parameters = with_defaults(conninfo)
    with database_errors():
        return psycopg.connect(parameters, autocommit=True)


def with_defaults(conninfo: str) -> str:
    """`conninfo` over the defaults. Raises StorageError, repeating none of it, when it is malformed."""
    try:
        return make_conninfo("", **(_DEFAULTS | conninfo_to_dict(conninfo)))
    except psycopg.ProgrammingError:
        # libpq's message quotes the string, which may hold a password.
        raise StorageError(
            "the DSN is malformed; it is postgresql://USER@HOST:PORT/DATABASE or key=value"
        ) from None


@contextmanager
def database_errors() -> Generator[None]:
    """Raise what psycopg raises inside as DatabaseUnavailable, in one line."""
    try:
        yield
    except psycopg.Error as error:
        raise unavailable(error) from error


def unavailable(error: psycopg.Error) -> DatabaseUnavailable:
    """Return `error` as a DatabaseUnavailable, told in one line without any value of a row."""
    return DatabaseUnavailable(f"the database does not answer as it should: {summary(error)}")


def summary(error: psycopg.Error) -> str:
    """Return the server's message without its detail, which quotes the row; else the driver's."""
    primary = error.diag.message_primary
    return primary or str(error).partition("\n")[0] or type(error).__name__
