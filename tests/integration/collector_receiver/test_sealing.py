"""A collector seals by itself: what was booked until the end of a day, once, however many collectors there are."""

import time
from contextlib import closing
from datetime import UTC, datetime, timedelta

from booking import event, metered, query
from spanmeter.collector_receiver.sealing import Sealing, last_moment
from spanmeter.storage.connection import connect
from spanmeter.storage.ledger import LedgerWriter
from spanmeter.storage.seals import seals, windows

DEADLINE = 60


def test_days_end_in_utc() -> None:
    noon = datetime(2026, 11, 20, 12, 30, 15, 7, UTC)
    assert last_moment(noon) == datetime(2026, 11, 19, 23, 59, 59, 999999, UTC)


def test_several_collectors_make_one_seal(dsn: str) -> None:
    with LedgerWriter(dsn) as writer:
        writer.write(metered(event()))
    collectors = [Sealing(dsn, timedelta(), b"secret") for _ in range(3)]
    for collector in collectors:
        collector.start()
    try:
        deadline = time.monotonic() + DEADLINE
        while query(
            dsn, "SELECT max(booked_until) FROM seal_windows JOIN seals USING (number)"
        ) != [(last_moment(datetime.now(UTC)),)]:
            assert time.monotonic() < deadline
            time.sleep(0.05)
    finally:
        for collector in collectors:
            collector.stop()
    with closing(connect(dsn)) as connection:
        made = seals(connection)
        assert [window.number for window in windows(connection)] == [each.number for each in made]
    assert [each.signature is not None for each in made] == [True]
