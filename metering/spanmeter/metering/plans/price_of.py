"""The price of a single usage event, before any statement is made: what budgets on price go by."""

from collections.abc import Mapping
from decimal import Decimal

from spanmeter.metering.costing import EXACT
from spanmeter.metering.plans import charge_units
from spanmeter.metering.plans.charge_units import COST
from spanmeter.metering.plans.choosing import taken_charges
from spanmeter.metering.plans.event_usage import amount_of, values_of
from spanmeter.metering.plans.plan import NOTHING, Plan
from spanmeter.metering.plans.tier_prices import at, first_price
from spanmeter.metering.prices import Price
from spanmeter.metering.usage_event import UsageEvent


def price_of(event: UsageEvent, plan: Plan) -> Decimal | None:
    """What one event adds to its tenant's bill by a plan, in the plan's currency, unrounded.

    At unit prices and markups alone: what is included, granted or discounted, fees and minimums are left out, and of
    tiers the first counts. 0 for usage that is not billable, that no charge is for, or that belongs to an action with
    a price: what that comes to is known when it has succeeded, whatever calls it takes. None where a markup is for an
    event without a known cost, or with a cost in another currency.
    """
    values = values_of(event)
    if event.billable_state != "billable" or values.get("action") in plan.actions:
        return NOTHING
    claimed = taken_charges(plan, values)
    total = NOTHING
    for unit, place in claimed.items():
        charge = plan.charges[place]
        if unit == COST:
            if event.cost is None or event.currency != plan.currency:
                return None
            due = EXACT.multiply(event.cost, charge.factor or NOTHING)
        else:
            due = _at_price(first_price(charge), event, _quantity(event, unit, claimed))
        total = EXACT.add(total, due)
    return total


def _at_price(price: Price | None, event: UsageEvent, quantity: Decimal) -> Decimal:
    if price is None:
        return NOTHING
    reached = [due for start, due in price.tiers if (event.input_tokens or 0) > start]
    return at(Price(reached[-1] if reached else price.price, price.per), quantity).amount


def _quantity(event: UsageEvent, unit: str, claimed: Mapping[str, int]) -> Decimal:
    quantity = NOTHING
    for part in charge_units.columns_of(unit):
        quantity = EXACT.add(quantity, amount_of(event, part))
    for part in charge_units.taken_off(unit, claimed):
        quantity = EXACT.subtract(quantity, amount_of(event, part))
    return quantity
