"""Which database a command works on: the one of `--dsn`, or the embedded one of `--data`."""

from collections.abc import Generator
from contextlib import closing, contextmanager

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from spanmeter.console.extras import require
from spanmeter.console.failures import JobFailed, UnusableSetting
from spanmeter.console.settings import Settings
from spanmeter.storage import tenant_isolation
from spanmeter.storage.connection import Connection, connect, database_errors
from spanmeter.storage.migrations import migrations, pending
from spanmeter.storage.recent import bound_session

_SECRETS = {"password", "sslpassword", "oauth_client_secret"}


@contextmanager
def ledger_dsn(settings: Settings, *, create: bool = False) -> Generator[str]:
    """The DSN of the ledger; an embedded database runs for as long as the context.

    Without `create`, an embedded database that does not exist yet is a `JobFailed` instead of made.
    """
    if settings.dsn is not None:
        yield checked(settings.dsn)
        return
    require("the embedded database", "collector", "embedded")
    if not create and not settings.data.is_dir():
        raise JobFailed(
            f"there is no embedded ledger in {settings.data}: start one with `spanmeter up`,"
            " or name a database with --dsn"
        )
    from spanmeter.storage.embedded import EmbeddedDatabase

    with EmbeddedDatabase(settings.data) as database:
        yield database.conninfo


@contextmanager
def reading(dsn: str) -> Generator[Connection]:
    """A connection for reading up-to-date tables: one snapshot, however many queries are made."""
    refuse_outdated(dsn)
    with closing(connect(dsn)) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        with connection.transaction():
            yield connection


@contextmanager
def changing(settings: Settings) -> Generator[Connection]:
    """A connection for changing an up-to-date ledger, in autocommit."""
    with ledger_dsn(settings) as dsn:
        refuse_outdated(dsn)
        with closing(connect(dsn)) as connection, database_errors():
            yield connection


def refuse_outdated(dsn: str) -> None:
    """Raise `JobFailed` unless the database has a ledger, and that is up to date."""
    refuse_empty(dsn)
    if names := pending(dsn):
        raise JobFailed(f"the ledger lacks {', '.join(names)}: run `spanmeter db migrate`")


def refuse_leaks(dsn: str) -> None:
    """Raise `TenantsCanPeek` if a tenant that reads the database can see another's rows."""
    with closing(connect(dsn)) as connection, database_errors():
        bound_session(connection)
        tenant_isolation.refuse_leaks(connection)


def refuse_empty(dsn: str) -> None:
    """Raise `JobFailed` if the database has no ledger at all: it may be another than was meant."""
    if len(pending(dsn)) == len(migrations()):
        raise JobFailed("there is no ledger in this database: make one with `spanmeter db init`")


def checked(dsn: str) -> str:
    """The DSN itself. Raises `UnusableSetting`, repeating none of it, if libpq cannot parse it."""
    try:
        conninfo_to_dict(dsn)
    except psycopg.ProgrammingError:
        # libpq's message quotes the string, which may hold a password.
        raise UnusableSetting(
            "the DSN is not a PostgreSQL connection string, such as postgresql://USER@HOST:5432/DATABASE"
        ) from None
    return dsn


def without_password(dsn: str) -> str:
    """The DSN as it may be printed: psql takes the password from ~/.pgpass or asks for it."""
    given = conninfo_to_dict(dsn)
    if not _SECRETS & given.keys():
        return dsn
    return make_conninfo("", **{key: given[key] for key in given.keys() - _SECRETS})
