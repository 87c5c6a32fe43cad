"""F15: a receiver is stopped under load; workers are restarted one after the other."""

from __future__ import annotations

import os
import signal
from functools import partial
from pathlib import Path

import grpc

from load import Load, audit, awaited
from receivers import Receiver, Receivers
from spanmeter.collector_receiver import CollectorSettings


def workers(supervisor: Receiver) -> set[int]:
    """Process ids of those that run: Python's spawned children, and not its resource tracker."""
    children = Path(f"/proc/{supervisor.pid}/task/{supervisor.pid}/children").read_text().split()
    return {int(pid) for pid in children if b"spawn_main" in _command(pid)}


def _command(pid: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def replaced(supervisor: Receiver, worker: int) -> bool:
    """Whether this worker is gone and another there."""
    running = workers(supervisor)
    return worker not in running and len(running) == 2


def test_fault_15_sigterm_under_load_stops_cleanly_and_loses_nothing_acknowledged(
    plain_dsn: str, receivers: Receivers
) -> None:
    receiver = receivers.start(CollectorSettings(dsn=plain_dsn, grpc="127.0.0.1:0"))
    load = Load(receiver.address, patience=0)
    with load.running():
        load.wait_for(500)
        receiver.terminate()
        assert receiver.ended() == 0

    # Whether a request is still under way when it stops is a matter of moments.
    assert load.refusals.keys() <= {grpc.StatusCode.UNAVAILABLE}
    audit(plain_dsn, load)


def test_fault_15_workers_restarted_one_after_the_other_under_load_lose_nothing(
    plain_dsn: str, receivers: Receivers
) -> None:
    supervisor = receivers.start(CollectorSettings(dsn=plain_dsn, grpc="127.0.0.1:0", workers=2))
    load = Load(supervisor.address)
    first = workers(supervisor)
    assert len(first) == 2
    with load.running():
        for worker in first:
            load.wait_for(50)
            os.kill(worker, signal.SIGTERM)
            awaited(partial(replaced, supervisor, worker))
        load.wait_for(50)
    supervisor.terminate()

    assert supervisor.ended() == 0
    assert load.refusals.keys() <= {grpc.StatusCode.UNAVAILABLE}
    assert load.acknowledged == load.sent
    audit(plain_dsn, load)
