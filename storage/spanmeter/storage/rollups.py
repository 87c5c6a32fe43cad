"""The sums that answer at once: folding what was booked into them, checking them against the ledger, making them anew.

`usage_hourly`, `usage_daily` and their like are views of what is folded and of what is not yet, so that they are exact
at any moment, whether anybody folds or not; folding keeps them quick.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Final, NamedTuple

from psycopg import errors, sql

from spanmeter.storage import statements
from spanmeter.storage.connection import Connection, database_errors
from spanmeter.storage.errors import LedgerIncomplete

__all__ = ["ROLLUPS", "Difference", "LedgerIncomplete", "differences", "fold", "rebuild"]

_DIMENSIONS: Final = (
    *("tenant_id", "workspace_id", "project_id", "feature", "workflow", "account_type"),
    *(
        "environment",
        "service_name",
        "provider",
        "model",
        "operation",
        "billable_state",
        "currency",
    ),
)

ROLLUPS: Final[Mapping[str, Sequence[str]]] = {
    "usage_hourly": ("hour", *_DIMENSIONS),
    "usage_daily": ("day", *_DIMENSIONS),
    "usage_daily_by_tenant": (
        *("day", "tenant_id", "account_type", "environment", "billable_state", "currency"),
    ),
    "usage_daily_by_model": (
        *("day", "feature", "account_type", "environment", "service_name", "provider", "model"),
        *("operation", "billable_state", "currency"),
    ),
    "usage_daily_unattributed": (
        *("day", "callsite", "service_name", "provider", "model", "currency"),
    ),
    "usage_hourly_quantities": ("hour", *_DIMENSIONS, "unit"),
    "usage_daily_quantities": ("day", *_DIMENSIONS, "unit"),
    "usage_monthly": (
        *("month", "tenant_id", "workspace_id", "feature", "account_type", "environment"),
        *("billable_state", "currency"),
    ),
}
"""Each rollup by the columns that tell its rows apart: its period first."""

MEASURES: Final = (
    "requests",
    "failed_requests",
    "unpriced_requests",
    "input_tokens",
    "cache_read_input_tokens",
    "cache_write_input_tokens",
    "output_tokens",
    "reasoning_output_tokens",
    "audio_input_tokens",
    "audio_output_tokens",
    "image_input_tokens",
    "image_output_tokens",
    "cost",
)
"""What a rollup sums; one by unit has only the quantity."""

_ROWS: Final = 1_000_000

_SQL = statements.load("rollups")


class Difference(NamedTuple):
    """A row of a rollup that is not the sum over the ledger.

    `key` tells the row by the rollup's columns, as text. `missing` is what the rollup lacks of each measure that
    differs: the ledger's sum less the rollup's. A cost that only one of them knows differs even where it is 0.
    """

    rollup: str
    key: Mapping[str, str | None]
    missing: Mapping[str, Decimal]


def fold(connection: Connection, rows: int = _ROWS) -> int:
    """Fold up to so many rows of what is booked, in a transaction of its own; return how many.

    A row of the ledger is one, and one more for each unit in its quantities. 0 means that nothing is left to fold, or
    that somebody else is folding. Raises DatabaseUnavailable.
    """
    with database_errors():
        row = connection.execute(_SQL["fold"], (rows,)).fetchone()
    return row[0] if row else 0


def differences(connection: Connection, since: date, until: date) -> list[Difference]:
    """Compare every rollup with the ledger, row by row, for the days from `since` up to but without `until`, UTC.

    A month is compared as a whole, where its first day is one of these. Each comparison is of one moment. Empty is as
    it should be, unless retention has dropped rows of the ledger that the rollups keep. Raises DatabaseUnavailable.
    """
    with database_errors():
        return [
            each
            for rollup, key in ROLLUPS.items()
            for each in _differences(connection, rollup, key, since, until)
        ]


def rebuild(connection: Connection, since: date, until: date) -> None:
    """Make the rollups of these days anew from the ledger, in one transaction.

    Raises LedgerIncomplete, and changes nothing, where the ledger no longer has any row of a day that the rollups
    have; DatabaseUnavailable.
    """
    with database_errors():
        try:
            connection.execute(_SQL["rebuild"], (since, until))
        except errors.NoDataFound as error:
            raise LedgerIncomplete(
                f"{error.diag.message_primary}: rebuild from a later day, or the sums of it are lost"
            ) from error


def _differences(
    connection: Connection, rollup: str, key: Sequence[str], since: date, until: date
) -> Iterator[Difference]:
    measures = ("quantity",) if "unit" in key else MEASURES
    if key[0] == "month":
        since, until = _next_month(since), _next_month(until)
    bounds = {"since": _midnight(since), "until": _midnight(until)}
    days = {"first": since, "end": until}
    hours = {"first": bounds["since"], "end": bounds["until"]}
    asked = {**bounds, **(hours if key[0] == "hour" else days)}
    for told, *missing in connection.execute(_comparison(rollup, key, measures), asked):
        named = zip(measures, missing, strict=True)
        yield Difference(rollup, told, {name: value for name, value in named if value is not None})


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def _next_month(day: date) -> date:
    """The first month to begin on this day or later."""
    if day.day == 1:
        return day
    return date(day.year + day.month // 12, day.month % 12 + 1, 1)


def _comparison(rollup: str, key: Sequence[str], measures: Sequence[str]) -> sql.Composed:
    period, *rest = key
    own = {name: _SQL[name] for name in ("failed_requests", "quantity")}
    differing = {"cost": _SQL["differing_cost"]}
    return _SQL["differences"].format(
        rollup=sql.Identifier(rollup),
        ledger=_SQL["units" if "unit" in key else "rows"],
        period=sql.Identifier(period),
        of_row=_SQL[period],
        everybody=sql.Literal("callsite" not in key),
        key=_each("{0}", key),
        rest=_each("{0}", rest),
        measures=_each("{0}", measures),
        counted=_listed(own.get(name, sql.Identifier(name)) for name in measures),
        negated=_each("-{0}", measures),
        differing=_listed(
            differing.get(name) or _SQL["differing"].format(sql.Identifier(name))
            for name in measures
        ),
    )


def _each(form: str, names: Sequence[str]) -> sql.Composed:
    expression = statements.trusted(form)
    return _listed(expression.format(sql.Identifier(name)) for name in names)


def _listed(parts: Iterable[sql.Composable]) -> sql.Composed:
    return sql.SQL(", ").join(parts)
