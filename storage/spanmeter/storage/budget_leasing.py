"""Leases: parts of budgets that are lent to processes, so that they can decide about calls by themselves.

What is left of a counter is its limit, less what is spent, less what is lent and not booked yet. A process says every
second what it still holds, and that it lives; what a dead one held comes back seconds later by itself. So what is spent
and lent never exceeds the limit, whatever the number of processes; see docs/budgets.md for what that bounds.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final, NamedTuple
from uuid import UUID

from spanmeter.metering.budgets.amounts import NOTHING, share
from spanmeter.metering.budgets.book import BudgetBook
from spanmeter.metering.budgets.budget import Budget
from spanmeter.metering.budgets.windows import Span
from spanmeter.storage import statements
from spanmeter.storage.budget_standing import standings_of
from spanmeter.storage.connection import Connection, database_errors

LIVING: Final = timedelta(seconds=15)
"""How long a lease lives after its holder was last heard of."""

LINGERING: Final = timedelta(seconds=120)
"""How long one that has been used up waits for the records of its calls."""

_SQL = statements.load("budget_leasing")


class HeldLease(NamedTuple):
    """What its holder says of a lease: all that it was lent and has not given back, used or not.

    `window` is the start of the window that it was lent from, None for one that is new. `settled`: no call draws on it
    any more.
    """

    lease_id: UUID
    window: datetime | None
    held: Decimal
    settled: bool


class Wanted(NamedTuple):
    """What a process wants of a counter: calls wait for `asked`, the smallest for `least`; later ones may for `ahead`.

    It goes to the lease `into`, which is among `leases`, unless that is of a window that is over.
    """

    budget: Budget
    counter: str
    leases: Sequence[HeldLease]
    into: UUID | None
    asked: Decimal
    least: Decimal
    ahead: Decimal


class Lent(NamedTuple):
    """What a process gets, and where the counter is then. `recalled`: others wait for what lies idle.

    `others` is what other processes hold, some of which may come back.
    """

    amount: Decimal
    spent: Decimal
    limit: Decimal
    left: Decimal
    window: Span
    recalled: bool
    others: Decimal


def lend(
    connection: Connection,
    book: BudgetBook,
    holder: str,
    wanted: Wanted,
    now: datetime | None = None,
) -> Lent:
    """Note what the process holds of the counter, and lend it more of what is left. Raises DatabaseUnavailable.

    What is booked has to be counted shortly before. What was booked since is lent still, if it drew on a lease.
    """
    now = datetime.now(UTC) if now is None else now
    window = book.window(wanted.budget, wanted.counter, now)
    named = {"budget": wanted.budget.name, "counter": wanted.counter, "holder": holder}
    with database_errors(), connection.transaction():
        connection.execute(_SQL["not_waiting"])
        # One statement after this lock sees all that is spent and lent, of one moment.
        row = connection.execute(_SQL["lock"], named).fetchone()
        recalled = bool(row and row[0])
        _hold(connection, named, wanted, window, now)
        (standing,) = standings_of(connection, book, [(wanted.budget, wanted.counter)], now)
        found = connection.execute(_SQL["holders"], {**named, "since": window.start}).fetchone()
        holders, others = found or (0, NOTHING)
        amount = NOTHING
        if _is_current(wanted, window):
            amount = share(
                standing.left,
                least=wanted.least,
                asked=wanted.asked,
                wanted=NOTHING if recalled else wanted.ahead,
                holders=holders + 1,
            )
        if amount:
            connection.execute(_SQL["lend"], {"lease": wanted.into, "amount": amount})
        if amount < wanted.asked and others:
            connection.execute(_SQL["short"], named)
    return Lent(
        amount, standing.spent, standing.limit, standing.left - amount, window, recalled, others
    )


def _hold(
    connection: Connection, named: dict[str, str], wanted: Wanted, window: Span, now: datetime
) -> None:
    # Of a rolling window's leases each is of the moment at which it was lent.
    began = window.start if window.end is not None else now
    values = {
        **named,
        "leases": [each.lease_id for each in wanted.leases],
        "windows": [each.window or began for each in wanted.leases],
        "held": [each.held for each in wanted.leases],
        "settled": [each.settled for each in wanted.leases],
        "living": LIVING,
        "lingering": LINGERING,
    }
    connection.execute(_SQL["hold"], values)


def _is_current(wanted: Wanted, window: Span) -> bool:
    """Whether there is a lease to add to, and it is of the window that is now."""
    into = next((each for each in wanted.leases if each.lease_id == wanted.into), None)
    return into is not None and (into.window is None or into.window >= window.start)
