"""What calls of a model are charged at by a plan, as an application needs it to estimate one before it is made.

A plan's conditions may look at what the rates are not asked for by (the feature, the user, what will answer). What they
do not tell may be: of all charges that may be for a call, the dearest counts.
"""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Final

from spanmeter.metering.budgets.call_rates import (
    LONG,
    CallRates,
    Model,
    TokenRates,
    called_as,
)
from spanmeter.metering.costing import EXACT
from spanmeter.metering.plans import charge_units
from spanmeter.metering.plans.charge_units import COST, TOKENS
from spanmeter.metering.plans.plan import NOTHING, Charge, Plan
from spanmeter.metering.plans.price_of import left_by_discounts, price_at

_KNOWN: Final = frozenset({"tenant_id", "provider", "operation", "model", "request_model"})
"""Columns that rates are asked for by."""

_OF_TOKENS: Final = (charge_units.COLUMNS | {TOKENS}) - {"requests"}

_USUAL: Final = 127_999
"""Tokens of input: of the prompts that applications take for usual ones, the longest."""


def price_rates(plan: Plan, model: Model, cost: CallRates | None) -> CallRates | None:
    """The rates of a plan, in its currency; `cost` are those of the provider. None where a markup may be for calls
    whose cost is not known."""
    called = called_as(model)
    values = {
        "tenant_id": model.tenant,
        "provider": called.provider,
        "operation": called.operation,
        "model": called.request_model,
        "request_model": called.request_model,
    }
    factor = _dearest(plan, COST, values, 0)
    if factor and cost is None:
        return None
    if cost is None or cost.currency != plan.currency:
        cost = CallRates(TokenRates(), {}, plan.currency)

    def token(unit: str, length: int, cost: Decimal) -> Decimal:
        return EXACT.add(_of_tokens(plan, unit, values, length), EXACT.multiply(factor, cost))

    tokens = TokenRates(
        token("input_tokens", _USUAL, cost.tokens.input),
        token("output_tokens", _USUAL, cost.tokens.output),
        token("input_tokens", LONG, cost.tokens.long_input),
        token("output_tokens", LONG, cost.tokens.long_output),
    )
    units = {
        unit: EXACT.add(
            _dearest(plan, unit, values, LONG),
            EXACT.multiply(factor, cost.units.get(unit, NOTHING)),
        )
        for unit in sorted({*cost.units, *plan.units} - _OF_TOKENS)
    }
    return CallRates(tokens, units, plan.currency)


def _of_tokens(plan: Plan, unit: str, values: Mapping[str, object], length: int) -> Decimal:
    """Those of a kind have a price of their own, or go with all tokens."""
    return max(_dearest(plan, unit, values, length), _dearest(plan, TOKENS, values, length))


def _dearest(plan: Plan, unit: str, values: Mapping[str, object], length: int) -> Decimal:
    return max(
        (_each(plan, charge, length) for charge in _may(plan, unit, values)), default=NOTHING
    )


def _may(plan: Plan, unit: str, values: Mapping[str, object]) -> Iterator[Charge]:
    """The charges for a unit that may be for such a call, up to the first that surely is."""
    for charge in plan.charges:
        conditions = charge.when.conditions
        known = [(column, holds) for column, holds in conditions if column in _KNOWN]
        if charge.action is not None or charge.unit != unit:
            continue
        if all(holds(values[column]) for column, holds in known):
            yield charge
            if len(known) == len(conditions):
                return


def _each(plan: Plan, charge: Charge, length: int) -> Decimal:
    """What one unit comes to: of a markup, the factor."""
    if charge.price is None:
        due = charge.factor or NOTHING
    else:
        due = EXACT.divide(price_at(charge.price, length), Decimal(charge.price.per))
    return EXACT.multiply(due, left_by_discounts(plan, charge))
