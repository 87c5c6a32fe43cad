"""Grants: allowances, top-ups, credits; how much of them is there to be used in a period, and in which order."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

from spanmeter.metering.costing import EXACT
from spanmeter.metering.plans.plan import NOTHING, PlanGrant
from spanmeter.metering.plans.plan_values import CURRENCY
from spanmeter.metering.plans.selection import EVERYTHING, Selection

KINDS: Final = (*("allowance", "topup", "credit", "promotion", "trial", "commit", "rollover"),)
"""What a grant is called; what it does is the same for all."""

DEFAULT_PRIORITY: Final = 100
NEVER: Final = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """`amount` of `unit`, for one tenant, from `effective_at` until `expires_at`; a currency as unit is money.

    The lower `priority` is used first, then what expires first, then what is older. A `recurring` grant is there anew
    each billing period; what is left of it, but at least `rollover_min` and at most `rollover_max`, is added to the
    next. `voided_at`: from then on there is nothing left of it.
    """

    grant_id: str
    tenant_id: str
    kind: str
    unit: str
    amount: Decimal
    effective_at: datetime
    recorded_at: datetime
    expires_at: datetime | None = None
    voided_at: datetime | None = None
    priority: int = DEFAULT_PRIORITY
    recurring: bool = False
    rollover_min: Decimal = NOTHING
    rollover_max: Decimal = NOTHING
    when: Selection = EVERYTHING
    note: str | None = None

    @property
    def ends(self) -> datetime:
        """From when on it cannot be used."""
        return min(self.expires_at or NEVER, self.voided_at or NEVER)

    @property
    def is_money(self) -> bool:
        """Whether it pays for charges, instead of covering usage."""
        return CURRENCY.fullmatch(self.unit) is not None


@dataclass(slots=True)
class Pot:
    """What is left of a grant while a period is worked out."""

    grant: Grant
    since: datetime
    until: datetime
    left: Decimal
    used: Decimal = NOTHING

    def take(self, wanted: Decimal) -> Decimal:
        """Use up to so much; return how much there was."""
        taken = min(self.left, wanted)
        self._move(taken)
        return taken

    def give_back(self, amount: Decimal) -> None:
        """What was used is not after all."""
        self._move(EXACT.minus(amount))

    def active(self, at: datetime) -> bool:
        """Whether it can be used then."""
        return self.since <= at < self.until

    def _move(self, amount: Decimal) -> None:
        self.left = EXACT.subtract(self.left, amount)
        self.used = EXACT.add(self.used, amount)


def pots(
    grants: Iterable[Grant], since: datetime, until: datetime, before: dict[str, Decimal]
) -> list[Pot]:
    """What can be used in a period, in the order of its use.

    `before` is what was left of each grant at the end of the period before.
    """
    found = [
        Pot(each, max(since, each.effective_at), min(until, each.ends), _opening(each, before))
        for each in grants
        if each.effective_at < until and each.ends > since
    ]
    return sorted((pot for pot in found if pot.since < pot.until), key=_order)


def of_plan(
    given: PlanGrant, plan: str, tenant_id: str, share: Decimal, within: tuple[datetime, datetime]
) -> Grant:
    """What a plan grants a tenant in a period: `share` of it, while the plan is in force."""
    since, until = within
    return Grant(
        grant_id=f"{plan}/{given.name}",
        tenant_id=tenant_id,
        kind=given.kind,
        unit=given.unit,
        amount=share,
        effective_at=since,
        recorded_at=since,
        expires_at=until,
        priority=given.priority,
        recurring=True,
        rollover_min=given.rollover_min,
        rollover_max=given.rollover_max,
        when=given.when,
    )


def _opening(grant: Grant, before: dict[str, Decimal]) -> Decimal:
    left = before.get(grant.grant_id)
    if left is None:
        return grant.amount
    if not grant.recurring:
        return left
    rolled = min(max(left, grant.rollover_min), grant.rollover_max)
    return EXACT.add(grant.amount, rolled)


def _order(pot: Pot) -> tuple[int, datetime, datetime, datetime, str]:
    # A recurring grant is lost at the end of the period: it expires then.
    expires = pot.until if pot.grant.recurring else pot.grant.expires_at or NEVER
    grant = pot.grant
    return grant.priority, expires, grant.effective_at, grant.recorded_at, grant.grant_id
