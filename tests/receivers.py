"""Receivers as processes that a test may kill, quickly started: forked from one that has imported all they need."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import sys
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from unittest.mock import patch

from spanmeter.collector_receiver import Addresses, CollectorSettings, run

_forking = multiprocessing.get_context("forkserver")
# Importing gRPC starts no threads; they start with the server, in each fork of its own.
_forking.set_forkserver_preload([__name__])

SECONDS = 60
"""A busy machine's patience for the start and the end of a process."""


@dataclass(frozen=True)
class Receiver:
    """A receiver in a process of its own."""

    process: ForkServerProcess
    addresses: Addresses

    @property
    def address(self) -> str:
        """Of gRPC."""
        return self.addresses.grpc

    @property
    def pid(self) -> int:
        assert self.process.pid is not None
        return self.process.pid

    def kill(self) -> None:
        """SIGKILL, and wait for its end."""
        self.process.kill()
        self.process.join(SECONDS)

    def terminate(self) -> None:
        """SIGTERM: drain and stop."""
        os.kill(self.pid, signal.SIGTERM)

    def ended(self) -> int | None:
        """Wait for its end; the exit code."""
        self.process.join(SECONDS)
        return self.process.exitcode

    def most_memory(self) -> float:
        """The most that the process ever had resident, in MiB."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        (line,) = (line for line in status.splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024


class Receivers:
    """Starts receivers, and ends with the test what still runs."""

    def __init__(self, running: ExitStack) -> None:
        self._running = running

    def start(self, settings: CollectorSettings) -> Receiver:
        """A receiver that serves. Raises EOFError if it cannot."""
        _start_fork_server()
        news, theirs = _forking.Pipe(duplex=False)
        process = _forking.Process(target=_serve, args=(settings, theirs))
        process.start()
        self._running.callback(process.join, SECONDS)
        self._running.callback(process.kill)
        theirs.close()
        with news:
            assert news.poll(SECONDS)
            return Receiver(process, news.recv())


@contextmanager
def receivers() -> Generator[Receivers]:
    """Receivers for as long as the block lasts."""
    with ExitStack() as running:
        yield Receivers(running)


def _start_fork_server() -> None:
    """Once; before Python 3.12 it is not told `sys.path`, and goes without what it cannot find."""
    with patch.dict(os.environ, PYTHONPATH=os.pathsep.join(filter(None, sys.path))):
        forkserver.ensure_running()


def _serve(settings: CollectorSettings, news: Connection) -> None:
    logging.basicConfig(level=logging.INFO)
    run(settings, ready=news.send)
