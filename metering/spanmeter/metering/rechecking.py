"""A booked row, computed again from what it says: its cost at the rate it names, its state by the rule it names."""

from decimal import Decimal
from typing import Any, Final, NamedTuple, Protocol

from spanmeter.metering.billable import Rule, Rules
from spanmeter.metering.billable_facts import DECLARED, facts_of
from spanmeter.metering.call_cost import FREE_RULE, NOTHING, REFUSED_RULE
from spanmeter.metering.costing import UNPRICED, Cost, cost_of, priced_quantities
from spanmeter.metering.rates import Rates, UnknownRate
from spanmeter.metering.same_call import RULE as DUPLICATE_RULE
from spanmeter.metering.tokens import Tokens
from spanmeter.metering.unit_rates import Rate
from spanmeter.metering.usage_event import UsageEvent

CHARGES_NOTHING: Final = {
    REFUSED_RULE: "a request that the provider refuses costs nothing",
    FREE_RULE: "the provider charges nothing for this operation",
    DUPLICATE_RULE: "another row counts this call",
}
"""What stands on a row in a rate's place, and what it says."""

_TOKENS: Final = slice(
    UsageEvent._fields.index(Tokens._fields[0]),
    UsageEvent._fields.index(Tokens._fields[0]) + len(Tokens._fields),
)


class RulesByVersion(Protocol):
    """Every version of the billable rules that a row may name."""

    def named(self, version: str) -> Rules | None: ...


class Recheck(NamedTuple):
    """A row computed again: its cost with the lines it is the sum of, by `rate`; the `rule` that decides its state.

    `rate` is None where none made the cost, `rule` where none decided. `differences` say, each in a sentence, what of
    the row does not agree.
    """

    cost: Cost
    rate: Rate | None
    rule: Rule | None
    differences: tuple[str, ...]


def recheck(event: UsageEvent, rates: Rates, rules: RulesByVersion) -> Recheck:
    """Compute a booked row again, by the very rate and the very rules that it names.

    Raises RulesError where this release cannot read those.
    """
    cost, rate, wrong_cost = _recost(event, rates)
    rule, wrong_state = _redecide(event, rules)
    return Recheck(cost, rate, rule, (*wrong_cost, *wrong_state))


def _recost(event: UsageEvent, rates: Rates) -> tuple[Cost, Rate | None, list[str]]:
    named = event.rate_version
    if named is None:
        return UNPRICED, None, _differences(event, UNPRICED)
    if named in CHARGES_NOTHING:
        return NOTHING, None, _differences(event, NOTHING)
    try:
        rate = rates.rate_named(
            named, provider=event.provider, service_tier=event.service_tier, at=event.time
        )
    except UnknownRate:
        return UNPRICED, None, [f"it names the rate {named}, which no rate card has"]
    cost = cost_of(_quantities(event), rate)
    wrong = _differences(event, cost)
    if rate.currency != event.currency:
        wrong.append(f"its cost is in {event.currency}, and its rate in {rate.currency}")
    return cost, rate, wrong


def _quantities(event: UsageEvent) -> dict[str, int | Decimal]:
    values: tuple[Any, ...] = event
    others = {unit: Decimal(amount) for unit, amount in event.quantities.items()}
    return priced_quantities(Tokens._make(values[_TOKENS]), others)


def _differences(event: UsageEvent, cost: Cost) -> list[str]:
    wrong: list[str] = []
    if event.cost != cost.amount:
        wrong.append(
            f"its cost is {_amount(event.cost)}, and computed again {_amount(cost.amount)}"
        )
    elif _coarse(event.cost_quality) != _coarse(cost.quality):
        wrong.append(f"its cost quality is {event.cost_quality}, and computed again {cost.quality}")
    return wrong


def _coarse(quality: str) -> str:
    """Whether a rate stands in for another is known only where it is chosen, and changes no amount."""
    return "exact" if quality == "fallback" else quality


def _redecide(event: UsageEvent, rules: RulesByVersion) -> tuple[Rule | None, list[str]]:
    state, reason = event.billable_state, event.billable_reason
    if reason == DECLARED:
        return None, []
    if reason == DUPLICATE_RULE:
        return None, [] if state == "ignored" else [f"it is {state} by {reason}, which ignores"]
    version, _, name = reason.partition("/")
    decided_by = rules.named(version)
    if decided_by is None:
        return None, [f"it is {state} by {reason!r}, and this ledger has no such rules"]
    decision = decided_by.decide(facts_of(event))
    if decision == (state, reason):
        return decided_by.rule(name), []
    return decided_by.rule(name), [
        f"it is {state} by {reason}, and decided again {decision[0]} by {decision[1]}"
    ]


def _amount(cost: Decimal | None) -> str:
    return "unpriced" if cost is None else f"{cost:f}"
