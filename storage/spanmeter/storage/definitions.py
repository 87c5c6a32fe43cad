"""Changes of what tenants are charged (plans, grants, refunds) come one after the other.

So whoever holds the lock knows that all that was recorded before is committed.
"""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Final

from spanmeter.storage import statements
from spanmeter.storage.connection import Connection, database_errors

# "spanplan" as a number: advisory locks of all programs share one namespace per database.
_LOCK: Final = int.from_bytes(b"spanplan")

_SQL = statements.load("plans")


@contextmanager
def one_at_a_time(connection: Connection) -> Generator[None]:
    """A transaction in which nobody else changes them. Raises DatabaseUnavailable."""
    with database_errors(), connection.transaction():
        connection.execute(_SQL["one_at_a_time"], (_LOCK,))
        yield
