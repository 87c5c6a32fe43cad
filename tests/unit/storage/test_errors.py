"""The error tree, and whose fault each error of the database is."""

from __future__ import annotations

import psycopg
import pytest

from spanmeter.storage import errors
from spanmeter.storage.faults import blames_batch

RAISED = [value for value in vars(errors).values() if isinstance(value, type)]


@pytest.mark.parametrize("error", RAISED)
def test_the_tree_in_the_docstring_is_complete(error: type[Exception]) -> None:
    assert errors.__doc__ is not None
    assert error.__name__ in errors.__doc__
    assert issubclass(error, errors.StorageError)


@pytest.mark.parametrize("code", ["22021", "22P05", "22003", "23514", "23502", "54000"])
def test_a_value_that_postgresql_refuses_is_the_batchs_fault(code: str) -> None:
    assert blames_batch(psycopg.errors.lookup(code)(), 1)


@pytest.mark.parametrize(
    "code",
    ["53100", "53300", "57P01", "57P03", "57014", "55P03", "40001", "40P01", "25006", "42P01"],
)
def test_weather_is_not(code: str) -> None:
    """A full disk, too many connections, a shutdown, a start, a timeout, a lock, a conflict."""
    assert not blames_batch(psycopg.errors.lookup(code)(), 100)


def test_running_out_of_memory_is_only_as_long_as_there_is_something_to_halve() -> None:
    assert blames_batch(psycopg.errors.OutOfMemory(), 2)
    assert not blames_batch(psycopg.errors.OutOfMemory(), 1)
