"""Several collectors on the same ports, each a process: the kernel spreads connections over them.

They are spawned, not forked: gRPC does not survive a fork that comes after its first use.
"""

import logging
import multiprocessing
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from spanmeter.collector_receiver.http_server import address_of, bound
from spanmeter.collector_receiver.run import SIGNALS, run_one
from spanmeter.collector_receiver.server import Addresses, CannotListen
from spanmeter.collector_receiver.settings import CollectorSettings, Worker

logger = logging.getLogger(__name__)

PAUSE: Final = 1.0
"""Seconds before a worker that died soon after its start is replaced."""

MARGIN: Final = 5.0
"""Seconds beyond its grace after which a worker that still runs is killed."""

_spawning = multiprocessing.get_context("spawn")


class WorkerFailed(RuntimeError):
    """A worker could not start. Its own log says why."""


def run_workers(
    settings: CollectorSettings,
    ready: Callable[[Addresses], object],
    begin: Callable[[], object],
) -> None:
    """Receive spans in `settings.workers` processes until SIGTERM or SIGINT, then have each drain as one alone does.

    One that dies is replaced. `ready` is called once all take requests, `begin` first of all in each. Raises
    `CannotListen` and `WorkerFailed`.
    """
    with _reserved(settings) as shared, _pages() as pages, _stop_requested() as (stopping, wake):
        workers = [
            _WorkerProcess(replace(shared, worker=Worker(number, pages)), begin)
            for number in range(settings.workers)
        ]
        try:
            for worker in workers:
                worker.started()
            ready(Addresses(shared.grpc, shared.http))
            while not stopping():
                workers = [worker.replaced_if_dead() for worker in workers]
                wait([wake, *(worker.process.sentinel for worker in workers)])
            wake.recv(1)
        finally:
            _stop(workers, settings.grace + MARGIN, wake)


class _WorkerProcess:
    """One process, and the news from it."""

    def __init__(self, settings: CollectorSettings, begin: Callable[[], object]) -> None:
        self._settings = settings
        self._number = 0 if settings.worker is None else settings.worker.number
        self._begin = begin
        self._began = time.monotonic()
        self._news, theirs = _spawning.Pipe(duplex=False)
        self.process: SpawnProcess = _spawning.Process(
            target=_work,
            args=(settings, begin, theirs),
            name=f"spanmeter-worker-{self._number}",
        )
        self.process.start()
        theirs.close()

    def started(self) -> None:
        """Wait until it takes requests. Raises `WorkerFailed`."""
        try:
            self._news.recv()
        except EOFError:
            raise WorkerFailed(f"worker {self._number} could not start; see its log") from None

    def replaced_if_dead(self) -> "_WorkerProcess":
        """Itself, or another in its place."""
        if self.process.is_alive():
            return self
        logger.error(
            "worker %d ended with %s; starting another", self._number, self.process.exitcode
        )
        time.sleep(max(0.0, PAUSE - (time.monotonic() - self._began)))
        return _WorkerProcess(self._settings, self._begin)


def _work(settings: CollectorSettings, begin: Callable[[], object], news: Connection) -> None:
    begin()
    # Ctrl-C reaches every process of the terminal: only the first among them acts on it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_outlive_not, name="spanmeter-parent", daemon=True).start()

    def announce(addresses: Addresses) -> None:
        news.send(None)
        news.close()

    run_one(settings, ready=announce, signals=(signal.SIGTERM,))


def _outlive_not() -> None:
    """Stop when the process that started this one has gone: nobody else would."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os.kill(os.getpid(), signal.SIGTERM)


def _stop(workers: list[_WorkerProcess], patience: float, wake: socket.socket) -> None:
    """Have them drain. Another signal cuts that short, as it does for one alone."""
    deadline = time.monotonic() + patience
    running = _terminated(workers)
    while running and (left := deadline - time.monotonic()) > 0:
        news = wait([wake, *(worker.process.sentinel for worker in running)], left)
        if wake in news:
            wake.recv(1)
            running = _terminated(running)
        running = [worker for worker in running if worker.process.is_alive()]
    for worker in running:
        logger.error("%s does not stop; killing it", worker.process.name)
        worker.process.kill()
    for worker in workers:
        worker.process.join()


def _terminated(workers: list[_WorkerProcess]) -> list[_WorkerProcess]:
    for worker in workers:
        worker.process.terminate()
    return workers


@contextmanager
def _pages() -> Generator[Path]:
    """A directory where the workers publish their metrics."""
    with TemporaryDirectory(prefix="spanmeter-metrics-") as directory:
        yield Path(directory)


@contextmanager
def _reserved(settings: CollectorSettings) -> Generator[CollectorSettings]:
    """The settings for workers: ports that this process holds, and they may share."""
    with ExitStack() as held:
        shared = replace(
            settings,
            workers=1,
            shared=True,
            grpc=held.enter_context(_held(settings.grpc, "--grpc")),
        )
        if settings.http is not None:
            shared = replace(shared, http=held.enter_context(_held(settings.http, "--http")))
        yield shared


@contextmanager
def _held(address: str, flag: str) -> Generator[str]:
    try:
        # Without `shared` it is refused where another program listens; sharing starts with ours.
        bound(address, shared=False).close()
        holding = bound(address, shared=True)
    except OSError as error:
        raise CannotListen(
            f"cannot listen on {address}: {error.strerror or error}; choose another with {flag}"
        ) from error
    with holding:
        yield address_of(holding)


@contextmanager
def _stop_requested() -> Generator[tuple[Callable[[], bool], socket.socket]]:
    """Whether a signal has come, and a socket that becomes readable when one does."""
    wake, waker = socket.socketpair()
    waker.setblocking(False)  # noqa: FBT003 (the socket module's own signature)
    stopping = threading.Event()
    before = {
        number: signal.signal(number, lambda number, frame: stopping.set()) for number in SIGNALS
    }
    descriptor = signal.set_wakeup_fd(waker.fileno(), warn_on_full_buffer=False)
    try:
        yield stopping.is_set, wake
    finally:
        signal.set_wakeup_fd(descriptor)
        for number, handler in before.items():
            signal.signal(number, handler)
        wake.close()
        waker.close()
