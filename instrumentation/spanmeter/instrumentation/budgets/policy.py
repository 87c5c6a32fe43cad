"""The budgets that are laid down, as far as the application has to know them, and which a call falls under."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from spanmeter.instrumentation.budgets.amounts import rounded_down, rounded_up
from spanmeter.instrumentation.budgets.rates import REQUESTS, Rates
from spanmeter.metering import attributes as names

EACH: Final = "*"
UNIT: Final = "unit:"
"""Before the name of a unit, as a metric."""

OF_MILLION: Final = 1_000_000
REMEMBERED: Final = 10_000
"""Combinations of dimensions that are remembered with what they fall under."""

OF_REQUEST: Final = (names.PROVIDER_NAME, names.REQUEST_MODEL, names.OPERATION_NAME)
"""Dimensions that are the request's, not the usage context's."""


class Rule(NamedTuple):
    """A budget. `unpriced` are the rates that stand in for those of a model without any; None: it is refused."""

    name: str
    scope: Mapping[str, str]
    metric: str
    currency: str
    action: str
    fails_closed: bool
    per_request: int | None
    unpriced: Rates | None
    output_tokens: int
    max_wait: float
    least_output: int
    models: Mapping[str, str]

    @property
    def costs(self) -> bool:
        """Whether it is of money, so that rates are needed."""
        return self.metric in {"cost", "price"}

    @property
    def unit(self) -> str:
        """What its amounts are of."""
        return self.currency if self.costs else self.metric.removeprefix(UNIT).replace("_", " ")

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> "Rule":
        """A budget as the collector tells of it."""
        per_request, unpriced = told["per_request"], told["unpriced"]
        return cls(
            name=told["name"],
            scope=told["scope"],
            metric=told["metric"],
            currency=told["currency"],
            action=told["action"],
            fails_closed=told["fail"] == "closed",
            per_request=None if per_request is None else rounded_down(per_request),
            unpriced=None if unpriced == "refuse" else _stand_in(unpriced, told),
            output_tokens=int(told["output_tokens"]),
            max_wait=float(told["max_wait"]),
            least_output=int(told["least_output"]),
            models=told["models"],
        )


def _stand_in(unpriced: Mapping[str, str], told: Mapping[str, Any]) -> Rates:
    """The rates of what is unpriced."""
    taken_in, made = (
        -(-rounded_up(unpriced[member]) // OF_MILLION)
        for member in ("input_per_million", "output_per_million")
    )
    units = {REQUESTS: rounded_up(unpriced["per_request"])}
    return Rates(taken_in, made, taken_in, made, told["currency"], units)


class Matched(NamedTuple):
    """A budget that a call falls under, and the counter of it: the values of `*` dimensions, as JSON."""

    rule: Rule
    counter: str
    whose: str


class Policy:
    """All budgets, in a version of theirs."""

    def __init__(self, version: str, rules: Sequence[Rule]) -> None:
        self.version = version
        self.rules: Final = tuple(rules)
        self._by_scope = _Scopes(rules)
        found = {name for rule in rules for name in rule.scope}
        self._of_context: Final = tuple(sorted(found.difference(OF_REQUEST)))
        self._known: dict[tuple[str | None, ...], tuple[Matched, ...]] = {}

    def of(
        self, identity: Mapping[str, str], provider: str | None, model: str | None, operation: str
    ) -> tuple[Matched, ...]:
        """The budgets that a call falls under."""
        key = (*map(identity.get, self._of_context), provider, model, operation)
        found = self._known.get(key)
        if found is None:
            of_request = dict(zip(OF_REQUEST, (provider, model, operation), strict=True))
            found = self._by_scope.of({**identity, **of_request})
            if len(self._known) >= REMEMBERED:
                self._known.clear()
            self._known[key] = found
        return found


class _Scopes:
    """Finds the budgets of a call by one look-up for each set of dimensions in use, however many budgets there are."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._shapes: dict[
            tuple[tuple[str, ...], tuple[str, ...]], dict[tuple[str, ...], list[Rule]]
        ] = {}
        for rule in rules:
            exact = tuple(sorted(name for name, value in rule.scope.items() if value != EACH))
            any_ = tuple(sorted(rule.scope.keys() - set(exact)))
            values = tuple(rule.scope[name] for name in exact)
            self._shapes.setdefault((exact, any_), {}).setdefault(values, []).append(rule)

    def of(self, call: Mapping[str, str | None]) -> tuple[Matched, ...]:
        found: list[Matched] = []
        for (exact, any_), by_values in self._shapes.items():
            each = {name: value for name in any_ if (value := call.get(name)) is not None}
            rules = by_values.get(tuple(str(call.get(name)) for name in exact), [])
            if len(each) == len(any_) and all(call.get(name) is not None for name in exact):
                # The form that the collector writes counters in.
                counter = json.dumps(
                    each, sort_keys=True, separators=(",", ":"), ensure_ascii=False
                )
                found += (Matched(rule, counter, _whose(rule, each)) for rule in rules)
        return tuple(found)


def _whose(rule: Rule, each: Mapping[str, str]) -> str:
    return ", ".join(
        f"{name} {each.get(name, value)}" for name, value in sorted(rule.scope.items())
    )
