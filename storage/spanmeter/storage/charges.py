"""Charges: what providers charge us by the hour, for files of cost."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import NamedTuple

from spanmeter.storage import statements
from spanmeter.storage.connection import Connection, database_errors

_SQL = statements.load("charges")


class Charge(NamedTuple):
    """Calls of one hour that are alike in what tells charges apart.

    `cost` is None where none of them has a known rate. `corrects`: booked after the month of the calls.
    """

    charged_from: datetime
    tenant_id: str | None
    provider: str
    model: str | None
    operation: str
    region: str | None
    service_tier: str | None
    environment: str | None
    workspace_id: str | None
    project_id: str | None
    feature: str | None
    corrects: bool
    currency: str
    requests: int
    unpriced_requests: int
    input_tokens: int
    cache_read_input_tokens: int
    cache_write_input_tokens: int
    output_tokens: int
    reasoning_output_tokens: int
    cost: Decimal | None
    rate_versions: str | None


def charges(connection: Connection, since: datetime, until: datetime) -> list[Charge]:
    """All charges of a period, in an order that is always the same. Raises DatabaseUnavailable."""
    with database_errors():
        rows = connection.execute(_SQL["charges"], {"since": since, "until": until})
        return [Charge._make(row)._replace(charged_from=row[0].astimezone(UTC)) for row in rows]
