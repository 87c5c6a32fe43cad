"""Which charges of a plan are for which usage, and how much of it each one counts."""

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Final, NamedTuple

from spanmeter.metering.costing import EXACT, Quantity
from spanmeter.metering.plans import charge_units
from spanmeter.metering.plans.charge_units import COST
from spanmeter.metering.plans.choosing import taken_charges
from spanmeter.metering.plans.grants import Pot
from spanmeter.metering.plans.plan import Plan

CACHED: Final = 100_000
"""Answers remembered: there are few combinations of the values that plans look at."""


class Taken(NamedTuple):
    """A charge, by its place in the plan, that is for some usage.

    What it counts is the sum of the amounts at the places `plus` without those at `minus`; none for a markup.
    `covering` are the grants that can cover it, by place, in the order of their use.
    """

    charge: int
    plus: tuple[int, ...]
    minus: tuple[int, ...]
    covering: tuple[int, ...]

    def quantity(self, amounts: Sequence[Quantity]) -> Decimal:
        """How much of these amounts it counts."""
        total = Decimal(0)
        for place in self.plus:
            total = EXACT.add(total, amounts[place])
        for place in self.minus:
            total = EXACT.subtract(total, amounts[place])
        return total


class Taking(NamedTuple):
    """The charges that are for some usage, and the grants of money that can pay for it, by place.

    `by_action`: it is charged for by the price of its action, and so by no charge here.
    """

    charges: tuple[Taken, ...]
    paid_by: tuple[int, ...]
    by_action: bool = False


def taking(
    plan: Plan,
    values: Mapping[str, object],
    units: Sequence[str],
    covering: Sequence[Pot],
    money: Sequence[Pot],
) -> Taking:
    """What of a plan is for usage with these values; `units` are those of the amounts that come with it."""
    paid_by = tuple(place for place, pot in enumerate(money) if pot.grant.when.holds(values))
    if values.get("action") in plan.actions:
        return Taking((), paid_by, by_action=True)
    claimed = taken_charges(plan, values)
    place_of = {unit: place for place, unit in enumerate(units)}
    charges = tuple(
        Taken(place, *_places(unit, claimed, place_of), _covering(unit, values, covering))
        for unit, place in claimed.items()
    )
    return Taking(charges, paid_by)


def remembered(find: Callable[[int, tuple[object, ...]], Taking]) -> Callable[..., Taking]:
    """The same function, which finds each answer once."""
    known: dict[tuple[int, tuple[object, ...]], Taking] = {}

    def found(span: int, values: tuple[object, ...]) -> Taking:
        key = span, values
        if key not in known:
            if len(known) >= CACHED:
                known.clear()
            known[key] = find(span, values)
        return known[key]

    return found


def _places(
    unit: str, claimed: Mapping[str, int], place_of: Mapping[str, int]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    if unit == COST:
        return (), ()
    plus = tuple(place_of[each] for each in charge_units.columns_of(unit))
    minus = tuple(place_of[each] for each in charge_units.taken_off(unit, claimed))
    return plus, minus


def _covering(unit: str, values: Mapping[str, object], covering: Sequence[Pot]) -> tuple[int, ...]:
    return tuple(
        place
        for place, pot in enumerate(covering)
        if charge_units.covers(pot.grant.unit, unit) and pot.grant.when.holds(values)
    )
