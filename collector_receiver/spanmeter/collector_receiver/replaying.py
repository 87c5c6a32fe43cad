"""Replays the journal: what was acknowledged while the database was away is committed when it is back."""

import logging
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from typing import Final

from spanmeter.collector_receiver.committer import NotCommitted
from spanmeter.collector_receiver.fair_queue import QueueFull
from spanmeter.collector_receiver.journal import Journal
from spanmeter.collector_receiver.journal_segment import Entry, entries
from spanmeter.collector_receiver.submission import Rejection

logger = logging.getLogger(__name__)

UNDER_WAY: Final = 8
"""Requests of the journal that are queued at once: they take turns with what comes in."""

PAUSE: Final = 0.1
"""Seconds between two looks at whether to stop, or whether there is room."""

LOOK_AROUND: Final = 10.0
"""Seconds between two looks for what other collectors left."""

Replay = Callable[[Entry], Future[list[Rejection]]]
"""Queues a request of the journal to be committed. Raises QueueFull, NotCommitted."""


class _Stopped(Exception):
    """The collector stops; what is left stays in the journal."""


class Replaying:
    """A thread that replays a journal, from the oldest segment on, until it is stopped.

    A request is replayed again if the process ends before its whole segment is committed; it is booked once.
    """

    def __init__(self, journal: Journal, replay: Replay) -> None:
        self._journal = journal
        self._replay = replay
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="spanmeter-replay", daemon=True)

    def start(self) -> None:
        """Replay from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Stop, and leave the rest in the journal."""
        self._stopping.set()
        self._journal.added.set()
        self._thread.join()

    def _run(self) -> None:
        with suppress(_Stopped):
            while not self._stopping.is_set():
                self._replay_all()
                self._journal.added.wait(LOOK_AROUND)

    def _replay_all(self) -> None:
        try:
            for path in self._journal.seal():
                self._replay_segment(path)
        except OSError:
            logger.exception("cannot read the journal")
            if self._stopping.wait(LOOK_AROUND):
                raise _Stopped from None

    def _replay_segment(self, path: Path) -> None:
        try:
            requests = self._commit(path)
        except (OSError, _Stopped):
            raise
        except Exception:
            # What comes after it must not wait for ever; nothing of it is thrown away.
            kept = self._journal.set_aside(path)
            logger.exception("could not replay a segment of the journal; it is kept as %s", kept)
        else:
            self._journal.discard(path)
            logger.info("committed %d requests of the journal", requests)

    def _commit(self, path: Path) -> int:
        under_way: deque[Future[list[Rejection]]] = deque()
        requests = 0
        try:
            for entry in entries(path):
                under_way.append(self._queued(entry))
                requests += 1
                if len(under_way) >= UNDER_WAY:
                    self._wait(under_way.popleft())
        finally:
            # Those before a damage too: the segment is not replayed again.
            for committed in under_way:
                self._wait(committed)
        return requests

    def _queued(self, entry: Entry) -> Future[list[Rejection]]:
        while True:
            try:
                return self._replay(entry)
            except NotCommitted:
                raise _Stopped from None
            except QueueFull:
                if self._stopping.wait(PAUSE):
                    raise _Stopped from None

    def _wait(self, committed: Future[list[Rejection]]) -> None:
        while True:
            try:
                committed.result(PAUSE)
            except TimeoutError:
                if self._stopping.is_set():
                    raise _Stopped from None
            except NotCommitted:
                raise _Stopped from None
            else:
                return
