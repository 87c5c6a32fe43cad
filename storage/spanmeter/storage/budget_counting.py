"""Counting what is used of budgets: what is booked and not counted yet is added to their counters.

Booking notes its transaction in the ledger's own, as for rollups; whoever needs to know what is spent counts first. So
a counter is the sum over the ledger at that moment, and writers have no row in common to wait for.
"""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final
from zoneinfo import ZoneInfo

from spanmeter.metering.budgets.amounts import NOTHING, amount
from spanmeter.metering.budgets.book import BudgetBook
from spanmeter.metering.costing import EXACT
from spanmeter.storage import statements
from spanmeter.storage.budget_prices import plans_changed, read_prices
from spanmeter.storage.budget_usage import Chosen, Drawn, read_usage
from spanmeter.storage.connection import Connection, database_errors

TRANSACTIONS: Final = 10_000
"""Counted at once."""

_UTC: Final = ZoneInfo("UTC")

_LOOKS_BACK: Final = timedelta(days=1)
"""Windows of the tenants of one budget begin up to a day apart."""

# "spanbudg" as a number: advisory locks of all programs share one namespace per database.
_LOCK: Final = int.from_bytes(b"spanbudg")

_LEDGER = statements.load("budgets")
_SQL = statements.load("budget_counting")


def be_alone(connection: Connection) -> None:
    """Until the transaction ends nobody else counts, nor lays down what is counted."""
    connection.execute(_LEDGER["alone"], (_LOCK,))


def count(connection: Connection, book: BudgetBook) -> int:
    """Add what is booked and not counted yet, of so many transactions at most; of how many it was.

    The book has to be read in the same transaction, after `be_alone`. Raises PlanError for plans that this
    release cannot read, where a budget is on price.
    """
    if plans_changed(connection):
        for name in book.by_price(wanted=True).budgets:
            connection.execute(_LEDGER["drop_counters"], (name,))
            connection.execute(_SQL["unbook_leases"], (name,))
            recount(connection, book, name)
    row = connection.execute(_SQL["take_bookings"], (TRANSACTIONS,)).fetchone()
    if row is None:
        raise AssertionError("an aggregate is one row")
    taken, *bounds = row
    if taken and book.budgets:
        since, until, booked_at, booked_in = bounds
        named = {"since": since, "until": until, "booked_at": booked_at, "booked_in": booked_in}
        _add(connection, book, Chosen("of_bookings", named))
    return int(taken)


def recount(connection: Connection, book: BudgetBook, name: str) -> None:
    """Count one budget, which has no counters, from the ledger, from the start of its window on.

    In the same transaction, after `be_alone`. What is still to be counted is left out: it will be.
    """
    alone = BudgetBook(book.version, {name: book.budgets[name]}, book.zones)
    # As far back as in the time zone that is the furthest ahead.
    since = book.budgets[name].window.at(datetime.now(UTC), _UTC).start - _LOOKS_BACK
    _add(connection, alone, Chosen("since", {"since": since}))


def forget(connection: Connection, book: BudgetBook) -> None:
    """Drop what no window begins before any more."""
    oldest = datetime.now(UTC) - 2 * _LOOKS_BACK
    with database_errors():
        for budget in book.budgets.values():
            if budget.window.length is not None:
                before = oldest - budget.window.length
                connection.execute(_SQL["forget_buckets"], (budget.name, before))
        connection.execute(_SQL["forget_leases"])


def _add(connection: Connection, book: BudgetBook, chosen: Chosen) -> None:
    spent: dict[tuple[str, str, datetime], Decimal] = {}
    booked: dict[tuple[str, str, str], Decimal] = {}
    for read, wanted in ((read_usage, False), (read_prices, True)):
        part = book.by_price(wanted=wanted)
        if part.budgets:
            _sum(part, read(connection, part, chosen), spent, booked)
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


def _sum(
    book: BudgetBook,
    used: Iterable[Drawn],
    spent: dict[tuple[str, str, datetime], Decimal],
    booked: dict[tuple[str, str, str], Decimal],
) -> None:
    for usage, leases in used:
        for budget, counter in book.scopes.of(usage.dimensions):
            came_to = amount(budget, usage)
            bucket = book.bucket(budget, counter, usage.minute)
            _put(spent, (budget.name, counter, bucket), came_to)
            for lease in leases:
                _put(booked, (lease, budget.name, counter), came_to)


def _put(sums: dict[Any, Decimal], key: object, value: Decimal) -> None:
    sums[key] = EXACT.add(sums.get(key, NOTHING), value)
