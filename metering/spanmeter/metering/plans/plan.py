"""A plan: what a tenant is charged, as its file states it."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import cached_property
from typing import Final, NamedTuple

from spanmeter.metering.plans.charge_units import COST
from spanmeter.metering.plans.selection import EVERYTHING, Selection
from spanmeter.metering.prices import Price

NOTHING: Final = Decimal(0)


class Tier(NamedTuple):
    """The price of quantities up to and including a count of the period; the last tier has no end."""

    up_to: Decimal | None
    price: Price


@dataclass(frozen=True, kw_only=True)
class Charge:
    """One way of charging for usage. Exactly one of `price`, `tiers` and `factor` says how much.

    `unit` is what is counted: a unit of usage, `cost` for a markup (`factor` 1.3 is 30 %), or `actions` for an
    `action`. `included` units of each period are free. With `volume`, all of a period is charged at the tier that it
    reaches; without, each part at its own.
    """

    name: str
    unit: str
    action: str | None = None
    price: Price | None = None
    factor: Decimal | None = None
    tiers: tuple[Tier, ...] = ()
    volume: bool = False
    included: Decimal = NOTHING
    when: Selection = EVERYTHING

    @property
    def by_call(self) -> bool:
        """Whether its price depends on each single call."""
        return self.price is not None and bool(self.price.tiers)


@dataclass(frozen=True, kw_only=True)
class PlanGrant:
    """What each tenant of the plan is granted, every period: `amount` of a unit, or of money where that is a currency.

    What is left at the end of a period, but at least `rollover_min` and at most `rollover_max`, is added to the next.
    """

    name: str
    kind: str
    unit: str
    amount: Decimal
    priority: int
    when: Selection = EVERYTHING
    rollover_min: Decimal = NOTHING
    rollover_max: Decimal = NOTHING


class Discount(NamedTuple):
    """`factor` (0.1 is 10 %) off these charges, or off all of them."""

    name: str
    factor: Decimal
    charges: frozenset[str] = frozenset()

    def is_for(self, charge: str) -> bool:
        """Whether it takes something off this charge."""
        return not self.charges or charge in self.charges


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What `read_plan` reads. `text` is the file; `fee` and `minimum` are for a whole period."""

    name: str
    currency: str
    time_zone: str = "UTC"
    anchor_day: int = 1
    fee: Decimal = NOTHING
    minimum: Decimal = NOTHING
    charges: tuple[Charge, ...] = ()
    grants: tuple[PlanGrant, ...] = ()
    discounts: tuple[Discount, ...] = ()
    text: str = ""

    @cached_property
    def actions(self) -> frozenset[str]:
        """The actions that have a price: their calls are charged for by it alone."""
        return frozenset(each.action for each in self.charges if each.action is not None)

    @cached_property
    def units(self) -> frozenset[str]:
        """The units of usage that it charges for."""
        return frozenset(
            each.unit for each in self.charges if each.action is None and each.unit != COST
        )

    def columns(self) -> Iterator[str]:
        """The columns of the ledger that its conditions look at."""
        whens = (*(each.when for each in self.charges), *(each.when for each in self.grants))
        for when in whens:
            yield from when.columns
        if self.actions:
            yield "action"


class PlanVersion(NamedTuple):
    """A plan as it was recorded once, in force from a moment on."""

    plan: Plan
    number: int
    effective_from: datetime
    recorded_at: datetime

    @property
    def name(self) -> str:
        """As statements name it: `pro/3`."""
        return f"{self.plan.name}/{self.number}"
