"""A program that has work done in every way that the standard library knows, and says for whom it was done.

`working.py METHOD`, where METHOD is how processes are started. It is metered as applications are: at import.
"""

from __future__ import annotations

import json
import multiprocessing
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing.context import SpawnProcess
from typing import Any

from spanmeter.instrumentation import current_usage, instrument, usage

# Not where a test only wants what is defined here.
if __name__ in {"__main__", "__mp_main__"}:
    instrument()


def who(*_: object) -> str | None:
    """The tenant for whom this is done."""
    found = current_usage()
    return found.tenant_id if found is not None else None


class Worker(SpawnProcess):
    """A process with a `run` of its own."""

    def __init__(self, answers: Any) -> None:
        super().__init__()
        self._answers = answers

    def run(self) -> None:
        self._answers.put(who())


def answer(answers: Any) -> None:
    """Says in a queue for whom this is done."""
    answers.put(who())


def process(context: Any) -> object:
    answers = context.SimpleQueue()
    worker = context.Process(target=answer, args=(answers,))
    worker.start()
    worker.join()
    return answers.get()


def subclass() -> object:
    answers = multiprocessing.get_context("spawn").SimpleQueue()
    worker = Worker(answers)
    worker.start()
    worker.join()
    return answers.get()


EXECUTOR: Mapping[str, Callable[[Any], object]] = {
    "submit": lambda executor: executor.submit(who).result(),
    "executor map": lambda executor: next(executor.map(who, [1])),
}
POOL: Mapping[str, Callable[[Any], object]] = {
    "apply": lambda pool: pool.apply(who),
    "apply_async": lambda pool: pool.apply_async(who).get(),
    "map": lambda pool: pool.map(who, [1])[0],
    "map_async": lambda pool: pool.map_async(who, [1]).get()[0],
    "starmap": lambda pool: pool.starmap(who, [(1,)])[0],
    "imap": lambda pool: next(pool.imap(who, [1])),
    "imap_unordered": lambda pool: next(pool.imap_unordered(who, [1])),
}


def results(context: Any) -> dict[str, object]:
    """For whom each way has work done: for the first tenant, who has the pools made, for nobody,
    for another, and for the one that a function was carried from."""
    with usage(tenant_id="first"):
        executor, pool = ProcessPoolExecutor(1, mp_context=context), context.Pool(1)
        ways: dict[str, Callable[[], object]] = {
            "process": partial(process, context),
            "subclass": subclass,
            **{name: partial(way, executor) for name, way in EXECUTOR.items()},
            **{name: partial(way, pool) for name, way in POOL.items()},
        }
        first = {name: way() for name, way in ways.items()}
        carried = usage.carry(who)
    nobody = {name: way() for name, way in ways.items()}
    with usage(tenant_id="another"):
        another = {name: way() for name, way in ways.items()}
    carried_there = pool.apply(carried)
    pool.close()
    pool.join()
    executor.shutdown()
    return {"first": first, "nobody": nobody, "another": another, "carried": carried_there}


if __name__ == "__main__":
    print(json.dumps(results(multiprocessing.get_context(sys.argv[1]))))
