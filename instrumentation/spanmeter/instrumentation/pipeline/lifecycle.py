"""The ends of a process, and its beginnings by fork: what happens to its records then."""

import atexit
import os
import signal
import sys
import threading
import weakref
from collections.abc import Callable
from types import FrameType
from typing import Any, Final, Protocol

SIGTERM_GRACE: Final = 3.0
"""Seconds that SIGTERM is put off. Whoever sent it may follow it with SIGKILL, often after ten."""


class Watched(Protocol):
    """What wants to know of the ends and the beginnings."""

    def shutdown(self, timeout: float | None = None) -> None: ...

    def after_fork(self) -> None: ...


_watched: Final[weakref.WeakSet[Watched]] = weakref.WeakSet()
_registered: Final = threading.Event()


def watch(pipeline: Watched, *, handle_sigterm: bool) -> None:
    """From now on the pipeline is told when the process forks, and when it ends in whichever way can
    be noticed."""
    _watched.add(pipeline)
    if not _registered.is_set():
        _registered.set()
        atexit.register(_shut_down)
        os.register_at_fork(after_in_child=_after_fork)
    if handle_sigterm:
        _handle_sigterm()


def at_end_of_child(shutdown: Callable[[], None]) -> None:
    """For children that leave by `os._exit`, which no exit handler survives: those of
    `multiprocessing` and of Celery's pool run functions of their own before. To be called in the
    child."""
    if (util := sys.modules.get("multiprocessing.util")) is not None:
        util.Finalize(None, shutdown, exitpriority=0)
    if (celery := sys.modules.get("celery.signals")) is not None:

        def on_exit(**_: Any) -> None:
            shutdown()

        celery.worker_process_shutdown.connect(on_exit, weak=False)


def _handle_sigterm() -> None:
    """By default SIGTERM ends Python without its exit handlers. A handler of the application's stays;
    servers such as uvicorn replace ours while they run, put it back, and raise the signal again."""
    if threading.current_thread() is not threading.main_thread():
        return
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _on_sigterm)


def _on_sigterm(signum: int, _: FrameType | None) -> None:
    # In a thread, since the one interrupted may hold a lock that this needs.
    ending = threading.Thread(target=_shut_down, args=(SIGTERM_GRACE,), daemon=True)
    try:
        ending.start()
        ending.join(SIGTERM_GRACE + 1.0)
    finally:
        signal.signal(signum, signal.SIG_DFL)
        os.kill(os.getpid(), signum)


def _shut_down(timeout: float | None = None) -> None:
    for pipeline in list(_watched):
        pipeline.shutdown(timeout)


def _after_fork() -> None:
    for pipeline in list(_watched):
        pipeline.after_fork()
