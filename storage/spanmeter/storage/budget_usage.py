"""What budgets count, read from the ledger: added up by minute, by the dimensions of their scopes, and by lease."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from psycopg import sql

from spanmeter.metering import attributes as names
from spanmeter.metering.budgets.amounts import Usage
from spanmeter.metering.budgets.book import BudgetBook
from spanmeter.storage import statements
from spanmeter.storage.connection import Connection

COLUMNS: Final[Mapping[str, str]] = {
    names.TENANT_ID: "tenant_id",
    names.WORKSPACE_ID: "workspace_id",
    names.PROJECT_ID: "project_id",
    names.USER_ID: "user_id",
    names.USAGE_FEATURE: "feature",
    names.USAGE_WORKFLOW: "workflow",
    names.USAGE_ACTION: "action",
    names.USAGE_ACCOUNT_TYPE: "account_type",
    names.REQUEST_MODEL: "request_model",
    names.PROVIDER_NAME: "provider",
    names.OPERATION_NAME: "operation",
}
"""Dimensions of scopes that have a column; all others are in `dimensions`."""

_FIXED: Final = 10
"""Columns of a row of usage before those that are selected."""

_SQL = statements.load("budget_counting")


class Chosen(NamedTuple):
    """Which rows of the ledger: the name of a condition, and its parameters."""

    condition: str
    bounds: Mapping[str, Any]


class Drawn(NamedTuple):
    """Usage, and the leases that it drew on."""

    usage: Usage
    leases: Sequence[str]


def read_usage(connection: Connection, book: BudgetBook, chosen: Chosen) -> Iterator[Drawn]:
    """What the budgets of a book count, but for prices."""
    dimensions, units = book.scopes.dimensions, book.units
    selected = [*map(dimension, dimensions), *map(quantity, units)]
    grouped = [1, 2, 3, *range(_FIXED + 1, _FIXED + 1 + len(dimensions))]
    query = _SQL["usage"].format(
        # Something has to stand there.
        selected=sql.SQL(", ").join(selected or [sql.NULL]),
        chosen=_SQL[chosen.condition],
        grouped=sql.SQL(", ").join(map(sql.Literal, grouped)),
    )
    for row in connection.execute(query, chosen.bounds).fetchall():
        yield _drawn(row, dimensions, units)


def dimension(name: str) -> sql.Composable:
    """A dimension of scopes, as an expression."""
    column = COLUMNS.get(name)
    if column is not None:
        return sql.Identifier(column)
    own = name.removeprefix(names.USAGE_DIMENSION_PREFIX)
    return sql.SQL("dimensions ->> {}").format(_literal(own))


def quantity(unit: str) -> sql.Composable:
    """The sum of a unit that has no column, as an expression."""
    return sql.SQL("coalesce(sum((quantities ->> {})::numeric), 0)").format(_literal(unit))


def _literal(name: str) -> sql.Literal:
    # The statement has parameters, so a percent sign in its text is written twice.
    return sql.Literal(name.replace("%", "%%"))


def _drawn(row: Sequence[Any], dimensions: Sequence[str], units: Sequence[str]) -> Drawn:
    minute, currency, leases, requests, cost, *counts = row[:_FIXED]
    values = row[_FIXED:]
    taken_in, made, unpriced, unpriced_in, unpriced_out = map(int, counts)
    usage = Usage(
        minute=minute,
        currency=currency,
        requests=int(requests),
        cost=cost,
        input_tokens=taken_in,
        output_tokens=made,
        unpriced_requests=unpriced,
        unpriced_input_tokens=unpriced_in,
        unpriced_output_tokens=unpriced_out,
        dimensions=dict(zip(dimensions, values, strict=False)),
        units=dict(zip(units, values[len(dimensions) :], strict=False)),
    )
    return Drawn(usage, leases.split() if leases else ())
