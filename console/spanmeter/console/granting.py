"""Grants as people give and see them."""

import tomllib
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from uuid import uuid4

from spanmeter.console.listing import Column, Listing, Value
from spanmeter.metering.plans import plan_values
from spanmeter.metering.plans.grants import Grant, Pot
from spanmeter.metering.plans.plan_values import PlanError
from spanmeter.metering.plans.selection import EVERYTHING, Selection, selection

_GRANTS = (
    Column("grant_id", "grant"),
    Column("tenant_id", "tenant"),
    Column("kind", "kind"),
    Column("amount", "amount"),
    Column("unit", "unit"),
    Column("effective_at", "from"),
    Column("expires_at", "until", "never"),
    Column("priority", "priority"),
    Column("recurring", "recurring"),
    Column("voided_at", "voided"),
    Column("note", "note"),
)
_BALANCE = (
    Column("grant_id", "grant"),
    Column("kind", "kind"),
    Column("unit", "unit"),
    Column("at_first", "at first"),
    Column("used", "used"),
    Column("left", "left"),
    Column("until", "until"),
)


def new_grant(
    tenant: str,
    amount: str,
    *,
    effective_at: datetime,
    grant_id: str | None,
    kind: str,
    expires_at: datetime | None,
    priority: int,
    recurring: bool,
    rollover: tuple[str, str],
    when: str | None,
    note: str | None,
) -> Grant:
    """The grant that somebody describes. Raises PlanError, ValueError."""
    number, unit = plan_values.granted(amount, "the amount")
    least, most = (plan_values.count(each, "rollover") for each in rollover)
    if least > most:
        raise PlanError("at least more is to roll over than at most")
    if expires_at is not None and expires_at <= effective_at:
        raise PlanError("it expires before it begins")
    return Grant(
        grant_id=grant_id or str(uuid4()),
        tenant_id=tenant,
        kind=kind,
        unit=unit,
        amount=number,
        effective_at=effective_at,
        recorded_at=effective_at,
        expires_at=expires_at,
        priority=priority,
        recurring=recurring,
        rollover_min=least,
        rollover_max=most,
        when=_when(when),
        note=note,
    )


def grants_listing(grants: Sequence[Grant]) -> Listing:
    """What was granted."""
    rows: list[Sequence[Value]] = [
        (
            *(each.grant_id, each.tenant_id, each.kind, _plain(each.amount), each.unit),
            *(each.effective_at, each.expires_at, each.priority, each.recurring),
            *(each.voided_at, each.note),
        )
        for each in grants
    ]
    return Listing(columns=_GRANTS, rows=rows)


def balance_listing(tenant: str, period: str, pots: Sequence[Pot]) -> Listing:
    """What is left, in the order of its use, and what the period used of it."""
    rows: list[Sequence[Value]] = [
        (
            *(pot.grant.grant_id, pot.grant.kind, pot.grant.unit),
            *(_plain(pot.left + pot.used), _plain(pot.used), _plain(pot.left), pot.until),
        )
        for pot in pots
    ]
    notes = [] if rows else ["Nothing is granted in this period."]
    return Listing(
        columns=_BALANCE, rows=rows, about={"tenant": tenant, "period": period}, notes=notes
    )


def _when(text: str | None) -> Selection:
    if text is None:
        return EVERYTHING
    return selection(tomllib.loads(f"when = {text}")["when"], "--when")


def _plain(amount: Decimal) -> str:
    return f"{amount.normalize():f}"
