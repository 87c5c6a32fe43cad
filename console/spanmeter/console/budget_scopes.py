"""What a counter of a budget is for, by the short names that people give dimensions."""

from collections.abc import Mapping
from typing import Final

from spanmeter.metering.budgets.scopes import EACH, SHORT_NAMES, values_of
from spanmeter.storage.budget_standing import Standing

_SHORT: Final = {name: short for short, name in SHORT_NAMES.items()}


def short_scope(scope: Mapping[str, str], counter: str) -> dict[str, str]:
    """The dimensions of a scope, each with the counter's own value where it has one for each."""
    values = values_of(counter)
    return {
        _SHORT.get(name, name): values.get(name, value) if value == EACH else value
        for name, value in scope.items()
    }


def scope_of(standing: Standing) -> dict[str, str]:
    """What the counter counts: `{"tenant": "acme"}`; of everything, nothing."""
    return short_scope(standing.budget.scope, standing.counter)
