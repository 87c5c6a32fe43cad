"""Which usage a charge or a grant is for: the conditions of `when`, over the columns of the ledger.

    when = { model = { glob = "gpt-4o*" }, feature = ["chat", "search"], dimensions = { region = "eu" } }

The conditions are those of billable rules.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final, NamedTuple, cast

from spanmeter.metering.billable_conditions import Condition, RulesError, condition
from spanmeter.metering.billable_facts import DIMENSIONS, FACTS, dimension

OWN: Final = "dimension:"
"""Before the name of a dimension of the application's own."""

_LONG: Final = {
    "tenant": "tenant_id",
    "workspace": "workspace_id",
    "project": "project_id",
    "user": "user_id",
    "service": "service_name",
}
_NOT_IN_LEDGER: Final = frozenset({"error_type", "produced_output", "usage_source"})

COLUMNS: Final[Mapping[str, str]] = {
    name: _LONG.get(name, name) for name in FACTS if name not in _NOT_IN_LEDGER
}
"""What `when` can ask for, and the column of the ledger that has it; `dimensions` beside them."""


class Selection(NamedTuple):
    """All of these conditions hold of the values of these columns; without any, always.

    `wanted` is `when` as it was written.
    """

    conditions: tuple[tuple[str, Condition], ...] = ()
    wanted: object = None

    @property
    def columns(self) -> Iterable[str]:
        """The columns that it looks at: `model`, `tenant_id`, `dimension:region`."""
        return (column for column, _ in self.conditions)

    def holds(self, values: Mapping[str, object]) -> bool:
        """Whether it is for usage with these values by column; a column that is not there is unknown."""
        return all(holds(values.get(column)) for column, holds in self.conditions)


EVERYTHING: Final = Selection()


def selection(when: object, where: str) -> Selection:
    """What `when` asks for. Raises `RulesError`, which begins with `where`."""
    if when is None:
        return EVERYTHING
    if not isinstance(when, dict):
        raise RulesError(f"{where}, when: it must be a table of conditions")
    return Selection(tuple(_conditions(cast("dict[str, object]", when), where)), when)


def _conditions(when: Mapping[str, object], where: str) -> Iterator[tuple[str, Condition]]:
    for name, wanted in when.items():
        if name == DIMENSIONS:
            yield from _own(wanted, f"{where}, {DIMENSIONS}")
        elif name in COLUMNS:
            yield COLUMNS[name], condition(FACTS[name], wanted, f"{where}, {name}")
        else:
            known = ", ".join([*COLUMNS, f"{DIMENSIONS}.NAME"])
            raise RulesError(f"{where}, {name}: nothing is known by that name; there are {known}")


def _own(wanted: object, where: str) -> Iterator[tuple[str, Condition]]:
    if not isinstance(wanted, dict) or not wanted:
        raise RulesError(f"{where}: it must be a table of dimensions by name")
    for name, inner in cast("dict[str, object]", wanted).items():
        yield f"{OWN}{name}", condition(dimension(name), inner, f"{where}.{name}")
