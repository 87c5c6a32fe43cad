"""Targets exported again and again: each at its own interval, whatever becomes of the others."""

import logging
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import timedelta
from threading import Event, Thread
from time import monotonic
from typing import Final

from spanmeter.console.exports.configuration import Configured
from spanmeter.console.exports.running import run_target
from spanmeter.console.exports.target import TargetUnusable
from spanmeter.storage.connection import connect
from spanmeter.storage.errors import StorageError

logger = logging.getLogger(__name__)

Scheduled = Sequence[tuple[Configured, timedelta]]

SHORTEST: Final = timedelta(minutes=1)


def scheduled(targets: Sequence[Configured], every: timedelta | None = None) -> Scheduled:
    """Targets with how often they are exported: `every`, or what the file says of each; without either, not at all."""
    told = [(each, every or each.every) for each in targets]
    return [(each, max(interval, SHORTEST)) for each, interval in told if interval is not None]


def keep_exporting(dsn: str, targets: Scheduled, stopped: Event) -> None:
    """Export until it is stopped. What goes wrong is logged, and tried again the next time."""
    due = [0.0 for _ in targets]
    while not stopped.is_set():
        for at, (configured, interval) in enumerate(targets):
            if due[at] <= monotonic() and not stopped.is_set():
                due[at] = monotonic() + interval.total_seconds()
                _export(dsn, configured, stopped)
        stopped.wait(max(0.0, min(due, default=3600.0) - monotonic()))


def in_background(dsn: str, targets: Scheduled) -> Callable[[], None]:
    """Export in a thread; the result ends it, once what is being sent is sent."""
    stopped = Event()
    thread = Thread(
        target=keep_exporting, args=(dsn, targets, stopped), name="exports", daemon=True
    )
    thread.start()

    def stop() -> None:
        stopped.set()
        thread.join(timeout=60)

    return stop


def _export(dsn: str, configured: Configured, stopped: Event) -> None:
    try:
        with closing(connect(dsn)) as connection:
            done = run_target(connection, configured, sleep=stopped.wait)
    except (TargetUnusable, StorageError) as error:
        logger.error("nothing was exported to %s: %s", configured.name, error)
    else:
        logger.info("exported to %s: %s", configured.name, done.said)
