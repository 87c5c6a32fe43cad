"""The versions of the billable rules, and booked usage decided again by them."""

from __future__ import annotations

from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from uuid import uuid4

import psycopg
import pytest

from booking import NOON, event, metered, query
from spanmeter.metering.billable import Rules
from spanmeter.metering.billable_rules import DEFAULTS, RulesError, read_rules
from spanmeter.metering.usage_event import UsageEvent
from spanmeter.storage.adjustments import adjustment_of, book
from spanmeter.storage.connection import Connection, connect
from spanmeter.storage.ledger import LedgerWriter
from spanmeter.storage.redeciding import Move, moves, post
from spanmeter.storage.rules import RuleBook, rules_history, rules_in_force, set_rules

PILOT = """
otherwise = "billable"
[[rule]]
name = "pilot"
state = "included"
when = { tenant = "acme" }
"""


@pytest.fixture
def connection(dsn: str) -> Generator[Connection]:
    with closing(connect(dsn)) as connection:
        yield connection


def booked(dsn: str, *events: UsageEvent) -> None:
    with LedgerWriter(dsn) as writer:
        writer.write(metered(*events))


def found(connection: Connection, rules: Rules) -> list[Move]:
    with connection.transaction():
        return list(moves(connection, rules, NOON - timedelta(days=1), NOON + timedelta(days=1)))


def states(dsn: str) -> dict[tuple[str | None, str], tuple[int, Decimal]]:
    """Requests and cost by tenant and state, of those that have any."""
    rows = query(
        dsn,
        "SELECT tenant_id, billable_state, sum(requests)::bigint, sum(cost) FROM ledger"
        " GROUP BY 1, 2 HAVING sum(requests) <> 0 OR sum(cost) <> 0",
    )
    return {(tenant, state): (requests, cost) for tenant, state, requests, cost in rows}


def test_the_rules_of_the_release_are_in_force_until_others_are_set(connection: Connection) -> None:
    assert rules_in_force(connection) is DEFAULTS
    first, new = set_rules(connection, PILOT, "ann", "the pilot begins")
    assert (first.version, first.set_by, first.note, new) == (
        *("rules-1", "ann", "the pilot begins"),
        True,
    )
    again, new = set_rules(connection, PILOT, "bob")
    assert (again, new) == (first, False)
    second, _ = set_rules(connection, DEFAULTS.text, "bob")
    assert rules_in_force(connection).version == second.version == "rules-2"
    assert rules_in_force(connection, first.set_at).version == "rules-1"
    assert rules_in_force(connection, first.set_at - timedelta(seconds=1)) is DEFAULTS
    assert [each.version for each in rules_history(connection)] == ["rules-2", "rules-1"]


def test_every_version_can_be_read_by_name(connection: Connection) -> None:
    set_rules(connection, PILOT, "ann")
    book_of_rules = RuleBook(connection)
    pilot = book_of_rules.named("rules-1")
    assert pilot is not None
    assert pilot.text == PILOT
    assert book_of_rules.named("defaults-1") is DEFAULTS
    assert book_of_rules.named("rules-2") is None


def test_rules_that_cannot_be_read_are_not_set(connection: Connection) -> None:
    with pytest.raises(RulesError, match="otherwise is missing"):
        set_rules(connection, "", "ann")
    assert rules_history(connection) == []


def test_versions_set_at_once_are_numbered_one_after_the_other(dsn: str) -> None:
    def set_one(n: int) -> None:
        with closing(connect(dsn)) as own:
            set_rules(own, f"# {n}\n{PILOT}", "ann")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(set_one, range(8)))
    with closing(connect(dsn)) as connection:
        assert [each.number for each in rules_history(connection)] == list(range(8, 0, -1))


def test_versions_are_append_only_and_announced(dsn: str, connection: Connection) -> None:
    with psycopg.connect(dsn, autocommit=True) as listening:
        listening.execute("LISTEN spanmeter_in_force")
        set_rules(connection, PILOT, "ann")
        (told,) = listening.notifies(timeout=30, stop_after=1)
    assert told.payload == "rules"
    for statement in ("UPDATE billable_rules SET rules = 'x'", "DELETE FROM billable_rules"):
        with pytest.raises(psycopg.errors.RestrictViolation, match="append-only"):
            query(dsn, statement)


def test_amounts_move_to_the_state_that_the_rules_say_once(
    dsn: str, connection: Connection
) -> None:
    booked(
        dsn,
        event(billable_reason="defaults-1/otherwise", cost=Decimal("0.1")),
        event(billable_reason="declared", cost=Decimal("0.2")),
        event(tenant_id="globex", billable_reason="defaults-1/otherwise", cost=Decimal("0.4")),
    )
    rules = read_rules("rules-1", PILOT)
    (move,) = found(connection, rules)
    assert (move.position.cost, move.state, move.reason) == (
        *(Decimal("0.1"), "included"),
        "rules-1/pilot",
    )
    with closing(connect(dsn)) as booking:
        assert post(booking, "rules-1", [move]) == 2
        assert post(booking, "rules-1", [move]) == 0
    assert found(connection, rules) == []
    assert states(dsn) == {
        ("acme", "included"): (1, Decimal("0.1")),
        ("acme", "billable"): (1, Decimal("0.2")),
        ("globex", "billable"): (1, Decimal("0.4")),
    }
    # The rows themselves are as they were booked.
    assert query(dsn, "SELECT DISTINCT billable_state FROM usage_events") == [("billable",)]


def test_what_was_moved_can_be_moved_back_and_forth(dsn: str, connection: Connection) -> None:
    booked(dsn, event(billable_reason="defaults-1/otherwise", cost=Decimal("0.1")))
    pilot, default = read_rules("rules-1", PILOT), read_rules("rules-2", DEFAULTS.text)
    with closing(connect(dsn)) as booking:
        for turn, rules in enumerate((pilot, default, pilot, default)):
            assert post(booking, rules.version, found(connection, rules)) == 2, turn
    assert states(dsn) == {("acme", "billable"): (1, Decimal("0.1"))}


def test_a_row_is_decided_by_whose_it_is_by_now(dsn: str, connection: Connection) -> None:
    """An adjustment gave it to another tenant, for whom the rules say otherwise."""
    row = event(tenant_id=None, billable_reason="defaults-1/otherwise", cost=Decimal("0.1"))
    booked(dsn, row)
    taken = replace(
        adjustment_of(row, uuid4(), "attributed"),
        requests=-1,
        cost=Decimal("-0.1"),
        input_tokens=-1000,
        cache_read_input_tokens=-200,
        output_tokens=-50,
        reasoning_output_tokens=-20,
    )
    given = replace(
        adjustment_of(row, uuid4(), "attributed"),
        tenant_id="acme",
        requests=1,
        cost=Decimal("0.1"),
        input_tokens=1000,
        cache_read_input_tokens=200,
        output_tokens=50,
        reasoning_output_tokens=20,
    )
    book(connection, [taken, given])
    rules = read_rules("rules-1", PILOT)
    (move,) = found(connection, rules)
    assert move.position.tenant_id == "acme"
    with closing(connect(dsn)) as booking:
        post(booking, "rules-1", [move])
    assert states(dsn) == {("acme", "included"): (1, Decimal("0.1"))}
    assert found(connection, rules) == []
