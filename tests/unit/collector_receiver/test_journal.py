"""The journal: what was appended comes back, in order, after whatever end of the process."""

from __future__ import annotations

import errno
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from spanmeter.collector_receiver import journal as module
from spanmeter.collector_receiver.journal import CannotJournal, Journal
from spanmeter.collector_receiver.journal_segment import Damaged, Entry, entries

AT = datetime(2026, 11, 20, 12, 0, 0, 123_456, tzinfo=UTC)
MIB = 1024 * 1024


def entry(body: bytes) -> Entry:
    return Entry(body, AT)


@contextmanager
def opened(directory: Path, max_bytes: int = MIB) -> Generator[Journal]:
    journal = Journal(directory, max_bytes=max_bytes)
    try:
        yield journal
    finally:
        journal.close()


def kept(journal: Journal) -> list[bytes]:
    return [each.body for path in journal.seal() for each in entries(path)]


def test_what_was_appended_comes_back_as_it_was(tmp_path: Path) -> None:
    given = [Entry(os.urandom(100), AT + timedelta(microseconds=n)) for n in range(5)]
    with opened(tmp_path) as journal:
        journal.append(given[:1])
        journal.append(given[1:])
        assert journal.added.is_set()
        (path,) = journal.seal()
        assert list(entries(path)) == given
        journal.discard(path)
        assert journal.seal() == []
        assert journal.bytes == 0


def test_what_is_left_comes_first_in_the_next_process(tmp_path: Path) -> None:
    with opened(tmp_path) as journal:
        journal.append([entry(b"1")])
        journal.seal()
        journal.append([entry(b"2")])
    with opened(tmp_path) as journal:
        assert journal.added.is_set()
        journal.append([entry(b"3")])
        assert kept(journal) == [b"1", b"2", b"3"]


def test_threads_that_append_at_once_lose_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SEGMENT_BYTES", 2000)
    bodies = [str(n).encode() * 20 for n in range(400)]
    with opened(tmp_path) as journal, ThreadPoolExecutor(8) as threads:
        list(threads.map(journal.append, [[entry(body)] for body in bodies]))
        assert len(journal.seal()) > 5
        assert sorted(kept(journal)) == sorted(bodies)


def test_a_full_journal_takes_nothing_until_something_is_committed(tmp_path: Path) -> None:
    body = os.urandom(1000)
    with opened(tmp_path, max_bytes=2500) as journal:
        journal.append([entry(body)])
        with pytest.raises(CannotJournal, match="is full"):
            journal.append([entry(body), entry(body)])
        journal.append([entry(body)])
        assert kept(journal) == [body, body]
        journal.discard(journal.seal()[0])
        journal.append([entry(body)])
        assert kept(journal) == [body]


@pytest.mark.parametrize("cut", [1, 10, 30, 115])
def test_an_entry_that_was_cut_short_is_left_out(tmp_path: Path, cut: int) -> None:
    with opened(tmp_path) as journal:
        journal.append([entry(b"whole"), entry(os.urandom(90))])
        (path,) = journal.seal()
    os.truncate(path, path.stat().st_size - cut)
    with opened(tmp_path) as journal:
        assert kept(journal) == [b"whole"]


@pytest.mark.parametrize("length", range(21))
def test_a_segment_that_hardly_began_is_empty(tmp_path: Path, length: int) -> None:
    with opened(tmp_path) as journal:
        journal.append([entry(b"never acknowledged")])
        (path,) = journal.seal()
        os.truncate(path, length)
        assert list(entries(path)) == []


@pytest.mark.parametrize("at", [0, 20, 25, 30, 36, 45, 60])
def test_damage_is_noticed_and_the_file_kept(tmp_path: Path, at: int) -> None:
    with opened(tmp_path) as journal:
        journal.append([entry(os.urandom(90)), entry(b"after it")])
        (path,) = journal.seal()
        data = bytearray(path.read_bytes())
        data[at] ^= 0x40
        path.write_bytes(data)
        with pytest.raises(Damaged, match=path.name):
            list(entries(path))
        assert journal.set_aside(path).read_bytes() == data
        assert journal.seal() == []
        journal.append([entry(b"next")])
        assert kept(journal) == [b"next"]
    assert journal.bytes > 0


def test_processes_have_a_part_each_and_take_over_what_another_left(tmp_path: Path) -> None:
    with opened(tmp_path) as second_to_go:
        with opened(tmp_path) as first_to_go:
            first_to_go.append([entry(b"left")])
            second_to_go.append([entry(b"own")])
            assert kept(second_to_go) == [b"own"]
        assert kept(second_to_go) == [b"left", b"own"]
        for path in second_to_go.seal():
            second_to_go.discard(path)
        with opened(tmp_path) as third:
            assert kept(third) == []
        assert sorted(path.name for path in tmp_path.iterdir()) == ["0", "1"]


def test_a_directory_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CannotJournal, match="cannot be written to"):
        Journal(tmp_path / "file" / "journal", max_bytes=MIB)


def test_a_full_disk_refuses_and_leaves_what_was_whole(tmp_path: Path) -> None:
    """The limit of the size of files fails a write in its middle, as a full disk does."""
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        with opened(tmp_path) as journal:
            journal.append([entry(b"whole")])
            resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
            with pytest.raises(CannotJournal, match="cannot be written to: File too large"):
                journal.append([entry(os.urandom(2000))])
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
            journal.append([entry(b"later")])
            assert kept(journal) == [b"whole", b"later"]
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, ignored)


APPENDS = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from spanmeter.collector_receiver.journal import Journal
from spanmeter.collector_receiver.journal_segment import Entry

journal = Journal(Path(sys.argv[1]), max_bytes=2**30)
for number in range(10**6):
    journal.append([Entry(b"%d " % number * 50, datetime.now(UTC))])
    print(number, flush=True)
"""


def test_nothing_that_was_appended_is_lost_when_the_process_is_killed(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", APPENDS, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        said = [process.stdout.readline() for _ in range(50)]
        process.kill()
        said += process.stdout.readlines()
    acknowledged = int([line for line in said if line.endswith("\n")][-1])
    with opened(tmp_path, max_bytes=2**30) as journal:
        bodies = kept(journal)
    assert bodies[: acknowledged + 1] == [b"%d " % n * 50 for n in range(acknowledged + 1)]


def test_after_a_write_that_the_disk_lost_nothing_is_acknowledged_behind_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel tells of it once: the next sync of the same file would succeed, and the file have a hole."""

    def fails(descriptor: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with opened(tmp_path) as journal:
        journal.append([entry(b"1")])
        with monkeypatch.context() as disk:
            disk.setattr(os, "fdatasync", fails)
            with pytest.raises(CannotJournal, match="Input/output error"):
                journal.append([entry(b"2")])
        with pytest.raises(CannotJournal, match="lost a write"):
            journal.append([entry(b"3")])

        for path in journal.seal():
            journal.discard(path)
        journal.append([entry(b"4")])

        assert kept(journal) == [b"4"]
