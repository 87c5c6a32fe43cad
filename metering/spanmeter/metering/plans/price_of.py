"""The price of a single call, before any statement is made: what budgets on price go by."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Final, NamedTuple

from spanmeter.metering.costing import EXACT, Quantity
from spanmeter.metering.plans import charge_units
from spanmeter.metering.plans.charge_units import COST
from spanmeter.metering.plans.choosing import taken_charges
from spanmeter.metering.plans.event_usage import amounts_of, values_of
from spanmeter.metering.plans.plan import NOTHING, Charge, Plan
from spanmeter.metering.plans.plan_values import CURRENCY
from spanmeter.metering.plans.tier_prices import at, first_price
from spanmeter.metering.prices import Price
from spanmeter.metering.usage_event import BillableState, UsageEvent

_ALL: Final = Decimal(1)


class Chargeable(NamedTuple):
    """Usage of one call, or of several that are priced alike: `values` by column, `amounts` by unit.

    `cost` is what of it is known, in `currency`.
    """

    values: Mapping[str, object]
    amounts: Mapping[str, Quantity]
    state: BillableState
    currency: str
    cost: Decimal


class Priced(NamedTuple):
    """What usage adds to the bill, as far as its cost is known. `marked_up`: its cost is part of that."""

    amount: Decimal
    marked_up: bool


def price_of(event: UsageEvent, plan: Plan) -> Decimal | None:
    """What one event adds to its tenant's bill by a plan, in the plan's currency, unrounded.

    At unit prices and markups, less discounts: what is included or granted, fees and minimums are left out, and of
    tiers the first counts. 0 for usage that is not billable, that no charge is for, or that belongs to an action with
    a price: what that comes to is known when it has succeeded, whatever calls it takes. None where a markup is for an
    event without a known cost, or with a cost in another currency.
    """
    usage = Chargeable(
        values_of(event),
        amounts_of(event),
        event.billable_state,
        event.currency,
        event.cost or NOTHING,
    )
    amount, marked_up = priced(usage, plan)
    unknown = event.cost is None or event.currency != plan.currency
    return None if marked_up and unknown else amount


def priced(usage: Chargeable, plan: Plan) -> Priced:
    """The same of any usage; a cost in another currency than the plan's adds nothing."""
    if usage.state != "billable" or usage.values.get("action") in plan.actions:
        return Priced(NOTHING, marked_up=False)
    claimed = taken_charges(plan, usage.values)
    total = NOTHING
    for unit, place in claimed.items():
        charge = plan.charges[place]
        due = _marked_up(usage, plan, charge) if unit == COST else _at(usage, charge, claimed)
        total = EXACT.add(total, EXACT.multiply(due, left_by_discounts(plan, charge)))
    return Priced(total, COST in claimed)


def left_by_discounts(plan: Plan, charge: Charge) -> Decimal:
    """The part of a charge that is to be paid."""
    part = _ALL
    for discount in plan.discounts:
        if discount.is_for(charge.name):
            part = EXACT.subtract(part, discount.factor)
    return part


def dependence(plan: Plan) -> str | None:
    """What of a plan makes it impossible to tell from a call alone what it adds to the bill; None: nothing does."""
    for charge in plan.charges:
        if charge.action is not None:
            return f"charge {charge.name!r} is for an action, however many calls it takes"
        if charge.tiers:
            return f"charge {charge.name!r} has tiers"
        if charge.included:
            return f"charge {charge.name!r} includes some of each period"
    for grant in plan.grants:
        if CURRENCY.fullmatch(grant.unit) is None:
            return f"grant {grant.name!r} covers usage"
    return None


def _marked_up(usage: Chargeable, plan: Plan, charge: Charge) -> Decimal:
    if usage.currency != plan.currency:
        return NOTHING
    return EXACT.multiply(usage.cost, charge.factor or NOTHING)


def _at(usage: Chargeable, charge: Charge, claimed: Mapping[str, int]) -> Decimal:
    price = first_price(charge)
    if price is None:
        return NOTHING
    reached = price_at(price, usage.amounts.get("input_tokens", 0))
    return at(Price(reached, price.per), _quantity(usage, charge.unit, claimed)).amount


def price_at(price: Price, input_tokens: Quantity) -> Decimal:
    """What a call with an input of this length pays for each `per` units."""
    return next((due for start, due in reversed(price.tiers) if input_tokens > start), price.price)


def _quantity(usage: Chargeable, unit: str, claimed: Mapping[str, int]) -> Decimal:
    quantity = NOTHING
    for part in charge_units.columns_of(unit):
        quantity = EXACT.add(quantity, usage.amounts.get(part, 0))
    for part in charge_units.taken_off(unit, claimed):
        quantity = EXACT.subtract(quantity, usage.amounts.get(part, 0))
    return quantity
