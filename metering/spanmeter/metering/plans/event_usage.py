"""A usage event as plans see it: the values of the ledger's columns, and amounts by unit."""

from typing import Final, cast

from spanmeter.metering.costing import Quantity
from spanmeter.metering.plans import charge_units
from spanmeter.metering.plans.selection import OWN
from spanmeter.metering.usage_event import UsageEvent

_TOKENS: Final = charge_units.COLUMNS - {"requests"}


def values_of(event: UsageEvent) -> dict[str, object]:
    """What conditions look at, by column: `model`, `tenant_id`, `dimension:region`."""
    values: dict[str, object] = event._asdict()
    values["model"] = event.response_model or event.request_model
    return values | {f"{OWN}{name}": value for name, value in event.dimensions.items()}


def amounts_of(event: UsageEvent) -> dict[str, Quantity]:
    """How much it used of each unit that is counted by itself; what is not known is not there."""
    amounts: dict[str, Quantity] = {**event.quantities, "requests": 1}
    for unit in _TOKENS:
        counted = cast("int | None", getattr(event, unit))
        if counted is not None:
            amounts[unit] = counted
    return amounts
