"""Rows that cannot be booked are found among their neighbours in little time, however many they are."""

from __future__ import annotations

import itertools
import time
from collections.abc import Generator, Sequence
from datetime import timedelta
from typing import NoReturn

import pytest

from booking import NOON, event, metered, query
from spanmeter.metering.usage_event import UsageEvent
from spanmeter.storage.errors import DatabaseUnavailable
from spanmeter.storage.ledger import LedgerWriter, Written
from spanmeter.storage.metered import REFUSED

GROUP = 8192
"""Rows of a full group commit."""

CLOSED = """
CREATE FUNCTION closed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.tenant_id = 'closed' THEN RAISE EXCEPTION 'the account is closed'; END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER closed BEFORE INSERT ON usage_events FOR EACH ROW EXECUTE FUNCTION closed();
"""

DEFERRED = """
CREATE FUNCTION closed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.tenant_id = 'closed' THEN RAISE EXCEPTION 'the account is closed'; END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER closed AFTER INSERT ON usage_events
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION closed();
"""


@pytest.fixture
def writer(dsn: str) -> Generator[LedgerWriter]:
    with LedgerWriter(dsn) as writer:
        yield writer


def batch(tenants: Sequence[str]) -> list[UsageEvent]:
    return [
        event(time=NOON + timedelta(seconds=number % 600), tenant_id=tenant)
        for number, tenant in enumerate(tenants)
    ]


def refused_places(written: Written) -> list[int]:
    assert {each.reason for each in written.refused} <= {REFUSED}
    return [each.index for each in written.refused]


def with_some_good(rows: int, every: int) -> tuple[list[UsageEvent], list[int]]:
    """A batch that a trigger refuses, but for one in `every` (none if 0), and the places of what is refused."""
    good = set(range(0, rows, every)) if every else set[int]()
    tenants = ["acme" if place in good else "closed" for place in range(rows)]
    return batch(tenants), [place for place in range(rows) if place not in good]


def test_a_full_group_of_refused_rows_takes_seconds(timescale_dsn: str) -> None:
    """Halved until each stood alone, they kept the writer from all else for a minute on an idle machine."""
    query(timescale_dsn, CLOSED)
    events, bad = with_some_good(GROUP, 128)
    with LedgerWriter(timescale_dsn) as writer:
        began = time.monotonic()
        written = writer.write(metered(*events))
        took = time.monotonic() - began

    print(f"{len(bad)} of {GROUP} rows refused in {took:.2f} s")
    assert written.inserted == GROUP - len(bad)
    assert refused_places(written) == bad
    assert written.rejected == len(bad)
    # It takes 1.5 on an idle machine.
    assert took < 30


@pytest.mark.parametrize("trigger", [CLOSED, DEFERRED], ids=["at once", "deferred"])
@pytest.mark.parametrize("every", [0, 97], ids=["none good", "some good"])
def test_what_a_trigger_refuses_is_set_aside_alone(
    plain_dsn: str, trigger: str, every: int
) -> None:
    query(plain_dsn, trigger)
    events, bad = with_some_good(300, every)
    with LedgerWriter(plain_dsn) as writer:
        written = writer.write(metered(*events))

    assert written.inserted == 300 - len(bad)
    assert refused_places(written) == bad
    assert {each.detail for each in written.refused} == {"the account is closed"}
    assert query(plain_dsn, "SELECT count(*) FROM usage_events") == [(300 - len(bad),)]


def test_rows_that_cannot_even_be_staged_are_found_beside_others(
    dsn: str, writer: LedgerWriter
) -> None:
    query(dsn, CLOSED)
    events, bad = with_some_good(64, 2)
    events[10], events[40] = (
        events[10]._replace(feature="\0"),
        events[40]._replace(feature="\ud800"),
    )

    written = writer.write(metered(*events))

    assert refused_places(written) == sorted([*bad, 10, 40])
    assert written.inserted == 30


def test_a_fault_of_ours_in_every_row_is_found_in_each(
    plain_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are set aside, to be redriven: nobody behind them waits for ever."""

    def faulty(event: UsageEvent) -> NoReturn:
        raise ZeroDivisionError

    monkeypatch.setattr("spanmeter.storage.staged_events.call_key", faulty)
    with LedgerWriter(plain_dsn) as writer:
        written = writer.write(metered(*batch(["acme"] * 200)))
        monkeypatch.undo()
        assert writer.write(metered(event())).inserted == 1

    assert refused_places(written) == list(range(200))
    assert written.rejected == 200


def test_no_good_row_is_set_aside_because_the_database_is_slow(
    plain_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An hour passes with every look at the clock; only what PostgreSQL says of a row by itself counts."""
    hours = itertools.count(step=3600.0)
    query(plain_dsn, CLOSED)
    events, bad = with_some_good(64, 2)
    # One that cannot be staged, so that the others cannot be told apart at once and are divided again and again.
    events[3] = events[3]._replace(feature="\ud800")
    with LedgerWriter(plain_dsn) as writer:
        monkeypatch.setattr(time, "monotonic", lambda: next(hours))
        written = writer.write(metered(*events))
        monkeypatch.undo()

    assert refused_places(written) == bad
    assert written.inserted == 32


def test_want_of_memory_is_no_fault_of_a_row(
    plain_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def exhausted(event: UsageEvent) -> NoReturn:
        raise MemoryError

    events = metered(*batch(["acme"] * 3))
    with LedgerWriter(plain_dsn) as writer:
        with monkeypatch.context() as patch:
            patch.setattr("spanmeter.storage.staged_events.call_key", exhausted)
            with pytest.raises(DatabaseUnavailable, match="no memory"):
                writer.write(events)
        assert writer.write(events) == Written(3, 0, 0, ())
