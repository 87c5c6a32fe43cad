"""Work that must not be done where the garbage collector finds it.

A stream that nobody closed is found by the collector, in the middle of whatever its thread was
doing: perhaps holding a lock of the very span processor that the stream's span is about to be
handed to. So what the collector starts is put aside, and done by a thread that holds nothing.
"""

import atexit
import gc
import os
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, Final

_state: Final = threading.local()


class Aside:
    """Runs jobs at once, or, where the collector is at work in this thread, in a thread of its own."""

    def __init__(self) -> None:
        self._reset()
        os.register_at_fork(after_in_child=self._reset)

    def _reset(self) -> None:
        # Its `put` may be interrupted by another `put` in the same thread, as no other queue's may.
        self._jobs: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._thread: threading.Thread | None = None

    def ready(self) -> None:
        """Starts the thread, if it does not run: not possible any more once the collector is at
        work."""
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._work, name="spanmeter-aside", daemon=True)
            self._thread.start()

    def run(self, job: Callable[[], None]) -> None:
        """Runs the job now, or soon."""
        if getattr(_state, "collecting", False):
            self._jobs.put(job)
        else:
            job()

    def settle(self, timeout: float = 5.0) -> None:
        """Waits until all that was put aside so far has been done, or for `timeout` seconds."""
        if self._thread is not None and self._thread.is_alive():
            settled = threading.Event()
            self._jobs.put(settled.set)
            settled.wait(timeout)

    def _work(self) -> None:
        jobs = self._jobs
        while True:
            jobs.get()()


def _note_collection(phase: str, info: dict[str, Any]) -> None:
    _state.collecting = phase == "start"


gc.callbacks.append(_note_collection)
aside: Final = Aside()
# What is collected last, at exit, is still recorded.
atexit.register(aside.settle)
