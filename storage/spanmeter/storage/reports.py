"""Reports: sums over the ledger by whatever dimensions are asked for, from the rollups where these can tell."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Final, NamedTuple

from psycopg import sql

from spanmeter.storage import statements
from spanmeter.storage.connection import Connection, database_errors
from spanmeter.storage.errors import UnknownDimension
from spanmeter.storage.report_parts import LEDGER, Part, parts

DIMENSIONS: Final = (
    "tenant_id",
    "workspace_id",
    "project_id",
    "user_id",
    "feature",
    "workflow",
    "action",
    "label",
    "idempotency_key",
    "account_type",
    "environment",
    "service_name",
    "callsite",
    "provider",
    "operation",
    "model",
    "request_model",
    "response_model",
    "region",
    "service_tier",
    "byok",
    "status",
    "billable_state",
    "billable_reason",
    "rate_version",
    "kind",
)
"""The columns of `ledger` that a report can be by."""

PERIODS: Final = ("day", "hour")
"""The periods of time that a report can be by, in UTC."""

OWN_DIMENSION: Final = "dimension:"
"""Before the name of a dimension of the application's own: `dimension:region`."""

Value = str | bool | date | datetime | None

_SQL = statements.load("reports")


class ReportRow(NamedTuple):
    """Sums over the part of the ledger that shares `dimensions` and `currency`.

    A count that nobody reported adds nothing. `cost` is the sum of the known costs, unrounded;
    it is None where every request is unpriced, and lacks those `unpriced_requests` counts.
    """

    dimensions: Mapping[str, Value]
    requests: int
    failed_requests: int
    unpriced_requests: int
    input_tokens: int
    cache_read_input_tokens: int
    cache_write_input_tokens: int
    output_tokens: int
    reasoning_output_tokens: int
    cost: Decimal | None
    currency: str


def usage_report(
    connection: Connection,
    by: Sequence[str],
    since: datetime | None = None,
    until: datetime | None = None,
    tenant: str | None = None,
) -> list[ReportRow]:
    """Return the ledger's sums by each combination of the dimensions `by`, greatest cost first.

    `by` takes DIMENSIONS, PERIODS (which sort first, oldest first) and `dimension:<name>`; with
    none there is one row per currency. `since` is included, `until` is not; `tenant` keeps to one.
    Sums of rows that retention has dropped are in it where the rollups answer. To be asked in one snapshot, as parts of
    it come from the ledger. Raises UnknownDimension, DatabaseUnavailable.
    """
    if since is not None and until is not None and since >= until:
        return []
    query = _query(by, since, until, tenant)
    with database_errors():
        return [_row(by, values) for values in connection.execute(query, {"tenant": tenant})]


def estimated_requests(
    connection: Connection,
    since: datetime | None = None,
    until: datetime | None = None,
    tenant: str | None = None,
) -> int:
    """Return how many requests of a report have counts that are not the provider's. Raises DatabaseUnavailable."""
    asked = {"since": since, "until": until, "tenant": tenant}
    with database_errors():
        row = connection.execute(_SQL["estimated"], asked).fetchone()
    return 0 if row is None else int(row[0])


def _query(
    by: Sequence[str], since: datetime | None, until: datetime | None, tenant: str | None
) -> sql.Composed:
    dimensions = {name: dimension(name) for name in by}
    needed = {*dimensions.keys() - {*PERIODS}, *({"tenant_id"} if tenant else ())}
    finest = "hour" if "hour" in by else "day" if "day" in by else None
    # Grouped and sorted by position: an expression with a value in it would not equal its twin.
    positions = [sql.Literal(number) for number in range(1, len(by) + 1)]
    periods = [at for at, name in zip(positions, by, strict=True) if name in PERIODS]
    return _SQL["usage"].format(
        dimensions=_listed([_named(number) for number in range(len(by))]),
        parts=sql.SQL(" UNION ALL ").join(
            _part(part, dimensions, of_one=tenant is not None)
            for part in parts(needed, finest, since, until)
        ),
        groups=_listed(positions),
        order=_listed(periods),
    )


def _part(part: Part, dimensions: Mapping[str, sql.Composable], *, of_one: bool) -> sql.Composed:
    of_rows = part.relation == LEDGER
    selected = [
        expression if of_rows else _SQL.get(f"{name}_of_{part.period}", sql.Identifier(name))
        for name, expression in dimensions.items()
    ]
    return _SQL["part"].format(
        dimensions=_listed(
            [sql.SQL("{} AS {}").format(each, _named(at)) for at, each in enumerate(selected)]
        ),
        failed_requests=_SQL["failed_requests"] if of_rows else sql.Identifier("failed_requests"),
        relation=sql.Identifier(part.relation),
        period=sql.Identifier(part.period),
        since=_bound(part.period, part.since, "-infinity"),
        until=_bound(part.period, part.until, "infinity"),
        of_tenant=_SQL["of_tenant"] if of_one else sql.SQL(""),
    )


def _bound(period: str, moment: datetime | None, without: str) -> sql.Literal:
    if moment is None:
        return sql.Literal(without)
    # A day is compared with a day: as a moment it would be one of the session's time zone.
    return sql.Literal(moment.date() if period in ("day", "month") else moment)


def _named(number: int) -> sql.Identifier:
    return sql.Identifier(f"by_{number}")


def dimension(name: str) -> sql.Composable:
    """A dimension or period as an expression over `ledger`. Raises UnknownDimension."""
    if name in DIMENSIONS:
        return sql.Identifier(name)
    if name in PERIODS:
        return _SQL[name]
    if name.startswith(OWN_DIMENSION):
        # The statement has parameters, so a percent sign in its text is written twice.
        own = name.removeprefix(OWN_DIMENSION).replace("%", "%%")
        return _SQL["own_dimension"].format(name=own)
    known = ", ".join((*DIMENSIONS, *PERIODS))
    raise UnknownDimension(f"there is no dimension {name!r}; there are {known}, dimension:NAME")


def _listed(parts: Sequence[sql.Composable]) -> sql.Composed:
    return sql.Composed([sql.SQL("{}, ").format(part) for part in parts])


def _row(by: Sequence[str], values: tuple[Any, ...]) -> ReportRow:
    dimensions = {name: _in_utc(value) for name, value in zip(by, values, strict=False)}
    *counts, cost, currency = values[len(by) :]
    return ReportRow._make((dimensions, *map(int, counts), cost, currency))


def _in_utc(value: Value) -> Value:
    return value.astimezone(UTC) if isinstance(value, datetime) else value
