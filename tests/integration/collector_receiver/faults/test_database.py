"""F3, F5: PostgreSQL is killed, crashes, is slow, locked, or has no connection left."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import grpc
import psycopg
import pytest

from booking import query
from databases.cluster import Cluster
from load import Load, audit, awaited
from receivers import Receivers
from spanmeter.collector_receiver import CollectorSettings
from spanmeter.storage.migrations import migrate

MIB = 1024 * 1024

SLOW = """
CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.5); RETURN NULL; END';
CREATE TRIGGER slow BEFORE INSERT ON usage_events FOR EACH STATEMENT EXECUTE FUNCTION wait();
"""

THROW_OUT = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'spanmeter'
"""


@pytest.fixture
def server(own_timescale: Cluster) -> Cluster:
    migrate(own_timescale.dsn())
    return own_timescale


def only_unavailable(load: Load) -> bool:
    """Whether every refusal was one after which an exporter sends again."""
    return load.refusals.keys() <= {grpc.StatusCode.UNAVAILABLE}


def crash_a_backend(server: Cluster) -> None:
    """One process of the server dies by a signal, and the server recovers as it does from a segmentation fault."""
    killing = "SELECT pid FROM pg_stat_activity WHERE application_name = 'spanmeter' LIMIT 1"
    ((backend,),) = query(server.dsn(), killing)
    os.kill(backend, signal.SIGKILL)


def kill(server: Cluster) -> None:
    server.kill()
    server.start()


def stop_at_once(server: Cluster) -> None:
    server.stop("immediate")
    server.start()


@pytest.mark.parametrize("journaled", [False, True], ids=["held", "journal"])
def test_fault_03_a_server_that_is_killed_stopped_at_once_and_crashes_loses_nothing(
    server: Cluster, receivers: Receivers, tmp_path: Path, *, journaled: bool
) -> None:
    """One receiver goes through all of it without a restart."""
    faults: list[Callable[[Cluster], None]] = [kill, stop_at_once, crash_a_backend]
    receiver = receivers.start(
        CollectorSettings(
            dsn=server.dsn(), grpc="127.0.0.1:0", journal=tmp_path if journaled else None
        )
    )
    load = Load(receiver.address)
    with load.running():
        for fault in faults:
            load.wait_for(100)
            fault(server)
        load.wait_for(100)
    receiver.terminate()
    assert receiver.ended() == 0
    _finish(receivers, server.dsn(), tmp_path, len(load.sent))

    assert only_unavailable(load)
    assert not load.refusals or not journaled
    audit(server.dsn(), load)


@pytest.mark.parametrize("journaled", [False, True], ids=["held", "journal"])
def test_fault_05_a_slow_and_a_locked_database_take_no_more_memory_than_is_given(
    timescale_dsn: str, receivers: Receivers, tmp_path: Path, *, journaled: bool
) -> None:
    receiver = receivers.start(
        CollectorSettings(
            dsn=timescale_dsn,
            grpc="127.0.0.1:0",
            queue_bytes=2 * MIB,
            hold=1.0,
            journal=tmp_path if journaled else None,
        )
    )
    load = Load(receiver.address, clients=8)
    with load.running(200):
        load.wait_for(500)
        before = receiver.most_memory()
        query(timescale_dsn, SLOW)
        load.wait_for(500)
        with psycopg.connect(timescale_dsn) as lock:
            lock.execute("LOCK TABLE usage_events IN ACCESS EXCLUSIVE MODE")
            time.sleep(3)
        query(timescale_dsn, "DROP TRIGGER slow ON usage_events")
        load.wait_for(500)
    _finish(receivers, timescale_dsn, tmp_path, len(load.sent))

    assert receiver.most_memory() - before < 150
    assert only_unavailable(load)
    assert bool(load.refusals) != journaled
    audit(timescale_dsn, load)


def test_fault_05_a_server_out_of_connections_is_waited_for(
    server: Cluster, receivers: Receivers
) -> None:
    query(server.dsn(), "ALTER SYSTEM SET max_connections = 12")
    server.stop()
    server.start()
    receiver = receivers.start(CollectorSettings(dsn=server.dsn(), grpc="127.0.0.1:0"))
    load = Load(receiver.address, patience=60)
    with ExitStack() as others:
        take = _taking_all_connections(others, server.dsn())
        take()
        with load.running():
            # One that the receiver had for a moment, to seal or to fold, would be enough for a writer.
            awaited(lambda: take() or load.refusals)
            others.close()
            load.wait_for(100)

    assert only_unavailable(load)
    audit(server.dsn(), load)


def _taking_all_connections(stack: ExitStack, dsn: str) -> Callable[[], None]:
    """What takes every connection of the server, those that the receiver has among them, until the stack ends."""
    first = stack.enter_context(psycopg.connect(dsn, autocommit=True, application_name="others"))

    def take() -> None:
        first.execute(THROW_OUT)
        while True:
            try:
                stack.enter_context(psycopg.connect(dsn, application_name="others"))
            except psycopg.OperationalError:
                return

    return take


def _finish(receivers: Receivers, dsn: str, journal: Path, spans: int) -> None:
    """Wait until a journal, if there is one, is in the database."""
    if any(journal.iterdir()):
        receivers.start(CollectorSettings(dsn=dsn, grpc="127.0.0.1:0", journal=journal))
    awaited(lambda: _booked(dsn) == spans)


def _booked(dsn: str) -> int | None:
    """Rows; `None` while the server is not back from its crash, during which the journal takes all of the load."""
    try:
        return int(query(dsn, "SELECT count(*) FROM usage_events")[0][0])
    except psycopg.OperationalError:
        return None
