"""Answers that may take longer than a page may: worked out beside the requests, and shown with the moment they are of.

What took long is kept for a while; what is quick is worked out anew each time.
"""

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Final, Generic, TypeVar

from spanmeter.console.web.problems import Problem
from spanmeter.storage.errors import StorageError
from spanmeter.storage.pool import PoolTimeout

logger = logging.getLogger(__name__)

Key = TypeVar("Key", bound=Hashable)
Answer = TypeVar("Answer")

Noted = Callable[[], None]
"""To be called for each step: it counts, and ends the work when the console does."""

PATIENCE: Final = 0.15
"""Seconds that a page waits; what takes longer is shown as it was last, or as under way."""

_QUICK: Final = 1.0
"""Seconds: what takes less is not kept."""

_REST: Final = 20
"""It is kept for so many times as long as it took, so that working it out is a small part of the time."""

_LONGEST: Final = 600.0
_KEPT: Final = 256
"""Answers that are kept."""

_AT_ONCE: Final = 2
"""Answers that are worked out at once: a console has few connections, and pages come first."""


class BeingWorkedOut(Exception):
    """There is no answer yet; `steps` are done."""

    def __init__(self, steps: int) -> None:
        super().__init__(f"it is being worked out, {steps:,} so far: ask again in a moment")
        self.steps = steps


class _Closing(Exception):
    """Nobody waits for the answer any more."""


class _Work(Generic[Answer]):
    """One answer that is being worked out."""

    def __init__(self) -> None:
        self.done = threading.Event()
        self.steps = 0
        self.answer: Answer | None = None
        self.error: Exception | None = None
        self.good_until = 0.0

    @property
    def is_over(self) -> bool:
        """Whether somebody who asks now should be told something newer."""
        return self.done.is_set() and time.monotonic() > self.good_until


class WorkedOut(Generic[Key, Answer]):
    """Works answers out, each with a thread of its own. Safe to use from many threads."""

    def __init__(self, work_out: Callable[[Key, Noted], Answer]) -> None:
        self._work_out = work_out
        self._lock = threading.Lock()
        self._places = threading.Semaphore(_AT_ONCE)
        self._under_way: dict[Key, _Work[Answer]] = {}
        self._known: OrderedDict[Key, _Work[Answer]] = OrderedDict()
        self._closing = False

    def read(self, key: Key, patience: float) -> Answer:
        """The answer by now; after `patience` seconds the one that was known before.

        Raises BeingWorkedOut where none was, and what working it out raises: Problem, DatabaseUnavailable.
        """
        with self._lock:
            known = self._known.get(key)
            if known is not None and not known.is_over and known.answer is not None:
                return known.answer
            work = self._under_way.get(key) or self._begin(key)
        if work.done.wait(patience):
            return _answer(work)
        if known is not None and known.answer is not None:
            return known.answer
        raise BeingWorkedOut(work.steps)

    def at_once(self, key: Key) -> Answer | None:
        """The answer for a page that has more to show; None: it is being worked out. Raises as `read`."""
        try:
            return self.read(key, PATIENCE)
        except BeingWorkedOut:
            return None

    def close(self) -> None:
        """Give up what is being worked out: at its next step, and without waiting for the database."""
        self._closing = True

    def _begin(self, key: Key) -> _Work[Answer]:
        work = self._under_way[key] = _Work()
        threading.Thread(
            target=self._run, args=[key, work], name="working-out", daemon=True
        ).start()
        return work

    def _run(self, key: Key, work: _Work[Answer]) -> None:
        def noted() -> None:
            work.steps += 1
            if self._closing:
                raise _Closing

        with self._places:
            began = time.monotonic()
            try:
                work.answer = self._work_out(key, noted)
            except (StorageError, PoolTimeout, Problem, _Closing) as error:
                work.error = error
            except Exception as error:
                logger.exception("an answer was not worked out")
                work.error = error
        self._keep(key, work, time.monotonic() - began)
        work.done.set()

    def _keep(self, key: Key, work: _Work[Answer], took: float) -> None:
        rest = min(took * _REST, _LONGEST) if took > _QUICK else 0.0
        work.good_until = time.monotonic() + rest
        with self._lock:
            del self._under_way[key]
            if work.answer is None:
                return
            self._known[key] = work
            self._known.move_to_end(key)
            if len(self._known) > _KEPT:
                self._known.popitem(last=False)


def _answer(work: _Work[Answer]) -> Answer:
    if work.answer is None:
        raise work.error or AssertionError("work ends with an answer or an error")
    return work.answer
