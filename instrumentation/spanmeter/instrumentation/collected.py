"""Work that must not be done where it falls due, but aside, by a thread of its own.

A stream that nobody closed is found by the garbage collector, in the middle of whatever its thread
was doing: perhaps holding a lock of the very span processor that the stream's span is about to be
handed to. And whoever closes a stream early must not wait for its tokens to be counted: a tokenizer
takes a second to load.
"""

import atexit
import gc
import os
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, Final

import wrapt

from spanmeter.instrumentation.guard import guarded

_state: Final = threading.local()


class Aside:
    """Runs jobs in a thread of its own; `run` at once, where the collector is not at work in this
    thread."""

    def __init__(self) -> None:
        self._over = False
        self._reset()
        os.register_at_fork(after_in_child=self._reset)

    def _reset(self) -> None:
        # Its `put` may be interrupted by another `put` in the same thread, as no other queue's may.
        self._jobs: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._starting = threading.RLock()

    def ready(self) -> None:
        """Starts the thread, if it does not run: not possible any more once the collector is at
        work."""
        if self._thread is None or not self._thread.is_alive():
            with self._starting:
                self._start()

    def _start(self) -> None:
        # Of two threads one could be at work still when the other is done with all there is.
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._work, name="spanmeter-aside", daemon=True)
            self._thread.start()
            # At exit the latest come first: spans are ended before their provider is shut down.
            atexit.unregister(self._finish)
            atexit.register(self._finish)

    def run(self, job: Callable[[], None]) -> None:
        """Runs the job now, or soon."""
        if getattr(_state, "collecting", False):
            self._jobs.put(job)
        else:
            job()

    def put(self, job: Callable[[], None]) -> None:
        """Has the thread run the job, soon; runs it now where there is no other thread to be had."""
        if self._over or threading.current_thread() is self._thread:
            job()
            return
        try:
            self.ready()
        except RuntimeError:  # there are too many, or the interpreter is going down
            job()
        else:
            self._jobs.put(job)

    def settle(self, timeout: float = 30.0) -> None:
        """Waits until all that was put aside so far has been done, or for `timeout` seconds."""
        thread = self._thread
        if thread is None or not thread.is_alive() or threading.current_thread() is thread:
            return
        settled = threading.Event()
        self._jobs.put(settled.set)
        settled.wait(timeout)

    def _finish(self) -> None:
        """What is collected last, at exit, is still recorded."""
        self.settle()
        self._over = True

    def _work(self) -> None:
        jobs = self._jobs
        while True:
            _do(jobs.get())


@guarded
def _do(job: Callable[[], None]) -> None:
    job()


def _note_collection(phase: str, info: dict[str, Any]) -> None:
    _state.collecting = phase == "start"


gc.callbacks.append(_note_collection)
aside: Final = Aside()


def settle_before_flush() -> None:
    """Has the SDK's tracer providers wait for what was put aside when they are flushed or shut down:
    spans that have yet to be ended are part of it. Once per process."""
    if not _patched:
        _patched.append(_PROVIDERS)
        wrapt.register_post_import_hook(_patch, _PROVIDERS)


_PROVIDERS: Final = "opentelemetry.sdk.trace"
_patched: Final[list[str]] = []


@guarded
def _patch(module: Any) -> None:
    for name in ("force_flush", "shutdown"):
        wrapt.wrap_function_wrapper(module, f"TracerProvider.{name}", _settled)


def _settled(
    wrapped: Callable[..., Any], instance: object, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    _settle(*args, **kwargs)
    return wrapped(*args, **kwargs)


@guarded
def _settle(timeout_millis: float = 30_000) -> None:
    aside.settle(timeout_millis / 1000)
