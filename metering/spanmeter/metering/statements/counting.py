"""Counting the usage of a period: quantities by charge, exactly, before anything has a price."""

from collections import defaultdict
from collections.abc import Iterable
from decimal import Decimal
from typing import Any, Final, NamedTuple

from spanmeter.metering.costing import EXACT
from spanmeter.metering.plans.charge_units import ACTIONS, COST
from spanmeter.metering.plans.choosing import priced_action
from spanmeter.metering.plans.grants import Pot
from spanmeter.metering.plans.plan import NOTHING, Charge, Plan
from spanmeter.metering.prices import Price
from spanmeter.metering.statements.course import Course
from spanmeter.metering.statements.meters import INCLUDED, Included, Meter
from spanmeter.metering.statements.taking import Taken, Taking, remembered, taking
from spanmeter.metering.statements.usage import Action, UsageItem, Wanted

_BILLABLE: Final = "billable"
_IGNORED: Final = "ignored"
_ONE: Final = Decimal(1)

INCLUDED_USAGE: Final = "included"
"""What covers usage that its charge includes, or whose calls are `included`."""


class Cell(NamedTuple):
    """Where quantities are added up: all of a cell has the same price and can be paid by the same grants.

    `span` and `slice` are places in the course, `charge` the place in the plan, `paid_by` places of grants of money;
    `price` is that of the calls, where each call has its own.
    """

    span: int
    charge: int
    slice: int
    paid_by: tuple[int, ...]
    price: Price | None


class Counts:
    """What was counted. `free`: by span, charge, and what covers it: a grant, what is included, or the state.

    `calls` are by span and charge; `unpriced` calls and `foreign` cost by span, charge and currency; `cost` by
    currency, of all usage. `uncharged_calls` are those that no charge is for.
    """

    def __init__(self) -> None:
        self.cells: defaultdict[Cell, Decimal] = defaultdict(Decimal)
        self.free: defaultdict[tuple[int, int, str], Decimal] = defaultdict(Decimal)
        self.calls: defaultdict[tuple[int, int], int] = defaultdict(int)
        self.unpriced: defaultdict[tuple[int, int, str], int] = defaultdict(int)
        self.foreign: defaultdict[tuple[int, int, str], Decimal] = defaultdict(Decimal)
        self.without_plan: defaultdict[int, int] = defaultdict(int)
        self.cost: defaultdict[str, Decimal] = defaultdict(Decimal)
        self.calls_by_state: defaultdict[str, int] = defaultdict(int)
        self.unpriced_calls = 0
        self.uncharged_calls = 0


