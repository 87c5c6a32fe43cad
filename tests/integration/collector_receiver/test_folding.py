"""A collector folds what is booked into the rollups, whoever booked it."""

from __future__ import annotations

import time

import pytest

from booking import event, metered, query
from spanmeter.collector_receiver import Collector, CollectorSettings, folding
from spanmeter.storage.ledger import LedgerWriter

FOLDED = "SELECT (SELECT sum(requests) FROM folded_daily_by_tenant), (SELECT count(*) FROM unfolded_usage)"


def test_what_is_booked_is_folded_while_a_collector_runs(
    dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folding, "INTERVAL", 0.05)
    with Collector(CollectorSettings(dsn=dsn, grpc="127.0.0.1:0")):
        for requests in (1, 2):
            with LedgerWriter(dsn) as writer:
                writer.write(metered(event()))
            deadline = time.monotonic() + 60
            while query(dsn, FOLDED) != [(requests, 0)]:
                assert time.monotonic() < deadline
                time.sleep(0.05)
