"""Whatever goes wrong with a group of requests, the thread that writes goes on, and what it held is let go once."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import pytest

from booking import event, metered, query
from spanmeter.collector_receiver import committer as module
from spanmeter.collector_receiver.committer import Committer, Waiting
from spanmeter.collector_receiver.counters import Counters
from spanmeter.collector_receiver.journal import Journal
from spanmeter.collector_receiver.submission import Submission
from spanmeter.storage.errors import DatabaseUnavailable
from spanmeter.storage.ledger import LedgerWriter

COUNT = "SELECT count(*) FROM usage_events"

Commit = Callable[[float, int], object]


class Fault(Exception):
    """One of ours."""


def fail(*_: object, **__: object) -> NoReturn:
    raise Fault


def request(rows: int = 2) -> Submission:
    return Submission(metered(*(event() for _ in range(rows))), [], b"the body")


@contextmanager
def committing(
    dsn: str,
    *,
    on_commit: Commit = lambda seconds, rows: None,
    journal: Journal | None = None,
    counters: Counters | None = None,
    others: tuple[str, ...] = (),
) -> Generator[Committer]:
    """With a writer to `dsn` and one to each of the `others`."""
    dsns = iter((dsn, *others))
    running = Committer(
        lambda: LedgerWriter(next(dsns)),
        counters or Counters(),
        writers=1 + len(others),
        rows=100,
        linger=0.01,
        queue_bytes=10**8,
        journal=journal,
        on_commit=on_commit,
    )
    running.start()
    yield running
    running.close(10)


def commit(committer: Committer, submission: Submission) -> None:
    committer.submit(submission)
    assert committer.confirmed(submission, 30) == []


def test_what_is_committed_is_acknowledged_though_it_cannot_be_counted(plain_dsn: str) -> None:
    counters = Counters()
    with committing(plain_dsn, on_commit=fail, counters=counters) as committer:
        for _ in range(3):
            commit(committer, request())
        assert committer.waiting == Waiting(0, 0)

    assert query(plain_dsn, COUNT) == [(6,)]


def test_a_group_that_cannot_be_settled_is_answered_and_the_next_is_written(
    plain_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with committing(plain_dsn) as committer:
        with monkeypatch.context() as patch:
            patch.setattr(module, "outcomes_of", fail)
            lost = request()
            committer.submit(lost)
            with pytest.raises(Fault):
                committer.confirmed(lost, 30)
        commit(committer, request())
        # It was written, and is a duplicate when it comes again.
        commit(committer, Submission(lost.batch, [], lost.body))
        assert committer.waiting == Waiting(0, 0)

    assert query(plain_dsn, COUNT) == [(4,)]


def test_a_fault_in_the_ledger_is_the_fault_of_one_request_of_the_group(
    plain_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = request(3)
    write = LedgerWriter.write

    def faulty(self: LedgerWriter, batch: list[object], *others: object) -> object:
        if any(each is bad.batch[0] for each in batch):
            raise Fault
        return write(self, batch, *others)  # type: ignore[arg-type]

    monkeypatch.setattr(LedgerWriter, "write", faulty)
    good = [request() for _ in range(3)]
    with committing(plain_dsn) as committer:
        for each in (good[0], bad, *good[1:]):
            committer.submit(each)
        assert [committer.confirmed(each, 30) for each in good] == [[]] * 3
        with pytest.raises(Fault):
            committer.confirmed(bad, 30)
        assert committer.waiting == Waiting(0, 0)

    assert query(plain_dsn, COUNT) == [(6,)]


def test_a_fault_while_requests_are_put_back_takes_none_of_them_twice(
    plain_dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = Journal(tmp_path, max_bytes=10**6)
    with committing(plain_dsn, journal=journal) as committer:
        with monkeypatch.context() as patch:
            patch.setattr(journal, "append", fail)
            patch.setattr(LedgerWriter, "write", away)
            lost = request()
            committer.submit(lost)
            with pytest.raises(Fault):
                committer.confirmed(lost, 30)
            assert committer.waiting == Waiting(0, 0)
        # In the journal, until something is committed.
        commit(committer, request())
    journal.close()


def test_one_writer_without_a_connection_leaves_all_to_the_others(
    plain_dsn: str, caplog: pytest.LogCaptureFixture
) -> None:
    """It is not the database that is away: requests are taken as fast, and the log is not filled."""
    with committing(plain_dsn, others=("postgresql://127.0.0.1:1/nowhere",)) as committer:
        commit(committer, request())
        caplog.clear()
        for _ in range(200):
            commit(committer, request())
    assert query(plain_dsn, COUNT) == [(402,)]
    # One, but for a machine that stands still for a second meanwhile.
    assert len(caplog.records) < 10


def away(*_: object) -> NoReturn:
    raise DatabaseUnavailable("it is away")
