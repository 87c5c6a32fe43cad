"""Several processes on the same ports: started together, replaced where one dies, stopped with care."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from pathlib import Path

import pytest

import otlp
from collecting import Ledger
from otlp import Client

PROGRAM = Path(__file__).with_name("workers_program.py")


class Running:
    """A supervisor and its workers."""

    def __init__(self, process: subprocess.Popen[str], address: str) -> None:
        self.process = process
        self.address = address

    def workers(self) -> list[int]:
        """Process ids: the children that are Python's spawned ones, and not its resource tracker."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        pids = [int(pid) for pid in children.read_text().split()]
        return [pid for pid in pids if b"spawn_main" in _command(pid)]

    def end(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


@pytest.fixture
def running(plain_dsn: str) -> Generator[Running]:
    process = subprocess.Popen(
        [sys.executable, str(PROGRAM), plain_dsn], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    with process, process.stdout:
        yield Running(process, process.stdout.readline().strip())
        process.kill()


def sent(address: str, count: int) -> None:
    """Each on a connection of its own, which the kernel gives to any worker; tried again as SDKs do."""
    for _ in range(count):
        with Client(address) as client:
            client.deliver(otlp.llm_request(1))


def awaited(condition: Callable[[], object], seconds: float = 30) -> bool:
    deadline = time.monotonic() + seconds
    while not (found := condition()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return bool(found)


def test_all_receive_and_one_that_dies_is_replaced(running: Running, plain_dsn: str) -> None:
    first = running.workers()
    assert len(first) == 3
    sent(running.address, 10)

    os.kill(first[0], signal.SIGKILL)
    assert awaited(lambda: len(set(running.workers()) - {first[0]}) == 3)
    sent(running.address, 10)

    assert running.end() == 0
    assert len(Ledger(plain_dsn).spans()) == 20


def test_workers_do_not_outlive_a_supervisor_that_is_killed(running: Running) -> None:
    workers = running.workers()

    running.process.kill()

    assert awaited(lambda: not any(b"spawn_main" in _command(pid) for pid in workers))
