"""An application that records calls and ends in a way of its own: `app_program.py WAY RECORDS`.

Prints the id of each record once `record` has returned, so that a test knows what must not get lost.
"""

from __future__ import annotations

import atexit
import multiprocessing
import os
import random
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from spanmeter.instrumentation.pipeline import Pipeline

CALL = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o",
    "gen_ai.usage.input_tokens": 1000,
    "gen_ai.usage.output_tokens": 100,
    "tenant.id": "acme",
    "usage.source": "provider",
}


def record(count: int) -> None:
    """Records so many calls."""
    for _ in range(count):
        span_id = random.getrandbits(63) | 1
        now = time.time_ns()
        pipeline.record(
            scope_name="spanmeter.openai",
            scope_version="1",
            name="chat",
            trace_id=span_id,
            span_id=span_id,
            start_ns=now,
            end_ns=now,
            attributes={**CALL, "process": os.getpid()},
        )
        # One write, so that lines of several processes do not mix.
        os.write(1, f"{span_id}\n".encode())


def wait_for_a_signal() -> None:
    os.write(1, b"ready\n")
    while True:
        time.sleep(60)


def exits(count: int) -> None:
    record(count)


def os_exit(count: int) -> None:
    record(count)
    os._exit(0)


def raises(count: int) -> None:
    record(count)
    raise SystemExit(3)


def until_a_signal(count: int) -> None:
    record(count)
    wait_for_a_signal()


def until_a_signal_in_a_server(count: int) -> None:
    """As uvicorn: takes the signal, ends in order, puts the handler back and raises it again."""
    stopping = threading.Event()

    def stop(*_: object) -> None:
        stopping.set()

    before = signal.signal(signal.SIGTERM, stop)
    os.write(1, b"ready\n")
    while not stopping.wait(0.01):
        pass
    record(count)
    signal.signal(signal.SIGTERM, before)
    signal.raise_signal(signal.SIGTERM)


def forever(_: int) -> None:
    """From four threads, until it is killed."""
    for _ in range(4):
        threading.Thread(target=record, args=(1_000_000,), daemon=True).start()
    wait_for_a_signal()


def steadily(_: int) -> None:
    """Some 300 calls a second from four threads, until it is killed."""

    def calling() -> None:
        while True:
            record(1)
            time.sleep(0.01)

    for _ in range(4):
        threading.Thread(target=calling, daemon=True).start()
    wait_for_a_signal()


def forks(count: int) -> None:
    """Before a fork and after it, on both sides, while the parent's thread is sending."""
    children: list[int] = []
    for _ in range(4):
        record(count)
        child = os.fork()
        if child == 0:
            record(count)
            # Not every child runs exit handlers.
            assert pipeline.flush(60)
            os._exit(0)
        children.append(child)
    record(count)
    for child in children:
        assert os.waitpid(child, 0)[1] == 0


def forks_and_vanishes(count: int) -> None:
    record(count)
    if os.fork() == 0:
        record(count)
        os._exit(0)
    os.wait()
    record(count)


def with_multiprocessing(method: str) -> Callable[[int], None]:
    def run(count: int) -> None:
        record(count)
        context: Any = multiprocessing.get_context(method)
        children = [context.Process(target=exits, args=(count,)) for _ in range(2)]
        for child in children:
            child.start()
        for child in children:
            child.join()
            assert child.exitcode == 0

    return run


def a_late_thread(count: int) -> None:
    """Records are made while the main thread has ended, and once exit handlers have run."""

    def late() -> None:
        threading.main_thread().join()
        record(count)

    threading.Thread(target=late).start()


WAYS: dict[str, Callable[[int], None]] = {
    "exits": exits,
    "os_exit": os_exit,
    "raises": raises,
    "until_a_signal": until_a_signal,
    "until_a_signal_in_a_server": until_a_signal_in_a_server,
    "a_late_thread": a_late_thread,
    "forever": forever,
    "steadily": steadily,
    "forks": forks,
    "forks_and_vanishes": forks_and_vanishes,
    "multiprocessing_fork": with_multiprocessing("fork"),
    "multiprocessing_spawn": with_multiprocessing("spawn"),
    "multiprocessing_forkserver": with_multiprocessing("forkserver"),
}


def main() -> None:
    way, count = sys.argv[1], int(sys.argv[2])
    WAYS[way](count)


# The handler that is registered first runs last, after the pipeline's own.
atexit.register(lambda: record(1))
pipeline = Pipeline.from_environ()

if __name__ == "__main__":
    main()
