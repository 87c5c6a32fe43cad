"""Leases: whatever processes ask for, use, give back or take to their graves, no more is lent than is left."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from booking import event, metered, query
from integration.budgets.conftest import Laid
from spanmeter.metering.budgets.scopes import counter_of
from spanmeter.metering.budgets.windows import Window
from spanmeter.storage.budget_leasing import HeldLease, Lent, Wanted, lend
from spanmeter.storage.budget_standing import counted_book, standings
from spanmeter.storage.budgets import increase
from spanmeter.storage.connection import Connection, connect
from spanmeter.storage.ledger import LedgerWriter

NOTHING = Decimal(0)


class Process:
    """What a process holds of the budget `b`: one lease, and what calls have used of it."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.holder = uuid4().hex
        self.lease = uuid4()
        self.held = NOTHING
        self.used = NOTHING

    def ask(
        self, asked: str | Decimal, least: str | Decimal = "0", ahead: str | Decimal = "0"
    ) -> Lent:
        """Asks for more; it has what it gets."""
        book = counted_book(self._connection)
        lease = HeldLease(self.lease, None, self.held, settled=False)
        wanted = Wanted(
            book.budgets["b"],
            "{}",
            [lease],
            self.lease,
            *map(Decimal, (asked, least, ahead)),
        )
        lent = lend(self._connection, book, self.holder, wanted)
        self.held += lent.amount
        return lent

    def call(self, dsn: str, cost: Decimal) -> None:
        """Makes a call, which is booked."""
        self.used += cost
        with LedgerWriter(dsn) as writer:
            row = event(time=datetime.now(UTC), cost=cost, budget_leases=self.lease.hex)
            writer.write(metered(row))


def test_two_get_what_there_is_and_no_more(lay_down: Laid, plain_dsn: str) -> None:
    lay_down("b", "10", window=Window.named("lifetime"))
    with connect(plain_dsn) as connection:
        one, other = Process(connection), Process(connection)
        assert one.ask(asked="4", least="1").amount == 4
        lent = other.ask(asked="9", least="1")
        assert [lent.amount, lent.left, lent.others] == [6, 0, 4]
        # Somebody waits: what lies idle is called back, and goes to whoever waits.
        lent = one.ask(asked="0")
        assert lent.recalled
        one.held = Decimal(1)
        assert one.ask(asked="0").amount == 0
        assert other.ask(asked="3", least="1").amount == 3
        assert other.ask(asked="1", least="1").amount == 0


def test_what_is_booked_is_not_lent_any_more_and_counts_once(
    lay_down: Laid, plain_dsn: str
) -> None:
    lay_down("b", "10", window=Window.named("lifetime"))
    with connect(plain_dsn) as connection:
        process, other = Process(connection), Process(connection)
        process.ask(asked="6", least="1")
        process.call(plain_dsn, Decimal("2.5"))
        (standing,) = standings(connection)
        assert (standing.spent, standing.lent, standing.left) == (
            *(Decimal("2.5"), Decimal("3.5")),
            Decimal(4),
        )
        assert other.ask(asked="5", least="5").amount == 0
        assert other.ask(asked="4", least="4").amount == 4


def test_what_the_dead_held_comes_back_and_what_they_used_is_spent(
    lay_down: Laid, plain_dsn: str
) -> None:
    lay_down("b", "10", window=Window.named("lifetime"))
    with connect(plain_dsn) as connection:
        dead, other = Process(connection), Process(connection)
        dead.ask(asked="8", least="1")
        assert other.ask(asked="5", least="5").amount == 0
        query(plain_dsn, "UPDATE budget_leases SET expires_at = now() - interval '1 s'")
        assert other.ask(asked="5", least="5").amount == 5
        # Its record is delivered by another one, later.
        dead.call(plain_dsn, Decimal(2))
        (standing,) = standings(connection)
        assert [standing.spent, standing.lent, standing.left] == [2, 5, 3]


def test_an_increase_is_lent_at_once(lay_down: Laid, plain_dsn: str) -> None:
    lay_down("b", "0")
    with connect(plain_dsn) as connection:
        process = Process(connection)
        assert process.ask(asked="1", least="1").amount == 0
        later = datetime.now(UTC) + timedelta(hours=1)
        increase(connection, "b", counter_of({}), Decimal(1), later, "test")
        assert process.ask(asked="1", least="1").amount == 1


def test_nobody_lends_to_anothers_lease(lay_down: Laid, plain_dsn: str) -> None:
    lay_down("b", "10", window=Window.named("lifetime"))
    with connect(plain_dsn) as connection:
        one, thief = Process(connection), Process(connection)
        one.ask(asked="4", least="1")
        thief.lease = one.lease
        thief.ask(asked="0")
        ((held, holder),) = query(plain_dsn, "SELECT held, holder FROM budget_leases")
        assert (held, holder) == (4, one.holder)


amounts = st.decimals("0.01", "4", places=2)
steps = st.lists(
    st.tuples(
        st.integers(0, 2),
        st.sampled_from(["ask", "call", "give back", "lose the answer", "die"]),
        amounts,
    ),
    max_size=12,
)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(steps)
def test_no_more_is_spent_and_lent_than_the_limit(
    lay_down: Laid, plain_dsn: str, steps: list[tuple[int, str, Any]]
) -> None:
    query(plain_dsn, "DELETE FROM budget_leases")
    with connect(plain_dsn) as connection:
        already = sum((each.spent for each in standings(connection)), NOTHING)
        limit = already + Decimal(10)
        lay_down("b", str(limit), window=Window.named("lifetime"))
        processes = [Process(connection) for _ in range(3)]
        for who, what, amount in steps:
            process = processes[who]
            if what == "ask":
                process.ask(asked=amount, least=amount)
            elif what == "call" and process.held - process.used >= amount:
                process.call(plain_dsn, amount)
            elif what == "give back":
                process.held = process.used
                process.ask(asked="0")
            elif what == "lose the answer":
                held = process.held
                process.ask(asked=amount)
                process.held = held
            elif what == "die":
                query(
                    plain_dsn,
                    "UPDATE budget_leases SET expires_at = now() WHERE lease_id = %s",
                    UUID(hex=process.lease.hex),
                )
                processes[who] = Process(connection)
            (standing,) = standings(connection)
            living = sum((each.held - each.used for each in processes), NOTHING)
            assert standing.spent + standing.lent <= limit
            assert standing.spent + living <= limit
