"""Days verified by several processes, which all see the same moment of the ledger."""

import multiprocessing
from collections.abc import Generator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from datetime import date
from functools import partial

import psycopg

from spanmeter.console.failures import JobFailed
from spanmeter.console.verifying_day import DayVerifier, VerifiedDay, VerifyDays
from spanmeter.storage import statements
from spanmeter.storage.connection import Connection, connect, database_errors

_SQL = statements.load("audit")

_verifiers: list[DayVerifier] = []
"""In a process of the pool: its own."""


@contextmanager
def verifying_days(connection: Connection, dsn: str, jobs: int) -> Generator[VerifyDays]:
    """What verifies days in `jobs` processes, as the transaction of `connection` sees them; one is this process.

    Raises, when it is used, `JobFailed` where a process ended, and what a verifier raises.
    """
    if jobs == 1:
        yield partial(map, DayVerifier(connection).verify)
        return
    row = connection.execute(_SQL["snapshot"]).fetchone()
    if row is None:
        raise AssertionError("a function has a value")
    # Spawned, as a fork would share the connection.
    spawning = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, spawning, _begin, (dsn, row[0])) as pool:
        try:
            yield partial(pool.map, _verify)
        except BrokenProcessPool as error:
            raise JobFailed("a process that verified ended: too little memory?") from error
        finally:
            pool.shutdown(cancel_futures=True)


def _begin(dsn: str, snapshot: str) -> None:
    connection = connect(dsn)
    connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
    connection.read_only = True
    connection.autocommit = False
    with database_errors():
        connection.execute(_SQL["see"].format(snapshot=snapshot))
        _verifiers.append(DayVerifier(connection))


def _verify(day: date) -> VerifiedDay:
    with database_errors():
        return _verifiers[0].verify(day)
