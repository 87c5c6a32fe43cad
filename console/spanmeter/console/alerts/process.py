"""The alerts in a process of their own, beside a collector: what they compute is never in the way of receiving."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from multiprocessing.connection import wait
from multiprocessing.context import SpawnProcess
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from spanmeter.console.alerts.running import AlertRunner

PATIENCE: Final = 5.0
"""Seconds that a round under way may take to end, before it is cut off: it is one of many, and in transactions."""

AFTER: Final = 10.0
"""Seconds after which it starts: what it loads is not in the way of the collector's own start."""


@contextmanager
def alerts_beside(dsn: str, begin: Callable[[], object], after: float = AFTER) -> Generator[None]:
    """Run the alerts of a ledger for as long as the context; `begin` comes first there, and can be pickled."""
    # Spawned, not forked: gRPC does not survive a fork that comes after its first use.
    process = multiprocessing.get_context("spawn").Process(
        target=_run, args=(dsn, begin), name="spanmeter-alerts", daemon=True
    )
    starting = threading.Timer(after, process.start)
    starting.daemon = True
    starting.start()
    try:
        yield
    finally:
        starting.cancel()
        starting.join()
        if process.pid is not None:
            _end(process)


def _end(process: SpawnProcess) -> None:
    process.terminate()
    process.join(PATIENCE)
    process.kill()
    process.join()


def run_until_signal(runner: "AlertRunner") -> None:
    """Run the alerts until SIGTERM or Ctrl-C. To be called from the main thread."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, frame: runner.stop())
    runner.run()


def _run(dsn: str, begin: Callable[[], object]) -> None:
    # Ctrl-C reaches every process of the terminal: only the first among them acts on it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    from spanmeter.console.alerts.running import AlertRunner

    begin()
    runner = AlertRunner(dsn)
    signal.signal(signal.SIGTERM, lambda number, frame: runner.stop())
    threading.Thread(target=_outlive_not, name="spanmeter-parent", daemon=True).start()
    runner.run()


def _outlive_not() -> None:
    """Stop when the process that started this one has gone: nobody else would."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os.kill(os.getpid(), signal.SIGTERM)
