"""The schema, step by step: each `.sql` file beside this module runs once, in order of its name.

Forward only. A file runs in one transaction with its record in `spanmeter_migrations`, so that it
is applied wholly or not at all. It is never changed afterwards: the record keeps its checksum.
"""

from collections.abc import Mapping, Sequence
from hashlib import sha256
from importlib.metadata import version
from importlib.resources import files
from typing import Final, NamedTuple

from spanmeter.storage import edition, statements
from spanmeter.storage.connection import Connection, connect, database_errors
from spanmeter.storage.errors import SchemaOutOfDate
from spanmeter.storage.rates import record_installed

__all__ = ["Migration", "SchemaOutOfDate", "migrate", "migrations", "pending"]

# "spanmetr" as a number: advisory locks of all programs share one namespace per database.
_LOCK: Final = int.from_bytes(b"spanmetr")

RELEASE: Final = version("spanmeter")

_SQL = statements.load("schema")


class Migration(NamedTuple):
    """One file: its name without the suffix, its text, and the SHA-256 of that in hex."""

    name: str
    text: str
    checksum: str


class Applied(NamedTuple):
    """What a database knows of a migration: its checksum, and the release that applied it if that was noted."""

    checksum: str
    release: str | None


def migrations() -> list[Migration]:
    """Return every migration of this release, in order."""
    paths = (path for path in files(__name__).iterdir() if path.name.endswith(".sql"))
    return sorted(_read(path.name, path.read_bytes()) for path in paths)


def migrate(conninfo: str) -> list[str]:
    """Bring the database to this release's schema; return the names of what was applied.

    A ledger without rates gets those that came with the installation.

    Safe to call again, and from several processes at once. Raises SchemaOutOfDate where an applied
    migration is not the one this release has, DatabaseUnavailable where the server refuses.
    """
    with connect(conninfo) as connection, database_errors():
        connection.execute(_SQL["lock"], (_LOCK,))
        edition.prepare(connection)
        connection.execute(_SQL["create_record"])
        todo = _pending(migrations(), _applied(connection))
        for migration in todo:
            _apply(connection, migration)
        record_installed(connection)
        edition.partition(connection)
    return [migration.name for migration in todo]


def pending(conninfo: str) -> list[str]:
    """Return the names of what `migrate` would apply; change nothing and raise the same."""
    with connect(conninfo) as connection, database_errors():
        return [migration.name for migration in _pending(migrations(), _applied(connection))]


def _read(filename: str, content: bytes) -> Migration:
    return Migration(filename.removesuffix(".sql"), content.decode(), sha256(content).hexdigest())


def _applied(connection: Connection) -> Mapping[str, Applied]:
    if connection.execute(_SQL["has_record"]).fetchone() != (True,):
        return {}
    rows = connection.execute(_SQL["read_record"]).fetchall()
    return {name: Applied(checksum, release) for name, checksum, release in rows}


def _pending(known: Sequence[Migration], applied: Mapping[str, Applied]) -> list[Migration]:
    if newer := sorted(applied.keys() - {migration.name for migration in known}):
        release = _named(applied[newer[-1]].release, "a newer release")
        raise SchemaOutOfDate(
            f"the database has the migration {newer[-1]}, which spanmeter {RELEASE} does not know; "
            f"install {release}"
        )
    for migration in known:
        was = applied.get(migration.name)
        if was is not None and was.checksum != migration.checksum:
            release = _named(was.release, "the release that made this database")
            raise SchemaOutOfDate(
                f"the migration {migration.name} was applied with another text than spanmeter "
                f"{RELEASE} has; install {release}"
            )
    return [migration for migration in known if migration.name not in applied]


def _named(release: str | None, otherwise: str) -> str:
    return otherwise if release is None else f"spanmeter {release} or a later one"


def _apply(connection: Connection, migration: Migration) -> None:
    # Without parameters the text goes to the server as it is, with all its statements.
    with connection.transaction():
        connection.execute(statements.trusted(migration.text))
        connection.execute(_SQL["record"], (migration.name, migration.checksum, RELEASE))
