"""A table of a TOML file that is read key by key, so that what nobody reads is told."""

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any, TypeVar, cast

from spanmeter.console.periods import duration
from spanmeter.console.usage import dimensions

Value = TypeVar("Value")
Default = TypeVar("Default")


class Table:
    """One table, named `where` in what goes wrong: a `ValueError`."""

    def __init__(self, value: object, where: str) -> None:
        if not isinstance(value, dict):
            raise ValueError(f"{where} is no table")
        self._left = dict(cast("dict[str, Any]", value))
        self._where = where

    def take(self, key: str, read: Callable[[Any], Value], default: Default) -> Value | Default:
        """The value of a key, as it is read; the default where there is none."""
        return self._read(key, read) if key in self._left else default

    def need(self, key: str, read: Callable[[Any], Value]) -> Value:
        """The value of a key, as it is read."""
        if key not in self._left:
            raise ValueError(f"{self._where} lacks {key}")
        return self._read(key, read)

    def refuse_others(self) -> None:
        """There is nothing but what was read."""
        if self._left:
            raise ValueError(f"{self._where} has no use for {', '.join(sorted(self._left))}")

    def _read(self, key: str, read: Callable[[Any], Value]) -> Value:
        try:
            return read(self._left.pop(key))
        except ValueError as error:
            raise ValueError(f"{self._where}: {key} {error}") from error


def text(value: object) -> str:
    """A text that is not empty."""
    if not isinstance(value, str) or not value.strip():
        raise ValueError("is no text")
    return value


def listed(value: object) -> Sequence[Any]:
    """A list."""
    if not isinstance(value, list):
        raise ValueError("is no list")
    return cast("Sequence[Any]", value)


def dimension(name: str) -> str:
    """The ledger's name of a dimension, as people type it."""
    if name == "currency":
        return name
    (found,) = dimensions(name) or [name]
    return found


def names(value: object) -> list[str]:
    """A list of dimensions."""
    return [dimension(text(each)) for each in listed(value)]


def number(value: object) -> Decimal:
    """A number above 0, exactly."""
    try:
        found = Decimal(value) if isinstance(value, int | str | Decimal) else Decimal()
    except InvalidOperation:
        found = Decimal()
    if isinstance(value, bool) or not found.is_finite() or found <= 0:
        raise ValueError(f"is {value!r}, which is no number above 0")
    return found


def truth(value: object) -> bool:
    """true or false."""
    if not isinstance(value, bool):
        raise ValueError("is neither true nor false")
    return value


def length(value: object) -> timedelta:
    """A length of time: `30m`, `24h`, `7d`."""
    try:
        return duration(text(value))
    except ValueError as error:
        raise ValueError(f"is wrong: {error}") from error


def moment(value: object) -> datetime:
    """A day, from its start in UTC, or a moment."""
    if isinstance(value, datetime):
        return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day, tzinfo=UTC)
    raise ValueError("is no day such as 2026-11-01")


def one_of(*choices: str) -> Callable[[object], str]:
    """One of some words."""

    def read(value: object) -> str:
        if value not in choices:
            raise ValueError(f"is {value!r}; there are {', '.join(choices)}")
        return str(value)

    return read
