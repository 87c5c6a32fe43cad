"""The values of a plan's file: amounts, counts, percentages, names; each bounded, each with the place that it is at."""

import re
from collections.abc import Collection, Mapping
from decimal import Decimal
from typing import Final, cast
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from spanmeter.metering.billable_conditions import RulesError
from spanmeter.metering.prices import BadPrice, Price, decimal
from spanmeter.metering.reading import shown

NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
UNIT: Final = re.compile(r"[A-Za-z0-9_.-]{1,128}")
CURRENCY: Final = re.compile(r"[A-Z]{3}")
_COUNT: Final = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,15})?)([kKmMgG]?)")
_SCALES: Final = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9}
_PERCENT: Final = re.compile(r"(-?[0-9]{1,6}(?:\.[0-9]{1,12})?) ?%?")


class PlanError(RulesError):
    """A plan or a grant that cannot be used; the message names the place and the key."""


def table(value: object, where: str, keys: Collection[str]) -> Mapping[str, object]:
    """A table that has no other keys than these."""
    if not isinstance(value, dict):
        raise PlanError(f"{where} is no table")
    found = cast("dict[str, object]", value)
    if unknown := sorted(found.keys() - {*keys}):
        raise PlanError(f"{where}, {unknown[0]}: there is no such key; there are {', '.join(keys)}")
    return found


def name(value: object, where: str) -> str:
    """A name of a plan, a charge, a grant."""
    if not isinstance(value, str) or NAME.fullmatch(value) is None:
        raise PlanError(f"{where}: it must be up to 64 of a-z, 0-9, - and _")
    return value


def unit(value: object, where: str) -> str:
    """The name of a unit."""
    if not isinstance(value, str) or UNIT.fullmatch(value) is None:
        raise PlanError(f"{where}: it must name a unit: input_tokens, requests, images ...")
    return value


def currency(value: object, where: str) -> str:
    """A currency, ISO 4217."""
    if not isinstance(value, str) or CURRENCY.fullmatch(value) is None:
        raise PlanError(f"{where}: it must be a currency: USD, EUR ...")
    return value


def amount(value: object, where: str) -> Decimal:
    """An amount of money, exactly as it is written, 0 or more."""
    try:
        return decimal(value)
    except BadPrice as error:
        raise PlanError(f"{where}: {error}") from None


def count(value: object, where: str) -> Decimal:
    """A count of units: 500, "1M", "2.5k"."""
    found = None if isinstance(value, bool) else _COUNT.fullmatch(str(value))
    if found is None:
        raise PlanError(f'{where}: {shown(str(value))} is no count; write 500, "250k", "1.5M"')
    return Decimal(found[1]) * _SCALES[found[2].lower()]


def percentage(value: object, where: str) -> Decimal:
    """A percentage as a part of one: "30%" is 0.30."""
    found = None if isinstance(value, bool) else _PERCENT.fullmatch(str(value))
    if found is None:
        raise PlanError(f'{where}: {shown(str(value))} is no percentage; write "30%"')
    return Decimal(found[1]) / 100


def price(value: object, unit: str, where: str) -> Price:
    """The price of a unit: "3.00/1M", 0.04, or by the input of each call "1.25/1M,>200k:2.50"."""
    try:
        return Price.parsed(str(value), "all_tokens" if unit == "tokens" else unit)
    except BadPrice as error:
        raise PlanError(f"{where}: {error}") from None


def granted(value: object, where: str) -> tuple[Decimal, str]:
    """What a grant gives: "25 USD", "1M tokens"."""
    number, _, of = str(value).strip().partition(" ")
    if not number or not of:
        raise PlanError(
            f'{where}: {shown(str(value))} is no grant; write "25 USD" or "1M input_tokens"'
        )
    if CURRENCY.fullmatch(of):
        return amount(number, where), of
    return count(number, where), unit(of, where)


def zone(value: object, where: str) -> str:
    """A time zone of the IANA's: Europe/Berlin."""
    try:
        return ZoneInfo(str(value)).key
    except (ValueError, OSError, ZoneInfoNotFoundError):
        raise PlanError(
            f"{where}: {shown(str(value))} is no time zone known here; write Europe/Berlin"
        ) from None
