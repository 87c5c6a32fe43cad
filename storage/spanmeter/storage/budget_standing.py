"""How far budgets have come: what is spent, lent and left of each counter, at this moment."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final, NamedTuple

from spanmeter.metering.budgets.amounts import reached
from spanmeter.metering.budgets.book import BudgetBook
from spanmeter.metering.budgets.budget import Budget
from spanmeter.metering.budgets.scopes import EACH, counter_of
from spanmeter.metering.budgets.windows import Span
from spanmeter.metering.costing import EXACT
from spanmeter.storage import statements
from spanmeter.storage.budget_counting import be_alone, count
from spanmeter.storage.budgets import book_version, read_book
from spanmeter.storage.connection import Connection, database_errors

MAX_COUNTERS: Final = 10_000
"""Of one budget that are listed."""

LAST: Final = datetime(9999, 1, 1, tzinfo=UTC)
"""The end of windows that have none."""

_SQL = statements.load("budget_counting")


class Standing(NamedTuple):
    """One counter of a budget. `limit` is with what is added to it now; `lent` is left of leases, and not spent yet."""

    budget: Budget
    counter: str
    window: Span
    limit: Decimal
    spent: Decimal
    lent: Decimal

    @property
    def left(self) -> Decimal:
        """What is neither spent nor lent; negative where more was spent."""
        return EXACT.subtract(EXACT.subtract(self.limit, self.spent), self.lent)

    @property
    def reached(self) -> list[Decimal]:
        """The thresholds that the spending has come to, in per cent."""
        return reached(self.spent, self.limit, self.budget.thresholds)


def counted_book(connection: Connection, known: BudgetBook | None = None) -> BudgetBook:
    """All budgets as they are now, when all that is booked by now is counted. Raises DatabaseUnavailable.

    `known` is what was read before: where nothing was laid down since, it is not read again.
    """
    with database_errors():
        while True:
            with connection.transaction():
                be_alone(connection)
                if known is None or known.version != book_version(connection):
                    known = read_book(connection)
                if not count(connection, known):
                    return known


def standings(connection: Connection, *, budget: str | None = None) -> list[Standing]:
    """All counters, or those of one budget; up to `MAX_COUNTERS` of each. Raises DatabaseUnavailable."""
    book = counted_book(connection)
    asked = [
        (each, counter)
        for each in book.budgets.values()
        if budget in (None, each.name)
        for counter in _counters(connection, each)
    ]
    return standings_of(connection, book, asked, datetime.now(UTC))


def standings_of(
    connection: Connection,
    book: BudgetBook,
    asked: Sequence[tuple[Budget, str]],
    now: datetime,
) -> list[Standing]:
    """Those of some counters, as they are counted. Raises DatabaseUnavailable."""
    windows = [book.window(budget, counter, now) for budget, counter in asked]
    values = {
        "budgets": [budget.name for budget, _ in asked],
        "counters": [counter for _, counter in asked],
        "since": [window.start for window in windows],
        "until": [window.end or LAST for window in windows],
    }
    with database_errors():
        rows = connection.execute(_SQL["spent"], values).fetchall()
    return [
        Standing(budget, counter, window, book.limit(budget, counter, now), spent, lent)
        for (budget, counter), window, (_, spent, lent) in zip(asked, windows, rows, strict=True)
    ]


def _counters(connection: Connection, budget: Budget) -> Iterable[str]:
    if EACH not in budget.scope.values():
        return [counter_of({})]
    values = {"budget": budget.name, "most": MAX_COUNTERS}
    with database_errors():
        return [counter for (counter,) in connection.execute(_SQL["counters"], values)]
