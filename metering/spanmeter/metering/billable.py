"""Billable state: whether a row is charged to its tenant, and the rule that decided.

The first rule that applies wins. Cost is booked whatever the state: the provider charges for failures too.
"""

from collections.abc import Callable, Hashable, Sequence
from typing import Final, NamedTuple

from spanmeter.metering.billable_facts import DECLARED, Facts, telling
from spanmeter.metering.reading import shown
from spanmeter.metering.unmeterable import Unmeterable
from spanmeter.metering.usage_event import BillableState

OTHERWISE: Final = "otherwise"
"""Takes a rule's name where none applies."""

CACHED: Final = 4096
"""Decisions remembered. Bounded, since what they depend on comes from outside."""

STATES: Final[dict[str, BillableState]] = {
    "billable": "billable",
    "included": "included",
    "ignored": "ignored",
}

Decision = tuple[BillableState, str]
"""The state and the reason, which names rule set and rule: `("included", "defaults-1/trial")`."""


class Rule(NamedTuple):
    """`state` applies where every condition holds; `name` goes on the row, `text` says it as it was written.

    `fields` and `dimensions` are what the conditions look at.
    """

    name: str
    state: BillableState
    conditions: tuple[Callable[[Facts], bool], ...]
    text: str
    fields: frozenset[str] = frozenset()
    dimensions: frozenset[str] = frozenset()

    def applies(self, facts: Facts) -> bool:
        """Whether every condition holds."""
        return all(holds(facts) for holds in self.conditions)


class Rules:
    """One version of the rules, in their order; `otherwise` is the state where none applies.

    `text` is the whole as it was written. Made by `read_rules`.
    """

    def __init__(
        self, version: str, rules: Sequence[Rule], otherwise: BillableState, text: str
    ) -> None:
        self.version = version
        self.rules = tuple(rules)
        self.otherwise: BillableState = otherwise
        self.text = text
        self.fields = frozenset[str]().union(*(rule.fields for rule in rules))
        self.dimensions = frozenset[str]().union(*(rule.dimensions for rule in rules))
        self._telling = telling(self.fields, self.dimensions)
        self._decided: dict[Hashable, Decision] = {}

    def decide(self, facts: Facts) -> Decision:
        """The state of a call, and why. What its application declares overrides the rules.

        Raises `Unmeterable` where it declares no known state.
        """
        declared, who, called, outcome, produced_output, source = facts
        who_of, called_of, outcome_of = self._telling
        key = declared, who_of(who), called_of(called), outcome_of(outcome), produced_output, source
        decision = self._decided.get(key)
        if decision is None:
            decision = _declared(declared) or self._ruled(facts)
            if len(self._decided) >= CACHED:
                self._decided.clear()
            self._decided[key] = decision
        return decision

    @property
    def remembered(self) -> int:
        """How many decisions are remembered now."""
        return len(self._decided)

    def rule(self, name: str) -> Rule | None:
        """The rule of this name; `otherwise` is one too."""
        if name == OTHERWISE:
            return Rule(OTHERWISE, self.otherwise, (), f'otherwise = "{self.otherwise}"')
        return next((rule for rule in self.rules if rule.name == name), None)

    def _ruled(self, facts: Facts) -> Decision:
        for rule in self.rules:
            if rule.applies(facts):
                return rule.state, f"{self.version}/{rule.name}"
        return self.otherwise, f"{self.version}/{OTHERWISE}"


def _declared(declared: str | None) -> Decision | None:
    if declared is None:
        return None
    state = STATES.get(declared)
    if state is None:
        raise Unmeterable(
            "bad_billable_state",
            f"usage.billable_state is {shown(declared)}; it must be billable, included or ignored",
        )
    return state, DECLARED
