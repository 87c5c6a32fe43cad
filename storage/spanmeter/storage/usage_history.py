"""Usage as the detectors of alerts ask for it, from the rollups; how calls followed each other from the latest rows."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from psycopg import sql

from spanmeter.metering.alerts.finding import Subject
from spanmeter.metering.alerts.usage import Missing, Pattern, Silent, TenantUsage, Usage, Who
from spanmeter.storage import statements
from spanmeter.storage.connection import Connection, database_errors

_SAMPLE: Final = 20_000
"""Calls that a pattern is read from, the latest."""

_SQL = statements.load("usage_history")


class LedgerHistory:
    """A `UsageHistory` of the ledger: as of one moment, if the connection is in one snapshot."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def used(self, since: datetime, until: datetime, last: Decimal) -> Mapping[Who, Usage]:
        """Sums of a period by who; of its last hour this part counts."""
        rows = self._rows("used", since=since, until=until, last=last)
        return {Who(*row[:4]): Usage._make(row[4:]) for row in rows}

    def hourly(
        self, subject: Subject, since: datetime, until: datetime
    ) -> Sequence[tuple[datetime, Decimal]]:
        """The cost of each hour that has any."""
        return [(hour, cost) for hour, cost in self._of("hourly", subject, since, until)]

    def by_model(self, subject: Subject, since: datetime, until: datetime) -> Mapping[str, Usage]:
        """Sums of a period by model."""
        rows = self._of("by_model", subject, since, until)
        return {row[0]: Usage._make(row[1:]) for row in rows}

    def pattern(self, subject: Subject, since: datetime, until: datetime) -> Pattern:
        """How the latest calls of a period followed each other."""
        (row,) = self._of("pattern", subject, since, until, most=_SAMPLE)
        return Pattern._make(row)

    def by_tenant(self, since: datetime, until: datetime) -> Sequence[TenantUsage]:
        """Sums of the days of a period, of tenants that are known."""
        rows = self._rows("by_tenant", since=since, until=until)
        return [
            TenantUsage(currency, account_type, tenant_id, feature, Usage._make(sums))
            for currency, account_type, tenant_id, feature, *sums in rows
        ]

    def reported(self, since: datetime, until: datetime, last: Decimal) -> Mapping[Silent, Decimal]:
        """Requests of a period by what reported them; of its last hour this part counts."""
        rows = self._rows("reported", since=since, until=until, last=last)
        return {Silent(*row[:3]): row[3] for row in rows}

    def missing(self, since: datetime, before: datetime) -> Sequence[Missing]:
        """Records that are missing, of processes that reported since a moment and began to before another."""
        return [Missing._make(row) for row in self._rows("missing", since=since, before=before)]

    def _of(
        self, name: str, subject: Subject, since: datetime, until: datetime, **asked: object
    ) -> list[tuple[Any, ...]]:
        conditions = [_is(dimension, value) for dimension, value in subject.items()]
        return self._rows(
            name,
            of_subject=sql.SQL(" AND ").join(conditions) if conditions else sql.SQL("true"),
            since=since,
            until=until,
            **asked,
        )

    def _rows(
        self, name: str, of_subject: sql.Composable | None = None, **asked: object
    ) -> list[tuple[Any, ...]]:
        query = _SQL[name].format(sums=_SQL["sums"], of_subject=of_subject or sql.SQL("true"))
        with database_errors():
            return self._connection.execute(query, asked).fetchall()


def _is(dimension: str, value: str | None) -> sql.Composed:
    # IS NOT DISTINCT FROM would use no index.
    if value is None:
        return sql.SQL("{} IS NULL").format(sql.Identifier(dimension))
    return sql.SQL("{} = {}").format(sql.Identifier(dimension), sql.Literal(value))
