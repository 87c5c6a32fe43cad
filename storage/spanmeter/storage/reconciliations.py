"""Reconciliations that were made, kept as they were found."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final, NamedTuple
from uuid import UUID

from psycopg.types.json import Jsonb

from spanmeter.metering.reconciliation.bill import Cell
from spanmeter.metering.reconciliation.waterfall import Reconciliation, Variance
from spanmeter.storage import statements
from spanmeter.storage.books import Asked
from spanmeter.storage.connection import Connection, database_errors

REFERENCE: Final = "reconciliation:"
"""Before the id, in the reference of an adjustment that a reconciliation led to."""

_SQL = statements.load("reconciliation")


class Made(NamedTuple):
    """A reconciliation, and how much was `posted` to the ledger because of it."""

    reconciliation_id: UUID
    provider: str
    providers: Sequence[str]
    since: date
    until: date
    closed_at: datetime | None
    currency: str
    account: str | None
    attributed: Decimal
    billed: Decimal
    sources: Sequence[str]
    made_at: datetime
    made_by: str
    posted: Decimal

    @property
    def asked(self) -> Asked:
        """Which rows were compared."""
        return Asked(
            self.providers, self.since, self.until, self.currency, self.account, self.closed_at
        )


def save(
    connection: Connection,
    reconciliation_id: UUID,
    found: Reconciliation,
    asked: Asked,
    sources: Sequence[str],
) -> None:
    """Keep what was found, in the transaction under way. Raises DatabaseUnavailable."""
    rows = (
        (reconciliation_id, place, *each.cell, each.cause, each.amount, _json(each.quantities))
        for place, each in enumerate(found.variances)
    )
    with database_errors(), connection.cursor() as cursor:
        cursor.execute(
            _SQL["save"],
            (
                *(reconciliation_id, found.provider, list(asked.providers)),
                *(asked.since, asked.until, asked.closed_at, asked.currency, asked.account),
                *(found.attributed, found.billed, list(sources)),
            ),
        )
        cursor.executemany(_SQL["save_variance"], rows)


def made(connection: Connection) -> list[Made]:
    """All that were made, latest first. Raises DatabaseUnavailable."""
    with database_errors():
        return [Made(*row) for row in connection.execute(_SQL["all"])]


def variances(connection: Connection, reconciliation_id: UUID) -> list[Variance]:
    """What one of them found. Raises DatabaseUnavailable."""
    with database_errors():
        rows = connection.execute(_SQL["variances"], (reconciliation_id,)).fetchall()
    return [_variance(row) for row in rows]


def _variance(row: Sequence[Any]) -> Variance:
    *cell, cause, amount, quantities = row
    kinds = {str(kind): Decimal(n) for kind, n in sorted(quantities.items())}
    return Variance(Cell(*cell), cause, amount, kinds)


def _json(quantities: Mapping[str, Decimal]) -> Jsonb:
    return Jsonb({kind: f"{amount:f}" for kind, amount in quantities.items()})
