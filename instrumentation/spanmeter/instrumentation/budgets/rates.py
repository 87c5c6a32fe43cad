"""What tokens cost, as the collector says: for each model that is asked for."""

import threading
import time
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from spanmeter.instrumentation.budgets.amounts import rounded_up

LONG_FROM: Final = 128_000
"""Tokens of input from which the rates of long prompts are reckoned with."""

KEPT: Final = 300.0
"""Seconds."""

MAX_MODELS: Final = 4096
MAX_WANTED: Final = 256
"""Asked for at a time."""


Model = tuple[str, str, str, str | None]
"""Provider, operation, model as it is asked for, and for whom: a tenant may have rates of its own."""


class Rates(NamedTuple):
    """Per token; `currency` None: the model has no rate."""

    input: int = 0
    output: int = 0
    long_input: int = 0
    long_output: int = 0
    currency: str | None = None

    def cost(self, taken_in: int, made: int) -> int:
        """What so many tokens cost."""
        if taken_in < LONG_FROM:
            return taken_in * self.input + made * self.output
        return taken_in * max(self.input, self.long_input) + made * max(
            self.output, self.long_output
        )

    def affordable(self, amount: int, taken_in: int) -> int:
        """How many tokens of output an amount is enough for, beside so many of input."""
        output = self.output if taken_in < LONG_FROM else max(self.output, self.long_output)
        return (amount - self.cost(taken_in, 0)) // output if output else 0


class KnownRates:
    """The rates that are known, and those that are to be asked for."""

    def __init__(self) -> None:
        self._known: dict[Model, tuple[float, Rates]] = {}
        self._wanted: dict[Model, None] = {}
        self._lock = threading.Lock()

    def of(self, model: Model) -> Rates | None:
        """None: they are to be asked for, and will be."""
        known = self._known.get(model)
        if known is None:
            with self._lock:
                self._wanted[model] = None
            return None
        if time.monotonic() - known[0] > KEPT:
            # They hold until there are others.
            with self._lock:
                self._wanted[model] = None
        return known[1]

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
                per_token = each["rates"]
                self._known[model] = (now, _rates(per_token, each["currency"]))
                self._wanted.pop(model, None)


def _rates(per_token: list[str] | None, currency: str | None) -> Rates:
    if per_token is None:
        return Rates()
    taken_in, made, long_in, long_made = map(rounded_up, per_token)
    return Rates(taken_in, made, long_in, long_made, currency)
