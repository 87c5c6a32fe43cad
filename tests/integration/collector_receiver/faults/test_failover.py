"""F18: the primary dies and its standby takes over."""

from __future__ import annotations

import uuid
from collections.abc import Generator

import grpc
import pytest

from booking import query
from databases import editions
from databases.cluster import Cluster
from load import Load, audit, awaited
from receivers import Receivers
from spanmeter.collector_receiver import CollectorSettings
from spanmeter.storage.migrations import migrate

REPLICATING = "SELECT sync_state FROM pg_stat_replication"


@pytest.fixture
def standby(own_timescale: Cluster) -> Generator[Cluster]:
    """One that the primary waits for at each commit."""
    migrate(own_timescale.dsn())
    name = f"own-{uuid.uuid4().hex[:8]}"
    copy = editions.cluster("timescale", name)
    copy.copy_of(own_timescale)
    copy.start()
    try:
        query(own_timescale.dsn(), "ALTER SYSTEM SET synchronous_standby_names = '*'")
        query(own_timescale.dsn(), "SELECT pg_reload_conf()")
        awaited(lambda: query(own_timescale.dsn(), REPLICATING) == [("sync",)])
        yield copy
    finally:
        copy.remove()


def either(*servers: Cluster) -> str:
    """A DSN that leads to whichever takes writes."""
    ports = ",".join(server.port for server in servers)
    hosts = ",".join("127.0.0.1" for _ in servers)
    return (
        f"host={hosts} port={ports} user=postgres dbname=postgres target_session_attrs=read-write"
    )


def test_fault_18_a_synchronous_standby_that_takes_over_has_all_that_was_acknowledged(
    own_timescale: Cluster, standby: Cluster, receivers: Receivers
) -> None:
    """The receiver finds it by itself: its DSN names both."""
    settings = CollectorSettings(dsn=either(own_timescale, standby), grpc="127.0.0.1:0")
    load = Load(receivers.start(settings).address)
    with load.running():
        load.wait_for(200)
        own_timescale.kill()
        query(standby.dsn(), "SELECT pg_promote()")
        load.wait_for(200)

    assert load.refusals.keys() <= {grpc.StatusCode.UNAVAILABLE}
    assert load.acknowledged == load.sent
    audit(standby.dsn(), load)


def test_fault_18_without_its_standby_nothing_is_acknowledged(
    own_timescale: Cluster, standby: Cluster, receivers: Receivers
) -> None:
    settings = CollectorSettings(dsn=own_timescale.dsn(), grpc="127.0.0.1:0", hold=1.0)
    load = Load(receivers.start(settings).address)
    with load.running():
        load.wait_for(50)
        standby.kill()
        awaited(lambda: load.refusals)
        known = load.acknowledged
        standby.start()
        load.wait_for(50)

    assert len(load.acknowledged) > len(known)
    assert load.refusals.keys() == {grpc.StatusCode.UNAVAILABLE}
    audit(own_timescale.dsn(), load)
