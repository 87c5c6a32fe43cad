"""Targets exported again and again: each at its own interval, whatever becomes of the others."""

import logging
from collections.abc import Generator, Sequence
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path
from threading import Event, Thread
from time import monotonic
from typing import Final

from click import ClickException

from spanmeter.console.exports.configuration import Configured, read_configuration
from spanmeter.console.exports.running import run_target
from spanmeter.console.exports.target import TargetUnusable
from spanmeter.storage.connection import connect
from spanmeter.storage.errors import StorageError

logger = logging.getLogger(__name__)

Scheduled = Sequence[tuple[Configured, timedelta]]

SHORTEST: Final = timedelta(minutes=1)

_LONGEST_STOP: Final = 30.0
"""Seconds; what is not sent by then is gone on with the next time."""


def scheduled(targets: Sequence[Configured], every: timedelta | None = None) -> Scheduled:
    """Targets with how often they are exported: `every`, or what the file says of each; without either, not at all."""
    told = [(each, each.every if every is None else every) for each in targets]
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


def scheduled_of(file: Path) -> Scheduled:
    """The targets of a file that say how often; none where there is no file. Raises `UnusableSetting`."""
    return scheduled(read_configuration(file)) if file.exists() else []


@contextmanager
def exporting(dsn: str, targets: Scheduled) -> Generator[None]:
    """Export in a thread as long as the context; what is being sent at its end is sent."""
    stopped = Event()
    thread = Thread(
        target=keep_exporting, args=(dsn, targets, stopped), name="exports", daemon=True
    )
    if targets:
        thread.start()
    try:
        yield
    finally:
        stopped.set()
        if targets:
            thread.join(timeout=_LONGEST_STOP)


def _export(dsn: str, configured: Configured, stopped: Event) -> None:
    try:
        with closing(connect(dsn)) as connection:
            done = run_target(connection, configured, sleep=stopped.wait)
    except (TargetUnusable, StorageError, ClickException) as error:
        said = error.message if isinstance(error, ClickException) else error
        logger.error("nothing was exported to %s: %s", configured.name, said)
    else:
        logger.info("exported to %s: %s", configured.name, done.said)
