"""F20: several receivers on one journal directory, killed while they replay it."""

from __future__ import annotations

import random
import time
from pathlib import Path

from booking import query
from load import Load, audit, awaited
from receivers import Receivers
from spanmeter.collector_receiver import CollectorSettings

NOWHERE = "postgresql://nobody@127.0.0.1:1/nothing"
COUNT = "SELECT count(*) FROM usage_events"


def test_fault_20_a_journal_of_two_that_is_drained_again_and_again_is_booked_once(
    timescale_dsn: str, receivers: Receivers, tmp_path: Path
) -> None:
    away = CollectorSettings(dsn=NOWHERE, grpc="127.0.0.1:0", journal=tmp_path, hold=0.2)
    back = CollectorSettings(dsn=timescale_dsn, grpc="127.0.0.1:0", journal=tmp_path)
    two = [receivers.start(away) for _ in range(2)]
    load = Load(*(receiver.address for receiver in two))
    with load.running():
        load.wait_for(1000)
    for receiver in two:
        receiver.kill()
    assert not load.refusals

    for _ in range(3):
        draining = [receivers.start(back) for _ in range(2)]
        time.sleep(random.uniform(0, 0.2))
        for receiver in draining:
            receiver.kill()
    for _ in range(2):
        receivers.start(back)
    awaited(lambda: not list(tmp_path.glob("*/*.log")))

    assert query(timescale_dsn, COUNT) == [(len(load.sent),)]
    audit(timescale_dsn, load)
