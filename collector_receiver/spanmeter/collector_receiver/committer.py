"""Group commit: many export requests in one transaction, and to each its own answer.

Handler threads `submit` and wait. A writer thread takes what has gathered, up to a number of rows or an age, and
writes it in one transaction; then each request of the group learns what became of it.

While the database is away or too slow, the journal takes them. Without a journal, or when it is full, they stay here,
in order, and are written as soon as the database is back, even if their senders were told to try again meanwhile: one
that does so waits with them, and one that does not has lost nothing.
"""

import logging
import threading
import time
from collections.abc import Callable
from typing import Final, NamedTuple

from spanmeter.collector_receiver.counters import Counters, Counts
from spanmeter.collector_receiver.fair_queue import FairQueue, QueueFull
from spanmeter.collector_receiver.journal import CannotJournal, Journal
from spanmeter.collector_receiver.journal_segment import Entry
from spanmeter.collector_receiver.outcomes import counts_of, outcomes_of
from spanmeter.collector_receiver.submission import Rejection, Submission
from spanmeter.storage.errors import DatabaseUnavailable
from spanmeter.storage.ledger import LedgerWriter, Written
from spanmeter.storage.producers import merged

logger = logging.getLogger(__name__)

PAUSE: Final = 0.1
"""Seconds between two attempts while the database is away; short against the hold, so that a blip is not seen."""

ALONE: Final = 1.0
"""Seconds since another writer's last commit up to which it is one connection that fails, and not the database."""

SLOW: Final = 0.5
"""Seconds from which on it is the database that is too slow for a request, and not its sender that is in haste."""


class NotCommitted(Exception):
    """The collector stopped before this request could be committed."""


class Waiting(NamedTuple):
    """What is queued for the database: rows in line, and the memory of these and of those being written."""

    rows: int
    bytes: int


