"""Scopes: what a budget is for, and which budgets a call falls under.

A scope names dimensions. Of `tenant.id = "acme"` there is one counter; of `tenant.id = "*"` one for each tenant. A call
without a value for a dimension of a scope is outside of it.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Final, Generic, NamedTuple, Protocol, TypeVar, cast

from spanmeter.metering import attributes as names

EACH: Final = "*"
"""As a value: one counter for each value that there is."""

SHORT_NAMES: Final[Mapping[str, str]] = {
    "tenant": names.TENANT_ID,
    "workspace": names.WORKSPACE_ID,
    "project": names.PROJECT_ID,
    "user": names.USER_ID,
    "feature": names.USAGE_FEATURE,
    "workflow": names.USAGE_WORKFLOW,
    "action": names.USAGE_ACTION,
    "account_type": names.USAGE_ACCOUNT_TYPE,
    "model": names.REQUEST_MODEL,
    "provider": names.PROVIDER_NAME,
    "operation": names.OPERATION_NAME,
}
"""Dimensions that the ledger has a column of, by the short name that people may give."""

DIMENSIONS: Final = frozenset(SHORT_NAMES.values())

MAX_DIMENSIONS: Final = 8
MAX_VALUE: Final = 256
"""Characters."""


def dimension_named(given: str) -> str:
    """The attribute of a dimension: of `tenant`, of `tenant.id`, or of an own one, `usage.dimension.region`. Raises
    ValueError."""
    name = SHORT_NAMES.get(given, given)
    own = name.removeprefix(names.USAGE_DIMENSION_PREFIX)
    if name in DIMENSIONS or (own != name and 0 < len(own) <= MAX_VALUE):
        return name
    raise ValueError(
        f"{given!r} is no dimension: {', '.join(SHORT_NAMES)}, or {names.USAGE_DIMENSION_PREFIX}NAME"
    )


def counter_of(values: Mapping[str, str]) -> str:
    """A counter of a scope, by the values of the dimensions that it has one for each of: JSON, always the same."""
    return json.dumps(values, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def values_of(counter: str) -> dict[str, str]:
    """What `counter_of` was given. Raises ValueError for what it has not made."""
    document = json.loads(counter)
    values = cast("dict[str, object]", document) if isinstance(document, dict) else {"": None}
    texts = {name: value for name, value in values.items() if isinstance(value, str)}
    if len(texts) < len(values):
        raise ValueError("a counter is a JSON object of texts")
    return texts


class Scoped(Protocol):
    """What has a scope."""

    @property
    def scope(self) -> Mapping[str, str]: ...


T = TypeVar("T", bound=Scoped)


class _Shape(NamedTuple):
    """Which dimensions have to have which value, and which any."""

    exact: tuple[str, ...]
    any: tuple[str, ...]


class Scopes(Generic[T]):
    """Finds what a call falls under, however many there are: one look-up for each set of dimensions in use."""

    def __init__(self, scoped: Iterable[T]) -> None:
        self._by_shape: dict[_Shape, dict[tuple[str, ...], list[T]]] = {}
        for each in scoped:
            shape = _shape(each.scope)
            values = tuple(each.scope[name] for name in shape.exact)
            self._by_shape.setdefault(shape, {}).setdefault(values, []).append(each)
        self.dimensions: tuple[str, ...] = tuple(
            sorted({name for shape in self._by_shape for name in shape.exact + shape.any})
        )
        """All that matters of a call."""

    def of(self, call: Mapping[str, str | None]) -> list[tuple[T, str]]:
        """Those that a call with these dimensions falls under, each with the counter."""
        found: list[tuple[T, str]] = []
        for shape, by_values in self._by_shape.items():
            each = {name: value for name in shape.any if (value := call.get(name)) is not None}
            exact = [call.get(name) for name in shape.exact]
            if len(each) < len(shape.any) or None in exact:
                continue
            matched = by_values.get(tuple(map(str, exact)))
            if matched:
                counter = counter_of(each)
                found += ((scoped, counter) for scoped in matched)
        return found


def _shape(scope: Mapping[str, str]) -> _Shape:
    exact = sorted(name for name, value in scope.items() if value != EACH)
    return _Shape(tuple(exact), tuple(sorted(scope.keys() - exact)))
