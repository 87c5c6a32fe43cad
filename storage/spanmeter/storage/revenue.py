"""Revenue as other systems tell it, and what earned it by any dimension."""

from collections.abc import Iterable
from datetime import date
from decimal import Decimal
from typing import Final, NamedTuple

from spanmeter.storage import statements
from spanmeter.storage.connection import Connection, database_errors
from spanmeter.storage.reports import dimension
from spanmeter.storage.statement_usage import Asked, asked_for

# "spanreve" as a number: advisory locks of all programs share one namespace per database.
_LOCK: Final = int.from_bytes(b"spanreve")

_SQL = statements.load("revenue")


class Revenue(NamedTuple):
    """What a tenant paid for a month (its first day). Sources add up; one that tells anew replaces what it told."""

    tenant_id: str
    month: date
    amount: Decimal
    currency: str
    source: str


def import_revenue(connection: Connection, rows: Iterable[Revenue], recorded_by: str) -> int:
    """Keep what was paid, all or nothing; return how many rows were not known. Raises DatabaseUnavailable."""
    with database_errors(), connection.transaction():
        connection.execute(_SQL["one_at_a_time"], (_LOCK,))
        told = [{**row._asdict(), "recorded_by": recorded_by} for row in rows]
        return sum(connection.execute(_SQL["add"], each).rowcount for each in told)


def imported_revenue(connection: Connection, month: date) -> dict[tuple[str, str], Decimal]:
    """What was paid for a month, by tenant and currency. Raises DatabaseUnavailable."""
    with database_errors():
        rows = connection.execute(_SQL["of_month"], (month,)).fetchall()
    return {(tenant, currency): amount for tenant, currency, amount in rows}


def cost_by(connection: Connection, asked: Asked, name: str) -> dict[tuple[object, str], Decimal]:
    """A tenant's cost of a period by the values of a dimension, and currency.

    Raises UnknownDimension, DatabaseUnavailable.
    """
    query = _SQL["segments"].format(dimension=dimension(name))
    with database_errors():
        rows = connection.execute(query, asked_for(asked)).fetchall()
    return {(value, currency): cost for value, currency, cost in rows}
