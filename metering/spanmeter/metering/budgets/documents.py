"""Budgets as people write them, in TOML, and as they are stored, in JSON: the same members.

[budgets.acme-monthly]
scope = { tenant = "acme" }
limit = "500"
action = "clamp"

[timezones]
acme = "Europe/Berlin"
"""

import tomllib
from collections.abc import Callable, Mapping
from datetime import timedelta
from decimal import Decimal, InvalidOperation
from typing import Any, Final, NamedTuple, cast

from spanmeter.metering.budgets.budget import Budget, BudgetError, FallbackRate
from spanmeter.metering.budgets.scopes import dimension_named
from spanmeter.metering.budgets.windows import Window, zone_named

MAX_BYTES: Final = 4 * 1024 * 1024
"""Of a file."""

REFUSE: Final = "refuse"
"""As `unpriced`: calls of a model without a rate are refused."""

_UNPRICED: Final = {
    "input_per_million": "input",
    "output_per_million": "output",
    "per_request": "request",
}


class BudgetFile(NamedTuple):
    """What a file lays down: budgets by name, and the time zones of tenants."""

    budgets: Mapping[str, Budget]
    timezones: Mapping[str, str]


def read_file(text: str) -> BudgetFile:
    """What the file says. Raises BudgetError."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BudgetError(f"it is no TOML: {error}") from None
    if further := document.keys() - {"budgets", "timezones"}:
        raise BudgetError(f"it has {min(further)!r}; only [budgets.NAME] and [timezones] are known")
    budgets = _table(document.get("budgets", {}), "budgets")
    zones = _table(document.get("timezones", {}), "timezones")
    return BudgetFile(
        {name: read_budget(name, _table(each, name)) for name, each in budgets.items()},
        {tenant: _zone(tenant, zone) for tenant, zone in zones.items()},
    )


def read_budget(name: str, members: Mapping[str, Any]) -> Budget:
    """The budget of a name. Raises BudgetError for what is missing, unknown, or none of its kind."""
    given: dict[str, Any] = {"name": name}
    for member, value in members.items():
        if member not in _READ:
            raise BudgetError(f"budget {name!r}: {member!r} is none of {', '.join(_READ)}")
        try:
            given[member] = _READ[member](value)
        except (TypeError, ValueError, ArithmeticError) as error:
            raise BudgetError(f"budget {name!r}: {member} is {value!r}: {error}") from None
    if lacking := {"scope", "limit"} - given.keys():
        raise BudgetError(f"budget {name!r} has no {min(lacking)}")
    return Budget(**given)


def as_document(budget: Budget) -> dict[str, Any]:
    """The members of a budget, all of them, as `read_budget` takes them."""
    rate = budget.unpriced
    return {
        "scope": dict(budget.scope),
        "metric": budget.metric,
        "limit": f"{budget.limit:f}",
        "currency": budget.currency,
        "window": budget.window.name,
        "timezone": budget.timezone,
        "thresholds": [f"{each:f}" for each in budget.thresholds],
        "action": budget.action,
        "fail": budget.fail,
        "per_request": None if budget.per_request is None else f"{budget.per_request:f}",
        "unpriced": REFUSE
        if rate is None
        else {name: f"{getattr(rate, member):f}" for name, member in _UNPRICED.items()},
        "output_tokens": budget.output_tokens,
        "max_wait": budget.max_wait.total_seconds(),
        "least_output": budget.least_output,
        "models": dict(budget.models),
    }


def decimal(value: object) -> Decimal:
    """An exact number, written as text or as a whole number. Raises ValueError."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise ValueError("an exact number is written as text or as a whole number")
    try:
        number = Decimal(value)
    except InvalidOperation:
        raise ValueError("that is no number") from None
    if not number.is_finite() or len(number.as_tuple().digits) > 60:
        raise ValueError("that is no number with up to 60 digits")
    return number


def _scope(value: object) -> dict[str, str]:
    return {dimension_named(name): _text(each) for name, each in _table(value, "scope").items()}


def _unpriced(value: object) -> FallbackRate | None:
    if value == REFUSE:
        return None
    table = _table(value, "unpriced")
    if further := table.keys() - _UNPRICED.keys():
        raise ValueError(f"{min(further)!r} is none of {', '.join(_UNPRICED)}")
    return FallbackRate(**{_UNPRICED[name]: decimal(each) for name, each in table.items()})


def _thresholds(value: object) -> tuple[Decimal, ...]:
    if not isinstance(value, list):
        raise TypeError("it is a list of percentages")
    return tuple(decimal(each) for each in cast("list[object]", value))


def _models(value: object) -> dict[str, str]:
    return {model: _text(each) for model, each in _table(value, "models").items()}


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("it is text")
    return value


def _whole(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError("it is a whole number")
    return value


def _seconds(value: object) -> timedelta:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError("it is a number of seconds")
    return timedelta(seconds=value)


def _table(value: object, name: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise BudgetError(f"{name!r} is no table")
    return cast("dict[str, Any]", value)


def _zone(tenant: str, zone: object) -> str:
    try:
        return zone_named(_text(zone)).key
    except (TypeError, ValueError) as error:
        raise BudgetError(f"the time zone of {tenant!r}: {error}") from None


_READ: Final[Mapping[str, Callable[[Any], object]]] = {
    "scope": _scope,
    "metric": _text,
    "limit": decimal,
    "currency": _text,
    "window": lambda value: Window.named(_text(value)),
    "timezone": _text,
    "thresholds": _thresholds,
    "action": _text,
    "fail": _text,
    "per_request": lambda value: None if value is None else decimal(value),
    "unpriced": _unpriced,
    "output_tokens": _whole,
    "max_wait": _seconds,
    "least_output": _whole,
    "models": _models,
}
