"""Statements that were closed, as they were then."""

import json
from dataclasses import asdict, dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final

from psycopg import errors
from psycopg.types.json import Jsonb

from spanmeter.storage import statements
from spanmeter.storage.connection import Connection, database_errors
from spanmeter.storage.errors import StorageError

_SQL = statements.load("closings")

_TO_COME: Final = "closed_at"


class ClosedMeanwhile(StorageError):
    """Somebody else closed the period at the same time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Closing:
    """A period as it was closed: the total, what the usage cost by currency, and the statement to the byte.

    `as_of`: what was booked until then is in it. `revision` counts from 1.
    """

    tenant_id: str
    month: date
    revision: int
    since: datetime
    until: datetime
    as_of: datetime
    currency: str | None
    total: Decimal | None
    cost: dict[str, str]
    digest: bytes
    document: str
    closed_by: str
    closed_at: datetime | None = None

    def read(self) -> dict[str, Any]:
        """The statement as it was closed."""
        document: dict[str, Any] = json.loads(self.document)
        return document


def closings(
    connection: Connection, tenant_id: str, as_of: datetime | None = None
) -> list[Closing]:
    """A tenant's closed periods, each as it was closed last, in their order. Raises DatabaseUnavailable."""
    asked = {"tenant": tenant_id, "as_of": as_of}
    with database_errors():
        return [_closing(row) for row in connection.execute(_SQL["closings"], asked)]


def closings_of_month(connection: Connection, month: date) -> dict[str, Closing]:
    """Everybody's closed periods of a month, by tenant. Raises DatabaseUnavailable."""
    with database_errors():
        found = [_closing(row) for row in connection.execute(_SQL["of_month"], (month,))]
    return {each.tenant_id: each for each in found}


def add_closing(connection: Connection, closing: Closing) -> None:
    """Close a period, or a closed one again. Raises ClosedMeanwhile, DatabaseUnavailable."""
    told: dict[str, Any] = asdict(closing)
    del told[_TO_COME]
    with database_errors():
        try:
            connection.execute(_SQL["add"], told | {"cost": Jsonb(closing.cost)})
        except errors.UniqueViolation as error:
            raise ClosedMeanwhile(
                f"the period {closing.month:%Y-%m} of tenant {closing.tenant_id!r} was closed a moment ago"
            ) from error


def _closing(row: tuple[Any, ...]) -> Closing:
    *told, closed_at, closed_by = row
    names = [name for name in Closing.__dataclass_fields__ if name not in {_TO_COME, "closed_by"}]
    values: dict[str, Any] = dict(zip(names, told, strict=True))
    return Closing(**values, closed_at=closed_at, closed_by=closed_by)
