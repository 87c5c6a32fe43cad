"""F1, F2: the receiver is killed, at any moment and at the worst one."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

import fuzzing
import otlp
from booking import query
from collecting import Ledger
from load import Load, assert_sums, audit, awaited, batch
from receivers import Receivers
from spanmeter.collector_receiver import CollectorSettings
from tcp_proxy import Proxy

SHOWN = "SELECT * FROM usage_hourly ORDER BY hour, tenant_id"


KILLS = int(os.environ.get("SPANMETER_TEST_KILLS", "10"))
"""How often the receiver is killed: as often as a test has time for, a hundred times in `make test-outage`."""


def kills(least: int) -> Iterator[float]:
    """Moments after the load runs, in seconds: a few in `make test`, as many as fit in `make fuzz`."""
    end = time.monotonic() + fuzzing.seconds()
    while least > 0 or time.monotonic() < end:
        least -= 1
        yield random.uniform(0, 0.3)


@pytest.mark.timeout(60 + 6 * KILLS)
@pytest.mark.parametrize("journaled", [False, True], ids=["direct", "journal"])
def test_fault_01_fuzz_a_receiver_killed_at_random_times_loses_and_doubles_nothing(
    timescale_dsn: str, receivers: Receivers, tmp_path: Path, *, journaled: bool
) -> None:
    settings = CollectorSettings(
        dsn=timescale_dsn, grpc="127.0.0.1:0", journal=tmp_path if journaled else None
    )
    receiver = receivers.start(settings)
    settings = replace(settings, grpc=receiver.address)
    load = Load(receiver.address)
    with load.running():
        for moment in kills(KILLS):
            load.wait_for(1)
            time.sleep(moment)
            receiver.kill()
            receiver = receivers.start(settings)
        load.wait_for(100)

    assert load.acknowledged == load.sent, "each was sent until it was acknowledged"
    assert load.refusals, "some were under way"
    audit(timescale_dsn, load)


def test_fault_01_what_a_client_gave_up_is_there_once_or_not_at_all(
    timescale_dsn: str, receivers: Receivers
) -> None:
    receiver = receivers.start(CollectorSettings(dsn=timescale_dsn, grpc="127.0.0.1:0"))
    load = Load(receiver.address, patience=0)
    with load.running():
        for _ in range(3):
            load.wait_for(300)
            receiver.kill()
            receiver = receivers.start(CollectorSettings(dsn=timescale_dsn, grpc=receiver.address))
        load.wait_for(100)

    assert load.refusals, "some were under way"
    audit(timescale_dsn, load)


def test_fault_02_killed_after_the_commit_and_before_the_answer(
    dsn: str, receivers: Receivers
) -> None:
    made = batch(300)
    receiver = receivers.start(CollectorSettings(dsn=dsn, grpc="127.0.0.1:0"))
    with (
        Proxy(receiver.address) as proxy,
        otlp.Client(proxy.address) as client,
        ThreadPoolExecutor(1) as thread,
    ):
        client.export(b"")
        proxy.hold_answers()
        lost = thread.submit(client.error_of, made.body, timeout=60)
        awaited(lambda: len(Ledger(dsn).spans()) == 300)
        receiver.kill()
        proxy.break_connections()
        lost.result(60)
        shown = query(dsn, SHOWN)

        receivers.start(CollectorSettings(dsn=dsn, grpc=receiver.address))
        proxy.heal()
        client.deliver(made.body)

    assert len(Ledger(dsn).spans()) == 300
    assert query(dsn, SHOWN) == shown
    assert_sums(dsn, made.calls)
