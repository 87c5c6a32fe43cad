"""Counting what is used of budgets: what is booked and not counted yet is added to their counters.

Booking notes its transaction in the ledger's own, as for rollups; whoever needs to know what is spent counts first. So
a counter is the sum over the ledger at that moment, and writers have no row in common to wait for.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo

from psycopg import sql

from spanmeter.metering import attributes as names
from spanmeter.metering.budgets.amounts import NOTHING, PriceOf, Usage, amount
from spanmeter.metering.budgets.book import BudgetBook
from spanmeter.metering.costing import EXACT
from spanmeter.storage import statements
from spanmeter.storage.connection import Connection, database_errors

TRANSACTIONS: Final = 10_000
"""Counted at once."""

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

_UTC: Final = ZoneInfo("UTC")

_LOOKS_BACK: Final = timedelta(days=1)
"""Windows of the tenants of one budget begin up to a day apart."""

# "spanbudg" as a number: advisory locks of all programs share one namespace per database.
_LOCK: Final = int.from_bytes(b"spanbudg")

_LEDGER = statements.load("budgets")
_SQL = statements.load("budget_counting")


class Drawn(NamedTuple):
    """Usage, and the leases that it drew on."""

    usage: Usage
    leases: Sequence[str]


def be_alone(connection: Connection) -> None:
    """Until the transaction ends nobody else counts, nor lays down what is counted."""
    connection.execute(_LEDGER["alone"], (_LOCK,))


def count(connection: Connection, book: BudgetBook, price_of: PriceOf | None = None) -> int:
    """Add what is booked and not counted yet, of so many transactions at most; of how many it was.

    The book has to be read in the same transaction, after `be_alone`.
    """
    row = connection.execute(_SQL["take_bookings"], (TRANSACTIONS,)).fetchone()
    if row is None:
        raise AssertionError("an aggregate is one row")
    taken, *bounds = row
    if taken and book.budgets:
        since, until, booked_at, booked_in = bounds
        named = {"since": since, "until": until, "booked_at": booked_at, "booked_in": booked_in}
        _add(connection, book, _used(connection, book, "of_bookings", named), price_of)
    return int(taken)


def recount(
    connection: Connection, book: BudgetBook, name: str, price_of: PriceOf | None = None
) -> None:
    """Count one budget, which has no counters, from the ledger, from the start of its window on.

    In the same transaction, after `be_alone`. What is still to be counted is left out: it will be.
    """
    alone = BudgetBook(book.version, {name: book.budgets[name]}, book.zones)
    # As far back as in the time zone that is the furthest ahead.
    since = book.budgets[name].window.at(datetime.now(UTC), _UTC).start - _LOOKS_BACK
    _add(connection, alone, _used(connection, alone, "since", {"since": since}), price_of)


def forget(connection: Connection, book: BudgetBook) -> None:
    """Drop what no window begins before any more."""
    oldest = datetime.now(UTC) - 2 * _LOOKS_BACK
    with database_errors():
        for budget in book.budgets.values():
            if budget.window.length is not None:
                before = oldest - budget.window.length
                connection.execute(_SQL["forget_buckets"], (budget.name, before))
        connection.execute(_SQL["forget_leases"])


def _used(
    connection: Connection, book: BudgetBook, chosen: str, bounds: Mapping[str, Any]
) -> Iterator[Drawn]:
    dimensions, units = book.scopes.dimensions, book.units
    selected = [*map(_dimension, dimensions), *map(_unit, units)]
    # Something has to stand there.
    columns = sql.SQL(", ").join(selected or [sql.SQL("NULL")])
    first = 11
    grouped = [1, 2, 3, *range(first, first + len(dimensions))]
    query = _SQL["usage"].format(
        selected=columns,
        chosen=_SQL[chosen],
        grouped=sql.SQL(", ").join(map(sql.Literal, grouped)),
    )
    for row in connection.execute(query, bounds).fetchall():
        yield _drawn(row, dimensions, units)


def _drawn(row: Sequence[Any], dimensions: Sequence[str], units: Sequence[str]) -> Drawn:
    minute, currency, leases, requests, cost, *counts = row[:10]
    values = row[10:]
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


def _add(
    connection: Connection, book: BudgetBook, used: Iterable[Drawn], price_of: PriceOf | None
) -> None:
    spent: dict[tuple[str, str, datetime], Decimal] = {}
    booked: dict[tuple[str, str, str], Decimal] = {}
    for usage, leases in used:
        for budget, counter in book.scopes.of(usage.dimensions):
            came_to = amount(budget, usage, price_of)
            bucket = book.bucket(budget, counter, usage.minute)
            _put(spent, (budget.name, counter, bucket), came_to)
            for lease in leases:
                _put(booked, (lease, budget.name, counter), came_to)
    if spent:
        names_, counters, buckets = zip(*sorted(spent), strict=True)
        connection.execute(
            _SQL["add_spending"],
            {
                "budgets": list(names_),
                "counters": list(counters),
                "buckets": list(buckets),
                "amounts": [spent[key] for key in sorted(spent)],
            },
        )
    if booked:
        ids, names_, counters = zip(*sorted(booked), strict=True)
        connection.execute(
            _SQL["book_leases"],
            {
                "leases": list(ids),
                "budgets": list(names_),
                "counters": list(counters),
                "amounts": [booked[key] for key in sorted(booked)],
            },
        )


def _put(sums: dict[Any, Decimal], key: object, value: Decimal) -> None:
    sums[key] = EXACT.add(sums.get(key, NOTHING), value)


def _dimension(name: str) -> sql.Composable:
    column = COLUMNS.get(name)
    if column is not None:
        return sql.Identifier(column)
    own = name.removeprefix(names.USAGE_DIMENSION_PREFIX)
    return sql.SQL("dimensions ->> {}").format(sql.Literal(own))


def _unit(name: str) -> sql.Composable:
    form = sql.SQL("coalesce(sum((quantities ->> {})::numeric), 0)")
    return form.format(sql.Literal(name))
