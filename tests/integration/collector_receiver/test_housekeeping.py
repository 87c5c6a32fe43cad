"""What is only kept to recognise spans leaves with the spans that are still taken."""

from __future__ import annotations

import time
from contextlib import closing
from datetime import UTC, datetime, timedelta

from booking import event, metered, query
from spanmeter.collector_receiver import Collector, CollectorSettings
from spanmeter.storage.calls import forget_calls
from spanmeter.storage.connection import connect
from spanmeter.storage.ledger import LedgerWriter
from spanmeter.storage.producers import Producer

KNOWN = (
    "SELECT (SELECT count(*) FROM provider_calls), (SELECT count(*) FROM foreign_calls),"
    " (SELECT count(*) FROM producers), (SELECT count(*) FROM usage_events)"
)


def book(dsn: str, age: timedelta) -> None:
    at = datetime.now(UTC) - age
    with LedgerWriter(dsn) as writer:
        writer.write(
            metered(event(time=at), event(time=at, scope_name="another")),
            producers={str(age): Producer("answers", 0, [1])},
        )


def test_a_collector_forgets_calls_that_are_too_old_to_come_again(dsn: str) -> None:
    book(dsn, timedelta(days=450))
    book(dsn, timedelta(days=10))
    with Collector(CollectorSettings(dsn=dsn, grpc="127.0.0.1:0")):
        deadline = time.monotonic() + 30
        while query(dsn, KNOWN) != [(2, 1, 2, 4)]:
            assert time.monotonic() < deadline
            time.sleep(0.05)


def test_producers_are_forgotten_when_they_have_been_silent_as_long(dsn: str) -> None:
    book(dsn, timedelta(days=1))
    with closing(connect(dsn)) as connection:
        assert forget_calls(connection, datetime.now(UTC) + timedelta(minutes=1)) == 2
    assert query(dsn, KNOWN) == [(0, 0, 0, 2)]
