"""F6: the disk of the database is full, or that of the journal."""

from __future__ import annotations

import os
import subprocess
import uuid
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

import grpc
import pytest

from booking import query
from databases import editions, provision
from databases.cluster import TIMESCALEDB_SETTINGS, Cluster
from load import Load, audit, awaited
from receivers import Receivers
from spanmeter.collector_receiver import CollectorSettings
from spanmeter.storage.migrations import migrate

NOWHERE = "postgresql://nobody@127.0.0.1:1/nothing"

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small disk")


@contextmanager
def small_disk(path: Path, mib: int) -> Generator[Path]:
    """A directory with room for so much."""
    path.mkdir(mode=0o755)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={mib}m", "tmpfs", path], check=True)
    try:
        yield path
    finally:
        subprocess.run(["umount", "--lazy", path], check=True)
        path.rmdir()


def fill(disk: Path) -> Path:
    """Leave no room; what fills it."""
    ballast = disk / "ballast"
    with suppress(OSError), ballast.open("wb", buffering=0) as file:
        while file.write(bytes(1 << 16)):
            pass
    return ballast


@pytest.fixture
def server() -> Generator[Cluster]:
    """TimescaleDB on a disk of its own."""
    if editions.named("timescale") is not None:
        pytest.skip("SPANMETER_TEST_DSN names a server, whose disk is not for a test to fill")
    settings = {**TIMESCALEDB_SETTINGS, "min_wal_size": "32MB", "max_wal_size": "32MB"}
    place = provision.servers() / f"own-{uuid.uuid4().hex[:8]}"
    with small_disk(place, 400) as disk:
        cluster = Cluster(disk / "server", provision.timescale(), settings)
        cluster.create()
        cluster.start()
        try:
            migrate(cluster.dsn())
            yield cluster
        finally:
            cluster.remove()


def test_fault_06_a_database_whose_disk_is_full_is_waited_for(
    server: Cluster, receivers: Receivers
) -> None:
    receiver = receivers.start(CollectorSettings(dsn=server.dsn(), grpc="127.0.0.1:0", hold=1.0))
    load = Load(receiver.address)
    with load.running():
        load.wait_for(100)
        ballast = fill(server.directory.parent)
        awaited(lambda: load.refusals)
        ballast.unlink()
        # Without room for its log PostgreSQL ends, and somebody starts it again.
        if not server.is_running:
            server.start()
        load.wait_for(100)

    assert load.refusals.keys() == {grpc.StatusCode.UNAVAILABLE}
    assert load.acknowledged == load.sent
    audit(server.dsn(), load)


def test_fault_06_a_journal_whose_disk_is_full_acknowledges_nothing_more(
    plain_dsn: str, receivers: Receivers, tmp_path: Path
) -> None:
    with small_disk(tmp_path / "journal", 1) as disk:
        away = CollectorSettings(dsn=NOWHERE, grpc="127.0.0.1:0", journal=disk, hold=0.5)
        receiver = receivers.start(away)
        load = Load(receiver.address, patience=0)
        with load.running():
            load.wait_for(100)
            awaited(lambda: load.refusals)
        receiver.kill()
        assert load.refusals.keys() == {grpc.StatusCode.UNAVAILABLE}
        assert load.acknowledged
        _tear(disk)

        receivers.start(CollectorSettings(dsn=plain_dsn, grpc="127.0.0.1:0", journal=disk))
        awaited(lambda: not list(disk.glob("*/*.log")))
    audit(plain_dsn, load)
    rows = query(plain_dsn, "SELECT count(*) FROM usage_events")
    assert rows == [(len(load.acknowledged),)], "what was refused is not there"


def _tear(journal: Path) -> None:
    """Leave the beginning of a record at the end of a file that ends with a whole one, as a kill may."""
    last = max(journal.glob("*/*.log"))
    with suppress(OSError), last.open("ab") as file:
        file.write(b"\x10\0\0")
