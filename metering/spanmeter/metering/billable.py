"""Billable state: whether a row is charged to its tenant, and the rule that decided.

The first rule that applies wins. Cost is booked whatever the state: the provider charges for failures too.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Final, NamedTuple

from spanmeter.metering.reading import shown
from spanmeter.metering.unmeterable import Unmeterable
from spanmeter.metering.usage_event import BillableState, Status

NOT_CUSTOMERS: Final = frozenset(
    {"dev", "development", "local", "test", "testing", "ci", "qa", "staging", "demo", "sandbox"}
)
"""Values of `deployment.environment.name` in which no customer works."""


class Facts(NamedTuple):
    """What the rules look at."""

    declared: str | None
    status: Status
    produced_output: bool
    account_type: str | None
    environment: str | None


class Rule(NamedTuple):
    """`state` applies where `applies` says so; `name` goes on the row."""

    name: str
    state: BillableState
    applies: Callable[[Facts], bool]


def _failed(facts: Facts) -> bool:
    return facts.status == "error"


def _no_output(facts: Facts) -> bool:
    return facts.status in {"timeout", "cancelled"} and not facts.produced_output


def _internal(facts: Facts) -> bool:
    return facts.account_type == "internal"


def _environment(facts: Facts) -> bool:
    return facts.environment is not None and facts.environment.lower() in NOT_CUSTOMERS


def _trial(facts: Facts) -> bool:
    return facts.account_type == "trial"


def _free(facts: Facts) -> bool:
    return facts.account_type == "free"


RULES_VERSION: Final = "defaults-1"

RULES: Final[tuple[Rule, ...]] = (
    Rule("failed", "ignored", _failed),
    Rule("no_output", "ignored", _no_output),
    Rule("internal", "ignored", _internal),
    Rule("environment", "ignored", _environment),
    Rule("trial", "included", _trial),
    Rule("free", "included", _free),
)
OTHERWISE: Final[tuple[BillableState, str]] = ("billable", f"{RULES_VERSION}/otherwise")

DECLARED: Final[dict[str, BillableState]] = {
    "billable": "billable",
    "included": "included",
    "ignored": "ignored",
}


@lru_cache(maxsize=1024)
def billable_state(facts: Facts) -> tuple[BillableState, str]:
    """The state and the reason, which names rule set and rule: `("included", "defaults-1/trial")`.

    What the application declares overrides the rules. Raises `Unmeterable` where it declares no
    known state.
    """
    if facts.declared is not None:
        state = DECLARED.get(facts.declared)
        if state is None:
            raise Unmeterable(
                "bad_billable_state",
                f"usage.billable_state is {shown(facts.declared)}; it must be billable, included or "
                "ignored",
            )
        return state, "declared"
    for rule in RULES:
        if rule.applies(facts):
            return rule.state, f"{RULES_VERSION}/{rule.name}"
    return OTHERWISE
