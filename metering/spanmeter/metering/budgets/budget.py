"""The definition of a budget, and what makes one valid."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import Final, Literal, NamedTuple, get_args

from spanmeter.metering.budgets.scopes import MAX_DIMENSIONS, MAX_VALUE, dimension_named
from spanmeter.metering.budgets.windows import MONTH, Window, zone_named

Action = Literal["notify", "throttle", "clamp", "downgrade", "approve", "block"]
Fail = Literal["open", "closed"]

ACTIONS: Final[tuple[str, ...]] = get_args(Action)
COST: Final = "cost"
PRICE: Final = "price"
"""As a metric: what tenants are charged."""

METRICS: Final = (COST, PRICE, "tokens", "input_tokens", "output_tokens", "requests")
UNIT: Final = "unit:"
"""Before the name of a unit, as a metric: `unit:web_searches`."""

OF_TENANT: Final = "tenant"
"""As a time zone: the one of the tenant of the counter."""

NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
CURRENCY: Final = re.compile(r"[A-Z]{3}")
MAX_LIMIT: Final = Decimal(10) ** 15
MAX_THRESHOLDS: Final = 16
MAX_WAIT: Final = timedelta(minutes=5)
MAX_MODELS: Final = 64
MAX_OUTPUT: Final = 10_000_000


class BudgetError(ValueError):
    """No budget can be like that; the text names what is wrong."""


class FallbackRate(NamedTuple):
    """What stands in for the cost of a model that has no rate: per million tokens, and per request."""

    input: Decimal = Decimal(15)
    output: Decimal = Decimal(75)
    request: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """A limit on a scope and window. Amounts are exact, in `currency` for cost and price, else in the metric's unit.

    Raises BudgetError for what can be no budget.
    """

    name: str
    scope: Mapping[str, str]
    limit: Decimal
    metric: str = COST
    currency: str = "USD"
    window: Window = MONTH
    timezone: str = "UTC"
    """An IANA name, or `tenant`."""
    thresholds: tuple[Decimal, ...] = (Decimal(50), Decimal(80), Decimal(100))
    """Per cent of the limit that are told of once a window."""
    action: Action = "block"
    """What becomes of a call that does not fit."""
    fail: Fail = "open"
    """What becomes of calls while nobody can be asked whether they fit."""
    per_request: Decimal | None = None
    """The most that one call may be estimated at."""
    unpriced: FallbackRate | None = field(default_factory=FallbackRate)
    """What a model without a rate counts as; None: its calls are refused."""
    output_tokens: int = 4096
    """What is reserved for the output of a call that does not bound it."""
    max_wait: timedelta = timedelta(seconds=30)
    """How long `throttle` holds a call, before it is refused."""
    least_output: int = 256
    """The least that `clamp` leaves of a call's output, in tokens; with less it is refused."""
    models: Mapping[str, str] = field(default_factory=dict[str, str])
    """Of `downgrade`: the cheaper model in place of each."""

    def __post_init__(self) -> None:
        for valid, told in self._conditions():
            if not valid:
                raise BudgetError(f"budget {self.name!r}: {told}")
        try:
            if self.timezone != OF_TENANT:
                zone_named(self.timezone)
            for name in self.scope:
                if dimension_named(name) != name:
                    raise ValueError(f"{name!r} has to be written {dimension_named(name)}")
        except ValueError as error:
            raise BudgetError(f"budget {self.name!r}: {error}") from None

    @property
    def is_of_money(self) -> bool:
        """Whether amounts are of its currency."""
        return self.metric in {COST, PRICE}

    def _conditions(self) -> tuple[tuple[bool, str], ...]:
        return (
            (
                NAME.fullmatch(self.name) is not None,
                "a name has up to 64 of a-z, 0-9, dot, dash and underscore",
            ),
            (
                len(self.scope) <= MAX_DIMENSIONS
                and all(0 < len(value) <= MAX_VALUE for value in self.scope.values()),
                f"a scope has up to {MAX_DIMENSIONS} dimensions, each value up to {MAX_VALUE} characters",
            ),
            (
                self.metric in METRICS or (self.metric.startswith(UNIT) and self.metric != UNIT),
                f"metric {self.metric!r} is none of {', '.join(METRICS)} and {UNIT}NAME",
            ),
            (_is_amount(self.limit), "limit is no amount from 0 on"),
            (
                self.per_request is None or _is_amount(self.per_request),
                "per_request is no amount from 0 on",
            ),
            (CURRENCY.fullmatch(self.currency) is not None, "currency is no code such as USD"),
            (
                len(self.thresholds) <= MAX_THRESHOLDS
                and all(each.is_finite() and 0 < each <= 1000 for each in self.thresholds),
                f"thresholds are up to {MAX_THRESHOLDS} percentages above 0 and up to 1000",
            ),
            (self.action in ACTIONS, f"action {self.action!r} is none of {', '.join(ACTIONS)}"),
            (self.fail in get_args(Fail), f"fail {self.fail!r} is neither open nor closed"),
            (
                self.unpriced is None or all(map(_is_amount, self.unpriced)),
                "the rates of what is unpriced are amounts from 0 on",
            ),
            (
                0 < self.output_tokens <= MAX_OUTPUT and 0 < self.least_output <= MAX_OUTPUT,
                "output_tokens and least_output are numbers of tokens",
            ),
            (timedelta() < self.max_wait <= MAX_WAIT, "max_wait is more than 0 and up to 300 s"),
            (
                self.action != "downgrade" or 0 < len(self.models) <= MAX_MODELS,
                f"downgrade needs `models`, up to {MAX_MODELS}: which one in place of which",
            ),
        )


def _is_amount(value: Decimal) -> bool:
    return value.is_finite() and 0 <= value <= MAX_LIMIT
