"""Margins of everybody: thousands of statements, worked out beside the requests."""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import NamedTuple

from spanmeter.console.margins import Margin, margins
from spanmeter.console.web.worked_out import Noted, WorkedOut
from spanmeter.storage.connection import Connection


class MarginsAsked(NamedTuple):
    """Of which month, and by what."""

    month: date
    by: str


class AllMargins(NamedTuple):
    """Margins of a month, as of a moment; `troubles`: whose could not be worked out, and why."""

    found: Sequence[Margin]
    as_of: datetime
    troubles: Sequence[str]


MarginsHeld = WorkedOut[MarginsAsked, AllMargins]


def all_margins(
    connection: Connection, asked: MarginsAsked, noted: Noted, tenant: str | None = None
) -> AllMargins:
    """Everybody's margins, or one tenant's. Raises UnknownDimension, DatabaseUnavailable."""
    found: list[Margin] = []
    troubles: list[str] = []
    as_of = datetime.now(UTC)
    of_tenants = margins(connection, asked.month, asked.by, tenant, trouble=troubles.append)
    for each in of_tenants:
        if not found or found[-1].tenant_id != each.tenant_id:
            noted()
        found.append(each)
    return AllMargins(found, as_of, troubles)
