"""A collector as a process: until a signal, and then with care."""

import logging
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


def run(
    settings: CollectorSettings, *, ready: Callable[[Addresses], object] = lambda _: None
) -> None:
    """Receive spans until SIGTERM or SIGINT, then drain for up to `settings.grace` seconds.

    A second signal cuts the drain short. `ready` is called once the collector takes requests. To be called from the
    main thread. Raises `CannotListen`, `UnusableCertificate`, and `WorkerFailed` where there are several workers.
    """
    if settings.workers > 1:
        from spanmeter.collector_receiver.workers import run_workers

        run_workers(settings, ready)
    else:
        run_one(settings, ready, SIGNALS)


def run_one(
    settings: CollectorSettings,
    ready: Callable[[Addresses], object],
    signals: Sequence[signal.Signals],
) -> None:
    """Receive spans in this process until one of the signals."""
    collector = Collector(settings)
    with _signals(signals, then=collector.hurry) as stop, collector:
        ready(collector.addresses)
        stop.wait()
        logger.info("draining for up to %g s", settings.grace)


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