class Counting:
    """Adds usage up. Where the course wants it ordered, it has to come in the order of time."""

    def __init__(self, course: Course, wanted: Wanted) -> None:
        self.counts = Counts()
        self._course, self._wanted = course, wanted
        self._plans = [span.version.plan if span.version else None for span in course.spans]
        self._meters: defaultdict[tuple[str, str, bool], Meter] = defaultdict(Meter)
        self._included: dict[tuple[str, str], Included] = {}
        self._taking = remembered(self._find)
        self._input = wanted.units.index("input_tokens") if "input_tokens" in wanted.units else None

    def add(self, items: Iterable[UsageItem]) -> None:
        """Count usage."""
        for item in items:
            self._add(item)

    def add_actions(self, actions: Iterable[Action]) -> None:
        """Count actions that succeeded: each once, however many calls it took; those that were refunded not at all."""
        for action in actions:
            if not action.refunded:
                self._charge_action(action)

    def _add(self, item: UsageItem) -> None:
        counts = self.counts
        counts.cost[item.currency] = EXACT.add(counts.cost[item.currency], item.cost)
        counts.calls_by_state[item.state] += item.calls
        counts.unpriced_calls += item.unpriced
        span = self._course.span_at(item.time)
        plan = self._plans[span]
        if item.state == _IGNORED:
            return
        if plan is None:
            counts.without_plan[span] += item.calls
            return
        found = self._taking(span, item.values)
        if not found.charges and not found.by_action:
            counts.uncharged_calls += item.calls
        for taken in found.charges:
            self._take(span, plan, taken, found, item)

    def _take(self, span: int, plan: Plan, taken: Taken, found: Taking, item: UsageItem) -> None:
        charge = plan.charges[taken.charge]
        place = span, taken.charge
        self.counts.calls[place] += item.calls
        if charge.unit == COST:
            self._mark_up(span, plan, taken, found, item)
            return
        quantity = taken.quantity(item.amounts)
        if not quantity:
            return
        sources = [(pot.grant.grant_id, pot) for pot in map(self._pot, taken.covering)]
        active: list[tuple[str, Included | Pot]] = [
            (name, pot) for name, pot in sources if pot.active(item.time) or quantity < 0
        ]
        price = self._call_price(charge, item)
        where = Cell(span, taken.charge, self._course.slice_at(item.time), found.paid_by, price)
        self._book(plan, where, quantity, active, paid=item.state == _BILLABLE)

    def _mark_up(self, span: int, plan: Plan, taken: Taken, found: Taking, item: UsageItem) -> None:
        if item.state != _BILLABLE:
            return
        place = span, taken.charge, item.currency
        self.counts.unpriced[place] += item.unpriced
        if item.currency == plan.currency:
            at = self._course.slice_at(item.time)
            cell = Cell(span, taken.charge, at, found.paid_by, None)
            self.counts.cells[cell] = EXACT.add(self.counts.cells[cell], item.cost)
        else:
            self.counts.foreign[place] = EXACT.add(self.counts.foreign[place], item.cost)

    def _book(
        self,
        plan: Plan,
        where: Cell,
        quantity: Decimal,
        sources: list[tuple[str, Included | Pot]],
        *,
        paid: bool,
    ) -> None:
        charge = plan.charges[where.charge]
        meter = self._meters[plan.name, charge.name, paid]
        before = dict(meter.covered)
        own: tuple[str, Included | Pot] = INCLUDED, self._included_of(plan, charge)
        beyond = meter.add(quantity, [own, *sources])
        for name, covered in meter.covered.items():
            change = EXACT.subtract(covered, before.get(name, NOTHING))
            self._free(where, name or INCLUDED_USAGE, change)
        if paid:
            self.counts.cells[where] = EXACT.add(self.counts.cells[where], beyond)
        else:
            self._free(where, INCLUDED_USAGE, beyond)

    def _free(self, where: Cell, source: str, quantity: Decimal) -> None:
        if quantity:
            place = where.span, where.charge, source
            self.counts.free[place] = EXACT.add(self.counts.free[place], quantity)

    def _charge_action(self, action: Action) -> None:
        span = self._course.span_at(action.time)
        plan = self._plans[span]
        state = _state(action)
        if plan is None or state is None:
            return
        calls = [dict(zip(self._wanted.columns, each.values, strict=True)) for each in action.calls]
        place = priced_action(plan, action.name, calls)
        if place is None:
            return
        self.counts.calls[span, place] += action.made
        covering: list[tuple[str, Included | Pot]] = [
            (pot.grant.grant_id, pot)
            for pot in self._course.covering
            if pot.grant.unit == ACTIONS
            and pot.active(action.time)
            and any(map(pot.grant.when.holds, calls))
        ]
        paid_by = tuple(
            at for at, pot in enumerate(self._course.money) if any(map(pot.grant.when.holds, calls))
        )
        cell = Cell(span, place, self._course.slice_at(action.time), paid_by, None)
        self._book(plan, cell, _ONE, covering, paid=state == _BILLABLE)

    def _included_of(self, plan: Plan, charge: Charge) -> Included:
        key = plan.name, charge.name
        if key not in self._included:
            self._included[key] = Included(self._course.count_share(charge.included, plan.name))
        return self._included[key]

    def _call_price(self, charge: Charge, item: UsageItem) -> Price | None:
        price = charge.price
        if price is None or not price.tiers or self._input is None:
            return None
        whole = item.amounts[self._input]
        reached = [due for start, due in price.tiers if whole > start]
        return Price(reached[-1] if reached else price.price, price.per)

    def _find(self, span: int, values: tuple[object, ...]) -> Taking:
        plan, course = self._plans[span], self._course
        if plan is None:
            return Taking((), ())
        told: dict[str, Any] = dict(zip(self._wanted.columns, values, strict=True))
        return taking(plan, told, self._wanted.units, course.covering, course.money)

    def _pot(self, place: int) -> Pot:
        return self._course.covering[place]


def _state(action: Action) -> str | None:
    """Billable if one successful call of it is, else included; None where all are ignored."""
    states = {each.state for each in action.calls}
    return next((state for state in (_BILLABLE, "included") if state in states), None)
