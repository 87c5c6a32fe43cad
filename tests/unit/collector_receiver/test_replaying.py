"""Replaying the journal: a segment leaves it once all that could be read of it is committed."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future
from datetime import UTC, datetime
from pathlib import Path

from spanmeter.collector_receiver.journal import SET_ASIDE, Journal
from spanmeter.collector_receiver.journal_segment import Entry
from spanmeter.collector_receiver.replaying import PAUSE, Replaying
from spanmeter.collector_receiver.submission import Rejection

AT = datetime(2026, 11, 20, 12, tzinfo=UTC)


class Database:
    """Takes what is replayed, and commits when it is told to."""

    def __init__(self) -> None:
        self.taken: list[bytes] = []
        self.commits: list[Future[list[Rejection]]] = []

    def __call__(self, entry: Entry) -> Future[list[Rejection]]:
        self.taken.append(entry.body)
        self.commits.append(Future())
        return self.commits[-1]


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_damaged_segment_is_set_aside_when_what_comes_before_is_committed(tmp_path: Path) -> None:
    """Stopped in between, the next process has to find it: nothing of it may be in no database and no journal."""
    journal = Journal(tmp_path, max_bytes=2**20)
    journal.append([Entry(b"whole", AT), Entry(b"damaged", AT)])
    (path,) = journal.seal()
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    database = Database()

    replaying = Replaying(journal, database)
    replaying.start()
    wait_for(lambda: bool(database.commits))
    time.sleep(2 * PAUSE)
    replaying.stop()
    assert path.exists()

    database.commits.clear()
    replaying = Replaying(journal, database)
    replaying.start()
    wait_for(lambda: bool(database.commits))
    database.commits[0].set_result([])
    wait_for(lambda: not path.exists())
    replaying.stop()
    assert database.taken == [b"whole", b"whole"]
    assert path.with_name(path.name + SET_ASIDE).exists()
    journal.close()
