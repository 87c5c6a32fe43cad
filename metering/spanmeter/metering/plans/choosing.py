"""Which of its charges a plan has for some usage."""

from collections.abc import Mapping, Sequence

from spanmeter.metering.plans.plan import Plan


def taken_charges(plan: Plan, values: Mapping[str, object]) -> dict[str, int]:
    """By unit the charge for usage with these values: of those for the unit, the first whose conditions hold."""
    taken: dict[str, int] = {}
    for place, charge in enumerate(plan.charges):
        if charge.action is None and charge.unit not in taken and charge.when.holds(values):
            taken[charge.unit] = place
    return taken


def priced_action(plan: Plan, action: object, calls: Sequence[Mapping[str, object]]) -> int | None:
    """The charge for an action: of those for it, the first whose conditions hold for one of its successful calls."""
    for place, charge in enumerate(plan.charges):
        if charge.action == action and any(charge.when.holds(each) for each in calls):
            return place
    return None
