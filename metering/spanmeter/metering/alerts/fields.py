"""Tables of TOML read into the fields of a dataclass, each by its type; every error names the key."""

import types
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields
from decimal import Decimal
from typing import Any, Final, Literal, TypeVar, cast, get_args, get_origin, get_type_hints

from spanmeter.metering.reading import shown

T = TypeVar("T")

_LONGEST: Final = 1000
"""Characters of a text."""

_MOST: Final = 100
"""Texts in a list."""

_LARGEST: Final = Decimal(10**12)


class AlertRulesError(ValueError):
    """The rules of alerts cannot be used; the message names the table and the key."""


def read_fields(kind: type[T], table: Mapping[str, object], where: str, **given: object) -> T:
    """One of `kind` with what the table says; `given` are fields that it cannot say. Raises `AlertRulesError`."""
    hints = get_type_hints(kind)
    known = [each for each in fields(cast("Any", kind)) if each.name not in given]
    names = [each.name for each in known]
    for key in table:
        if key not in names:
            raise AlertRulesError(
                f"{where}, {key}: it is no key here; there are {', '.join(names)}"
            )
    for each in known:
        if each.name not in table and each.default is MISSING:
            raise AlertRulesError(f"{where}, {each.name}: it is missing")
    read = {key: _read(hints[key], value, f"{where}, {key}") for key, value in table.items()}
    return kind(**{**read, **given})


def _read(hint: object, value: object, where: str) -> object:
    if get_origin(hint) is Literal:
        return _one_of(value, get_args(hint), where)
    if get_origin(hint) is types.UnionType:
        (hint,) = (each for each in get_args(hint) if each is not type(None))
    return _PARSERS["list" if get_origin(hint) is tuple else cast("type", hint).__name__](
        value, where
    )


def _text(value: object, where: str) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= _LONGEST or not value.isprintable():
        raise AlertRulesError(f"{where}: it must be text of one line")
    return value


def _texts(value: object, where: str) -> tuple[str, ...]:
    listed = cast("list[object]", value) if isinstance(value, list) else None
    if listed is None or len(listed) > _MOST:
        raise AlertRulesError(f"{where}: it must be a list of up to {_MOST} texts")
    return tuple(_text(each, where) for each in listed)


def _flag(value: object, where: str) -> bool:
    if not isinstance(value, bool):
        raise AlertRulesError(f"{where}: it must be true or false")
    return value


def _count(value: object, where: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 1_000_000:
        raise AlertRulesError(f"{where}: it must be a whole number from 1 to 1,000,000")
    return value


def _number(value: object, where: str) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise AlertRulesError(f"{where}: it must be a number above 0")
    try:
        number = Decimal(str(value))
    except ArithmeticError:
        raise AlertRulesError(f"{where}: {shown(value)} is no number") from None
    if not (number.is_finite() and 0 < number <= _LARGEST):
        raise AlertRulesError(f"{where}: it must be a number above 0, and not above {_LARGEST}")
    return number


def _one_of(value: object, choices: tuple[object, ...], where: str) -> object:
    if value not in choices:
        raise AlertRulesError(f"{where}: it must be one of {', '.join(map(str, choices))}")
    return value


_PARSERS: Final[Mapping[str, Callable[[object, str], object]]] = {
    "str": _text,
    "list": _texts,
    "bool": _flag,
    "int": _count,
    "Decimal": _number,
}
