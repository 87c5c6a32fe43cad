"""A usage event as plans see it: the values of the ledger's columns, and amounts by unit."""

from decimal import Decimal
from typing import Final, cast

from spanmeter.metering.plans import charge_units
from spanmeter.metering.plans.plan import NOTHING
from spanmeter.metering.plans.selection import OWN
from spanmeter.metering.usage_event import UsageEvent

_TOKENS: Final = charge_units.COLUMNS - {"requests"}


def values_of(event: UsageEvent) -> dict[str, object]:
    """What conditions look at, by column: `model`, `tenant_id`, `dimension:region`."""
    values: dict[str, object] = event._asdict()
    values["model"] = event.response_model or event.request_model
    return values | {f"{OWN}{name}": value for name, value in event.dimensions.items()}


def amount_of(event: UsageEvent, unit: str) -> Decimal:
    """How much it used of a unit that is counted by itself; what is not known is 0."""
    if unit == "requests":
        return Decimal(1)
    if unit in _TOKENS:
        return Decimal(cast("int | None", getattr(event, unit)) or 0)
    return event.quantities.get(unit, NOTHING)
