"""What calls cost and are charged at, as the collector says: for each model that is asked for."""

import threading
import time
from collections.abc import Mapping
from math import ceil
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from spanmeter.instrumentation.budgets.amounts import rounded_up

LONG_FROM: Final = 128_000
"""Tokens of input from which the rates of long prompts are reckoned with."""

REQUESTS: Final = "requests"
"""As a unit: what one request costs beside all that it uses."""

KEPT: Final = 300.0
"""Seconds."""

MAX_MODELS: Final = 4096
MAX_WANTED: Final = 256
"""Asked for at a time."""


NO_UNITS: Final[Mapping[str, int]] = MappingProxyType({})

Model = tuple[str, str, str, str | None]
"""Provider, operation, model as it is asked for, and for whom: a tenant may have rates of its own."""


class Rates(NamedTuple):
    """Per token, and per unit of anything else; `currency` None: the model has no rate."""

    input: int = 0
    output: int = 0
    long_input: int = 0
    long_output: int = 0
    currency: str | None = None
    units: Mapping[str, int] = NO_UNITS

    def cost(self, taken_in: int, made: int, units: Mapping[str, float] = NO_UNITS) -> int:
        """What so many tokens cost, with the request itself and what else it used."""
        fixed = self.of_units(units) if self.units else 0
        if taken_in < LONG_FROM:
            return fixed + taken_in * self.input + made * self.output
        long_input, long_output = (
            max(self.input, self.long_input),
            max(self.output, self.long_output),
        )
        return fixed + taken_in * long_input + made * long_output

    def of_units(self, units: Mapping[str, float]) -> int:
        """What one request costs, and other units. What has a price of its own, `images.1024x1024.hd`, is not charged
        with its whole, `images`, too."""
        due = self.units.get(REQUESTS, 0)
        for unit, amount in units.items():
            parts = [each for each in units if each in self.units and each.startswith(f"{unit}.")]
            own = amount - sum(units[each] for each in parts)
            due += ceil(own * self.units.get(unit, 0))
        return due

    def affordable(self, amount: int, taken_in: int, units: Mapping[str, float] = NO_UNITS) -> int:
        """How many tokens of output an amount is enough for, beside so many of input."""
        output = self.output if taken_in < LONG_FROM else max(self.output, self.long_output)
        return (amount - self.cost(taken_in, 0, units)) // output if output else 0


class Charged(NamedTuple):
    """The rates of a model: what it costs, and what the tenant is charged, where that was told."""

    cost: Rates
    price: Rates | None


class KnownRates:
    """The rates that are known, and those that are to be asked for."""

    def __init__(self) -> None:
        self._known: dict[Model, tuple[float, Charged]] = {}
        self._wanted: dict[Model, None] = {}
        self._lock = threading.Lock()

    def of(self, model: Model, metric: str) -> Rates | None:
        """Those of a metric, `cost` or `price`. None: they are to be asked for, and will be."""
        known = self._known.get(model)
        rates = None
        if known is not None:
            rates = known[1].price if metric == "price" else known[1].cost
        if known is None or rates is None or time.monotonic() - known[0] > KEPT:
            # Those that are known hold until there are others.
            with self._lock:
                self._wanted[model] = None
        return rates

    def wanted(self) -> list[Model]:
        """Those to ask for."""
        with self._lock:
            return list(self._wanted)[:MAX_WANTED]

    def told(self, rates: list[Mapping[str, Any]]) -> None:
        """Takes over what the collector says."""
        now = time.monotonic()
        with self._lock:
            if len(self._known) > MAX_MODELS:
                self._known.clear()
            for each in rates:
                provider, operation, name, tenant = each["model"]
                model = (provider, operation, name, tenant)
                charged = Charged(
                    _rates(each["cost"]), _rates(each["price"]) if "price" in each else None
                )
                self._known[model] = (now, charged)
                self._wanted.pop(model, None)


def _rates(told: Mapping[str, Any] | None) -> Rates:
    if told is None:
        return Rates()
    units = {unit: rounded_up(each) for unit, each in told["units"].items()}
    taken_in, made, long_in, long_made = map(rounded_up, told["tokens"])
    return Rates(taken_in, made, long_in, long_made, told["currency"], units)