class Committer:
    """Commits submissions in groups, on threads of its own, each with a ledger of its own.

    A group holds up to `rows` rows (or one larger submission) that arrived within `linger` seconds or while the
    group before was being written. At most `queue_bytes` wait. `on_commit` is told of each commit: seconds and rows.
    """

    def __init__(
        self,
        open_ledger: Callable[[], LedgerWriter],
        counters: Counters,
        *,
        writers: int,
        rows: int,
        linger: float,
        queue_bytes: int,
        journal: Journal | None = None,
        on_commit: Callable[[float, int], object] = lambda seconds, rows: None,
    ) -> None:
        self._on_commit = on_commit
        self._open_ledger = open_ledger
        self._journal = journal
        self._counters = counters
        self._max_rows = rows
        self._linger = linger
        self._changed = threading.Condition()
        self._queue = FairQueue(queue_bytes)
        self._available = True
        self._committed_at: dict[int, float] = {}
        """When each writer's thread last committed."""
        self._failing: set[int] = set()
        """Threads whose writer fails while others commit."""
        self._closing = False
        self._abandoned = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, name=f"spanmeter-writer-{n}", daemon=True)
            for n in range(writers)
        ]

    def start(self) -> None:
        """Start the writer threads. The first of them connects when there is something to write."""
        for thread in self._threads:
            thread.start()

    @property
    def available(self) -> bool:
        """Whether the database took what it was last asked to take."""
        return self._available

    @property
    def waiting(self) -> Waiting:
        """What is queued."""
        return Waiting(self._queue.rows, self._queue.bytes)

    def submit(self, submission: Submission) -> None:
        """Queue a submission, or have it journaled; its `committed` is set when it is durable.

        Raises `QueueFull`, or `NotCommitted` once the committer was closed.
        """
        if not (self._available or submission.replayed) and self._journaled([submission]):
            return
        try:
            self._enqueue(submission)
        except QueueFull:
            # The database is too slow for what comes in.
            if submission.replayed or not self._journaled([submission]):
                raise

    def _enqueue(self, submission: Submission) -> None:
        with self._changed:
            if self._closing:
                raise NotCommitted("the collector is stopping")
            first = not self._queue
            self._queue.add(submission)
            # In between, a writer waits for company and wakes up by itself.
            if first or self._queue.rows >= self._max_rows:
                self._changed.notify()

    def confirmed(self, submission: Submission, timeout: float) -> list[Rejection]:
        """Wait until a submission is durable; what of it was rejected.

        What the database has not confirmed within `timeout` seconds is journaled. Raises TimeoutError if it cannot be,
        `NotCommitted`, or what kept it from being committed.
        """
        try:
            return submission.committed.result(timeout)
        except TimeoutError:
            # Somebody else who waits for it may have had it journaled.
            if not (submission.committed.done() or self._journaled([submission])):
                raise
            with self._changed:
                if time.monotonic() - submission.arrived >= SLOW:
                    # Those that come next need not wait as long, until something is committed.
                    self._available = False
                self._queue.release(self._queue.withdraw(lambda each: each is submission))
            return submission.committed.result(0)

    def close(self, timeout: float) -> None:
        """Take nothing more, commit what is queued for up to `timeout` seconds, then give up the rest.

        What was queued from the journal is left to it.
        """
        deadline = time.monotonic() + timeout
        with self._changed:
            self._closing = True
            self._queue.withdraw(lambda submission: submission.replayed)
            self._changed.notify_all()
        for thread in self._threads:
            while thread.is_alive() and time.monotonic() < deadline:
                if self._abandoned.is_set():
                    break
                thread.join(PAUSE)
        self.abandon()

    def abandon(self) -> None:
        """Give up what is queued, a `close` under way included. None of it was acknowledged."""
        self._abandoned.set()
        with self._changed:
            left = self._queue.take(self._queue.rows)
        for submission in left:
            submission.fail(NotCommitted("the collector stopped"))
        if left:
            rows = sum(submission.rows for submission in left)
            logger.warning("gave up %d rows of %d requests, none acknowledged", rows, len(left))

    def _run(self) -> None:
        with self._open_ledger() as ledger:
            while group := self._take():
                self._see_to(ledger, group)

    def _take(self) -> list[Submission]:
        """The next group; empty when the committer was closed and all is done."""
        with self._changed:
            while True:
                self._gather()
                if group := self._next_group():
                    return group
                if self._closing:
                    return []
                self._changed.wait()

    def _gather(self) -> None:
        """Wait for company: until the group is full or its first request has waited long enough."""
        while self._queue and not self._closing and self._queue.rows < self._max_rows:
            left = self._queue.since + self._linger - time.monotonic()
            if left <= 0:
                return
            self._changed.wait(left)

    def _next_group(self) -> list[Submission]:
        # While the database is away one request at a time is enough to find out whether it is back.
        group = self._queue.take(self._max_rows if self._available else 1)
        if self._queue:
            self._changed.notify()
        return group

    def _see_to(self, ledger: LedgerWriter, group: list[Submission]) -> None:
        """Whatever goes wrong ends with the group: all that come after it wait for this thread."""
        try:
            self._commit(ledger, group)
        except Exception as error:
            logger.exception("gave up a group of %d requests", len(group))
            self._give_up(group, error)

    def _commit(self, ledger: LedgerWriter, group: list[Submission]) -> None:
        batch = [metered for submission in group for metered in submission.batch]
        rejected = [span for submission in group for span in submission.rejected]
        producers = merged(submission.producers for submission in group)
        evaluations = [each for submission in group for each in submission.evaluations.scored]
        began = time.monotonic()
        try:
            written = ledger.write(batch, rejected, producers, evaluations)
        except DatabaseUnavailable as error:
            self._put_back(group, error)
        except Exception as error:
            # Ours, or the data's: it must not take down requests that only share a transaction with it.
            logger.exception("could not commit a group of %d requests", len(group))
            self._part(ledger, group, error)
        else:
            self._settle(group, written, time.monotonic() - began)

    def _give_up(self, group: list[Submission], error: Exception) -> None:
        """Answer all that have no answer yet."""
        members = frozenset(group)
        with self._changed:
            self._queue.withdraw(members.__contains__)
            self._queue.release(group)
        for submission in group:
            submission.fail(error)

    def _part(self, ledger: LedgerWriter, group: list[Submission], error: Exception) -> None:
        if len(group) == 1:
            self._release(group)
            group[0].fail(error)
        else:
            for submission in group:
                self._see_to(ledger, [submission])

    def _settle(self, group: list[Submission], written: Written, seconds: float) -> None:
        writer = threading.get_ident()
        self._committed_at[writer] = time.monotonic()
        self._failing.discard(writer)
        if not self._available:
            logger.warning("committing again")
            self._available = True
        self._release(group)
        outcomes = outcomes_of(group, written)
        try:
            self._count(group, written, outcomes, seconds)
        except Exception:
            # It is durable, and is acknowledged whatever becomes of what is told of it.
            logger.exception("could not count a commit of %d requests", len(group))
        for submission, outcome in zip(group, outcomes, strict=True):
            submission.settle(outcome)

    def _count(
        self,
        group: list[Submission],
        written: Written,
        outcomes: list[list[Rejection]],
        seconds: float,
    ) -> None:
        self._on_commit(seconds, sum(submission.rows for submission in group))
        self._counters.add(counts_of(group, written))
        self._counters.reject(rejection.reason for each in outcomes for rejection in each)

    def _put_back(self, group: list[Submission], error: DatabaseUnavailable) -> None:
        """Keep the group in its place, or in the journal, and pause."""
        if self._others_commit():
            self._leave_to_others(group, error)
            return
        if self._available:
            kept = "held" if self._journal is None else "journaled"
            logger.warning("cannot commit for now, requests are %s: %s", kept, error)
        with self._changed:
            self._available = False
            self._queue.put_back(group)
        if self._journal is not None:
            self._journal_waiting()
        self._pause(PAUSE)

    def _leave_to_others(self, group: list[Submission], error: DatabaseUnavailable) -> None:
        """There is no connection for this writer, say; others have one."""
        writer = threading.get_ident()
        if writer not in self._failing:
            self._failing.add(writer)
            logger.warning("a writer cannot commit for now, others can: %s", error)
        with self._changed:
            self._queue.put_back(group)
            self._changed.notify()
        self._pause(ALONE)

    def _others_commit(self) -> bool:
        """Whether another writer has committed a moment ago."""
        own, recently = threading.get_ident(), time.monotonic() - ALONE
        return any(
            at > recently for thread, at in tuple(self._committed_at.items()) if thread != own
        )

    def _pause(self, seconds: float) -> None:
        if self._abandoned.wait(seconds):
            self.abandon()

    def _journal_waiting(self) -> None:
        with self._changed:
            waiting = self._queue.withdraw(lambda submission: not submission.replayed)
        # Who waited too long for the group under way is in the journal already.
        fresh = [submission for submission in waiting if not submission.committed.done()]
        if not fresh or self._journaled(fresh):
            self._release(waiting)
        else:
            with self._changed:
                self._queue.put_back(waiting)

    def _journaled(self, submissions: list[Submission]) -> bool:
        """Make them durable in the journal, and say so to those who wait. False if there is none, or it is full."""
        if self._journal is None:
            return False
        try:
            self._journal.append(
                [Entry(each.body, each.received_at, each.grant) for each in submissions]
            )
        except CannotJournal as error:
            logger.warning("requests are held: %s", error)
            return False
        self._counters.add(Counts(journaled=sum(each.rows for each in submissions)))
        for submission in submissions:
            submission.settle(submission.rejections)
        return True

    def _release(self, group: list[Submission]) -> None:
        with self._changed:
            self._queue.release(group)
