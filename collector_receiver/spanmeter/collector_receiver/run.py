"""A collector as a process: until a signal, and then with care."""

import gc
import logging
import resource
import signal
import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Final

from spanmeter.collector_receiver.server import Addresses, Collector
from spanmeter.collector_receiver.settings import CollectorSettings

logger = logging.getLogger(__name__)

SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)

COLLECT_AFTER: Final = 250_000
"""Objects, some 25 MiB, more than the requests under way have. Spans and rows hold no cycles and are freed without the
cyclic collector; at Python's own 700 it looks at all that wait for their commit over and over, which takes a seventh of
the receiver's time, and at 50,000 still a twelfth."""


def nothing() -> None:
    """There is nothing to do."""


def run(
    settings: CollectorSettings,
    *,
    ready: Callable[[Addresses], object] = lambda _: None,
    begin: Callable[[], object] = nothing,
) -> None:
    """Receive spans until SIGTERM or SIGINT, then drain for up to `settings.grace` seconds.

    A second signal cuts the drain short. `ready` is called once the collector takes requests, `begin` first of all in
    each further process, which does not know where the log goes, for one; it has to be a function that can be pickled.
    To be called from the main thread. Raises `CannotListen`, `UnusableCertificate`, and `WorkerFailed` where there are
    several workers.
    """
    if settings.workers > 1:
        from spanmeter.collector_receiver.workers import run_workers

        run_workers(settings, ready, begin)
    else:
        run_one(settings, ready, SIGNALS)


def run_one(
    settings: CollectorSettings,
    ready: Callable[[Addresses], object],
    signals: Sequence[signal.Signals],
) -> None:
    """Receive spans in this process until one of the signals."""
    _allow_many_connections()
    collector = Collector(settings)
    with _signals(signals, then=collector.hurry) as stop, collector:
        _collect_rarely()
        ready(collector.addresses)
        stop.wait()
        logger.info("draining for up to %g s", settings.grace)


def _collect_rarely() -> None:
    """What is there by now stays: modules, rates, the server."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(COLLECT_AFTER)


def _allow_many_connections() -> None:
    """As many open files as the machine lets us: the usual 1,024 are fewer than a fleet has exporters."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        except (OSError, ValueError) as error:
            logger.info("no more than %d open files: %s", soft, error)


@contextmanager
def _signals(
    numbers: Sequence[signal.Signals], then: Callable[[], object]
) -> Generator[threading.Event]:
    """An event that the first signal sets. Later ones call `then`, in another thread: a handler must not wait."""
    stop = threading.Event()

    def on_signal(number: int, frame: FrameType | None) -> None:
        if stop.is_set():
            threading.Thread(target=then, name="spanmeter-hurry", daemon=True).start()
        stop.set()

    before = {number: signal.signal(number, on_signal) for number in numbers}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
