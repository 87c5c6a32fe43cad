"""Flags of `spanmeter budget` as members of a budget's definition."""

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from spanmeter.console.failures import UnusableSetting
from spanmeter.metering.budgets.documents import REFUSE, decimal
from spanmeter.metering.budgets.scopes import counter_of, dimension_named

_PERIOD: Final = re.compile(r"(\d{1,5})(m|h|d)")
_UNITS: Final = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}
_RATES: Final = ("input_per_million", "output_per_million", "per_request")
_LONGEST: Final = timedelta(days=3660)


def members_of(given: Mapping[str, Any]) -> dict[str, Any]:
    """What was given, under the names of the definition; what was not is left out. Raises UnusableSetting."""
    members = {name: value for name, value in given.items() if value not in (None, ())}
    if "scope" in members:
        members["scope"] = dict(_pairs("--scope", members["scope"]))
    if "model" in members:
        members["models"] = dict(_pairs("--model", members.pop("model")))
    if "thresholds" in members:
        members["thresholds"] = [each.strip() for each in members["thresholds"].split(",")]
    if members.get("unpriced", REFUSE) != REFUSE:
        members["unpriced"] = dict(zip(_RATES, members["unpriced"].split(","), strict=False))
    return members


def counter_given(of: Iterable[str]) -> str | None:
    """The counter that is named; None: each."""
    try:
        values = {dimension_named(name): value for name, value in _pairs("--of", of)}
    except ValueError as error:
        raise UnusableSetting(f"--of: {error}") from error
    return counter_of(values) if values else None


def amount_of(given: str) -> Decimal:
    """An exact amount. Raises UnusableSetting."""
    try:
        return decimal(given)
    except ValueError as error:
        raise UnusableSetting(f"{given!r} is no amount: {error}") from error


def until(lasting: str) -> datetime:
    """When what begins now ends. Raises UnusableSetting."""
    found = _PERIOD.fullmatch(lasting)
    period = int(found[1]) * _UNITS[found[2]] if found else timedelta()
    if not timedelta() < period <= _LONGEST:
        raise UnusableSetting(f"--for {lasting!r} is no period: 30m, 24h, 7d")
    return datetime.now(UTC) + period


def _pairs(flag: str, given: Iterable[str]) -> list[tuple[str, str]]:
    pairs = [each.partition("=") for each in given]
    for name, equals, value in pairs:
        if not (name and equals and value):
            raise UnusableSetting(f"{flag} {name!r} is no NAME=VALUE")
    return [(name, value) for name, _, value in pairs]
