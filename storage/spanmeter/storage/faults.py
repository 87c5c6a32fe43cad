"""Whose fault an error is: a row's, a passing conflict's, or the weather's."""

from typing import Final

import psycopg
from psycopg import errors

from spanmeter.storage.connection import Connection, summary

DRIVER_ERRORS: Final = (TypeError, ValueError, ArithmeticError)
"""What the driver raises for a value without a binary form, such as a lone surrogate or 2**63."""

# SQLSTATE classes that speak of a value: data exception, constraint violation, limit exceeded; and what an operator's
# own trigger raises.
_ROW_CLASSES: Final = ("22", "23", "54", "P0001")


class BatchRefused(Exception):
    """Some row of a batch cannot be stored, or not with the others; the message says why."""

    def __init__(self, error: Exception) -> None:
        if isinstance(error, psycopg.Error):
            super().__init__(summary(error))
        else:
            super().__init__(f"{type(error).__name__}: {error}")


def blames_batch(error: psycopg.Error, size: int) -> bool:
    """Return whether `size` rows failed for what they hold, so that a part of them may pass."""
    if isinstance(error, errors.OutOfMemory):
        # Each chunk takes locks: rows of a thousand weeks need more than one transaction.
        return size > 1
    if error.sqlstate is None:
        return isinstance(error, psycopg.DataError)
    return error.sqlstate.startswith(_ROW_CLASSES)


def passes_on_retry(error: psycopg.Error, connection: Connection) -> bool:
    """Return whether the same transaction may pass at once: it lost a conflict, or the line."""
    lost = isinstance(error, errors.SerializationFailure | errors.DeadlockDetected)
    return lost or connection.broken
