"""Usage for statements: read as far added up as the plan allows, and never all at once."""

from collections.abc import Iterator, Sequence
from datetime import date, datetime
from itertools import groupby
from operator import itemgetter
from typing import Any, Final, NamedTuple

from psycopg import sql

from spanmeter.metering.plans.charge_units import COLUMNS
from spanmeter.metering.statements.usage import Action, ActionCall, UsageItem, Wanted
from spanmeter.storage import statements
from spanmeter.storage.connection import Connection, database_errors
from spanmeter.storage.reports import dimension
from spanmeter.storage.rollups import MEASURES, ROLLUPS

_PAGE: Final = 5000
"""Rows that the database hands over at a time."""

_HOURLY: Final = frozenset(ROLLUPS["usage_hourly"][2:])
_FIXED: Final = 6
"""Columns of a row of usage before those that are wanted."""

_SQL = statements.load("statement_usage")


class Asked(NamedTuple):
    """Whose usage of when; `as_of`: what was booked by then, None: all of it."""

    tenant_id: str
    since: datetime
    until: datetime
    as_of: datetime | None = None


def now(connection: Connection) -> datetime:
    """The moment that the transaction under way sees."""
    return _moment(connection, "now")


def clock(connection: Connection) -> datetime:
    """The moment that it is by the database's clock."""
    return _moment(connection, "clock")


def has_included(connection: Connection, asked: Asked) -> bool:
    """Whether some of the usage may be `included`."""
    row = connection.execute(_SQL["has_included"], asked_for(asked)).fetchone()
    return row == (True,)


def read_usage(connection: Connection, asked: Asked, wanted: Wanted) -> Iterator[UsageItem]:
    """The usage, in the order of time: row by row where the order matters, else added up between the cuts.

    To be used up within the transaction under way. Raises DatabaseUnavailable.
    """
    how = "rows" if wanted.ordered else "hours" if _in_rollups(asked, wanted) else "sums"
    parameters = {**asked_for(asked), "cuts": list(wanted.cuts)}
    width = len(wanted.columns)
    with database_errors(), connection.cursor(name="spanmeter_statement") as cursor:
        cursor.itersize = _PAGE
        cursor.execute(_query(how, wanted), parameters)
        for row in cursor:
            time, state, currency, calls, unpriced, cost = row[:_FIXED]
            values, amounts = row[_FIXED : _FIXED + width], row[_FIXED + width :]
            yield UsageItem(time, values, state, currency, calls, unpriced, cost, amounts)


def read_actions(connection: Connection, asked: Asked, wanted: Wanted) -> Iterator[Action]:
    """Actions with a price that first succeeded in the period, in that order.

    To be used up within the transaction under way. Raises DatabaseUnavailable.
    """
    if not wanted.actions:
        return
    names = [sql.Identifier(f"wanted_{place}") for place in range(len(wanted.columns))]
    named = [
        sql.SQL("{} AS {}").format(dimension(column), name)
        for column, name in zip(wanted.columns, names, strict=True)
    ]
    query = _SQL["actions"].format(columns=_listed(named), names=_listed(names))
    parameters = {**asked_for(asked), "actions": sorted(wanted.actions)}
    with database_errors(), connection.cursor(name="spanmeter_actions") as cursor:
        cursor.itersize = _PAGE
        cursor.execute(query, parameters)
        # Rows of one action are next to each other: its time, name, key and, last, generation.
        for _, rows in groupby(cursor, itemgetter(0, 1, 2, -1)):
            yield _action(list(rows))


def late_months(
    connection: Connection,
    asked: Asked,
    closed: Sequence[tuple[date, datetime, datetime]],
    after: datetime,
) -> list[date]:
    """Of closed periods (month, since, until) those that something was booked for after a moment, or may be charged
    otherwise by what was recorded since."""
    if not closed:
        return []
    parameters = {**asked_for(asked), "after": after}
    ends = {"until": max(until for _, _, until in closed)}
    with database_errors():
        if connection.execute(_SQL["defined_since"], parameters | ends).fetchone() == (True,):
            return [month for month, _, _ in closed]
        months, sinces, untils = (list(each) for each in zip(*closed, strict=True))
        bounds = {"months": months, "sinces": sinces, "untils": untils}
        return [month for (month,) in connection.execute(_SQL["late"], parameters | bounds)]


def tenants_between(connection: Connection, first: date, last: date) -> list[str]:
    """Who used something on these days, UTC."""
    with database_errors():
        return [tenant for (tenant,) in connection.execute(_SQL["tenants"], (first, last))]


def asked_for(asked: Asked) -> dict[str, Any]:
    """The parameters of a query."""
    told = asked._asdict()
    return {"tenant": told.pop("tenant_id"), **told}


def _query(how: str, wanted: Wanted) -> sql.Composed:
    # Grouped by position: an expression with a value in it would not equal its twin.
    groups = [sql.Literal(_FIXED + place) for place in range(1, len(wanted.columns) + 1)]
    units = [_unit(unit, summed=how != "rows") for unit in wanted.units]
    columns = [dimension(column) for column in wanted.columns]
    listed = sql.Composed([sql.SQL(", {}").format(each) for each in (*columns, *units)])
    return _SQL[how].format(wanted=listed, groups=_listed(groups))


def _unit(unit: str, *, summed: bool) -> sql.Composed:
    suffix = "_sum" if summed else ""
    if unit in COLUMNS:
        return _SQL[f"unit{suffix}"].format(unit=sql.Identifier(unit))
    # The statement has parameters, so a percent sign in its text is written twice; a unit has none.
    return _SQL[f"quantity{suffix}"].format(unit=sql.Literal(unit))


def _in_rollups(asked: Asked, wanted: Wanted) -> bool:
    moments = (asked.since, asked.until, *wanted.cuts)
    return (
        asked.as_of is None
        and {*wanted.columns} <= _HOURLY
        and {*MEASURES} >= {*wanted.units}
        and all(moment.timestamp() % 3600 == 0 for moment in moments)
    )


def _moment(connection: Connection, name: str) -> datetime:
    (moment,) = connection.execute(_SQL[name]).fetchone() or (None,)
    if not isinstance(moment, datetime):
        raise AssertionError("there is always a now")
    return moment


def _action(rows: Sequence[Sequence[Any]]) -> Action:
    time, name, key, _, refunded, *_ = rows[0]
    calls = tuple(ActionCall(tuple(row[_FIXED:-1]), row[_FIXED - 1]) for row in rows)
    return Action(time, name, key, calls, sum(row[3] for row in rows), refunded)


def _listed(parts: Sequence[sql.Composable]) -> sql.Composed:
    return sql.Composed([sql.SQL("{}, ").format(part) for part in parts])
