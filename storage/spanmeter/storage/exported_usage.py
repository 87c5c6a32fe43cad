"""Usage as it is exported: sums over the ledger by hour or day, tenant, and the dimensions that a meter wants."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final, Literal, NamedTuple

from psycopg import sql

from spanmeter.storage import statements
from spanmeter.storage.connection import Connection, database_errors
from spanmeter.storage.reports import dimension

Period = Literal["hour", "day"]
Window = Literal["hour", "day", "whole"]

COLUMNS: Final = (
    "requests",
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
EXPRESSIONS: Final[Mapping[str, str]] = {"uncached_input_tokens": "uncached", "tokens": "tokens"}
ACTIONS: Final = "actions"
UNIT: Final = "unit:"
"""Before a unit that is no column: `unit:images`."""

MEASURES: Final = (*COLUMNS, *EXPRESSIONS, ACTIONS)
"""What can be measured, beside `unit:NAME`."""

_SQL = statements.load("exported_usage")


class Measured(NamedTuple):
    """What is summed: a measure, of rows with these values of dimensions, told apart by others."""

    measure: str
    where: Mapping[str, str]
    by: Sequence[str]


class Sum(NamedTuple):
    """A sum of one window, tenant and combination of dimensions; no tenant is unattributed."""

    window_start: datetime
    tenant_id: str | None
    dimensions: Mapping[str, str | None]
    quantity: Decimal


def changed_windows(
    connection: Connection,
    period: Period,
    since: datetime,
    until: datetime,
    booked_since: datetime | None,
    *,
    actions: bool,
) -> list[datetime]:
    """Return the starts of windows with rows booked since then; all that have rows where it is None.

    With `actions`, those too of actions that such rows belong to. Raises DatabaseUnavailable.
    """
    asked = {"since": since, "until": until, "booked_since": booked_since or "-infinity"}
    wanted = ("changed_windows", "changed_actions") if actions else ("changed_windows",)
    found: set[datetime] = set()
    with database_errors():
        for name in wanted:
            statement = _SQL[name].format(window=_SQL[period])
            found.update(start.astimezone(UTC) for (start,) in connection.execute(statement, asked))
    return sorted(found)


def sums(
    connection: Connection, measured: Measured, window: Window, since: datetime, until: datetime
) -> list[Sum]:
    """Return the sums of a period, by window. Raises UnknownDimension, DatabaseUnavailable."""
    statement = _SQL["actions" if measured.measure == ACTIONS else "sums"].format(
        window=_SQL[window],
        measure=_measure(measured.measure),
        dimensions=_object(measured.by),
        condition=_condition(measured.where),
    )
    with database_errors():
        rows = connection.execute(statement, {"since": since, "until": until})
        return [
            Sum(start.astimezone(UTC), tenant, dimensions, Decimal(quantity))
            for start, tenant, dimensions, quantity in rows
        ]


def _measure(name: str) -> sql.Composable:
    if name in COLUMNS:
        return sql.Identifier(name)
    if name.startswith(UNIT):
        # The statement has parameters, so a percent sign in its text is written twice.
        return _SQL["quantity"].format(unit=name.removeprefix(UNIT).replace("%", "%%"))
    return _SQL[EXPRESSIONS.get(name, "tokens")]


def _object(names: Sequence[str]) -> sql.Composable:
    parts = [sql.SQL("{}, {}").format(_text(name), _dimension(name)) for name in names]
    return sql.SQL("jsonb_build_object({})").format(sql.SQL(", ").join(parts))


def _dimension(name: str) -> sql.Composable:
    return sql.Identifier(name) if name == "currency" else dimension(name)


def _condition(where: Mapping[str, str]) -> sql.Composable:
    parts = [
        _SQL["equals"].format(
            dimension=sql.SQL("({})::text").format(_dimension(name)), value=_text(value)
        )
        for name, value in where.items()
    ]
    return sql.SQL(" AND ").join(parts) if parts else sql.SQL("true")


def _text(value: str) -> sql.Composable:
    return sql.SQL("{}::text").format(sql.Literal(value.replace("%", "%%")))
