"""A statement: what a tenant owes for a period, line by line, and how that came about."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from functools import cached_property
from hashlib import sha256
from typing import Any, Final

from spanmeter.metering.costing import EXACT
from spanmeter.metering.plans.grants import Pot
from spanmeter.metering.plans.plan import NOTHING
from spanmeter.metering.statements.counting import Counts
from spanmeter.metering.statements.course import Course
from spanmeter.metering.statements.line import Line
from spanmeter.metering.statements.rounding import rounded, smallest, spread

FORM: Final = 1
"""Number of the form of the document; another form has another hash."""


@dataclass(frozen=True, kw_only=True)
class Charged:
    """One period's own usage at its prices: unrounded lines, what is left of grants, and what it cost."""

    since: datetime
    until: datetime
    currency: str | None
    lines: Sequence[Line]
    pots: Sequence[Pot]
    cost: Mapping[str, Decimal]
    calls: Mapping[str, int]
    unpriced_calls: int
    uncharged_calls: int

    @property
    def left(self) -> dict[str, Decimal]:
        """What is left of each grant at the end."""
        return {pot.grant.grant_id: pot.left for pot in self.pots}

    @property
    def amount(self) -> Decimal:
        """The sum of the lines whose amounts are known."""
        return total_of(self.lines)


def charged(course: Course, counts: Counts, lines: Sequence[Line]) -> Charged:
    """What was counted and priced, as one."""
    return Charged(
        since=course.since,
        until=course.until,
        currency=course.currency,
        lines=lines,
        pots=course.pots,
        cost={each: counts.cost[each] for each in sorted(counts.cost)},
        calls={each: counts.calls_by_state[each] for each in sorted(counts.calls_by_state)},
        unpriced_calls=counts.unpriced_calls,
        uncharged_calls=counts.uncharged_calls,
    )


@dataclass(frozen=True, kw_only=True)
class Statement:
    """What a tenant owes for a period, as of a moment. `late` are lines for earlier periods, closed meanwhile.

    The total is rounded once, half to even, to what can be paid; the lines' `rounded` amounts add up to it. It is None
    where no plan was in force. `closed_at` is None while the period is open.
    """

    tenant_id: str
    month: str
    as_of: datetime
    own: Charged
    late: Sequence[Line] = ()
    closed_at: datetime | None = None
    revision: int | None = None
    notes: Sequence[str] = field(default_factory=tuple)

    @property
    def lines(self) -> Sequence[Line]:
        """All lines."""
        return (*self.own.lines, *self.late)

    @property
    def currency(self) -> str | None:
        """The currency of all amounts."""
        return self.own.currency

    @cached_property
    def unrounded(self) -> Decimal | None:
        """The exact total."""
        return None if self.currency is None else total_of(self.lines)

    @cached_property
    def total(self) -> Decimal | None:
        """What is owed."""
        if self.unrounded is None or self.currency is None:
            return None
        return rounded(self.unrounded, smallest(self.currency))

    @cached_property
    def rounded(self) -> Sequence[Decimal | None]:
        """Each line's amount, rounded; together they are the total."""
        if self.currency is None:
            return [None for _ in self.lines]
        known = [each.amount for each in self.lines if each.amount is not None]
        parts = iter(spread(known, smallest(self.currency)))
        return [None if each.amount is None else next(parts) for each in self.lines]

    def document(self) -> dict[str, Any]:
        """All of it as JSON has it: the same for the same ledger, plans and grants, to the byte."""
        own = self.own
        return {
            "form": FORM,
            "tenant_id": self.tenant_id,
            "period": self.month,
            "since": _moment(own.since),
            "until": _moment(own.until),
            "as_of": _moment(self.as_of),
            "currency": self.currency,
            "total": exact(self.total),
            "unrounded_total": exact(self.unrounded),
            "lines": [_line(line, due) for line, due in zip(self.lines, self.rounded, strict=True)],
            "grants": [_pot(pot) for pot in own.pots],
            "cost": {currency: exact(amount) for currency, amount in own.cost.items()},
            "calls": dict(own.calls),
            "unpriced_calls": own.unpriced_calls,
            "uncharged_calls": own.uncharged_calls,
        }

    @cached_property
    def digest(self) -> bytes:
        """SHA-256 of the document."""
        return sha256(canonical(self.document())).digest()


def canonical(document: Mapping[str, Any]) -> bytes:
    """A document as the bytes that its hash is of."""
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode()


def total_of(lines: Sequence[Line]) -> Decimal:
    """The sum of the amounts that are known, exactly."""
    total = NOTHING
    for line in lines:
        total = EXACT.add(total, line.amount or NOTHING)
    return total


def exact(amount: Decimal | None) -> str | None:
    """An amount as text, in one form whatever way it was added up: without zeros at its end."""
    if amount is None:
        return None
    return f"{amount.normalize(EXACT):f}" if amount else "0"


def _line(line: Line, due: Decimal | None) -> dict[str, Any]:
    return {
        "kind": line.kind,
        "name": line.name,
        "plan": line.plan,
        "unit": line.unit,
        "quantity": exact(line.quantity),
        "price": line.price,
        "amount": exact(line.amount),
        "rounded": exact(due),
        "calls": line.calls,
        "since": _moment(line.since),
        "until": _moment(line.until),
    }


def _pot(pot: Pot) -> dict[str, Any]:
    return {
        "grant": pot.grant.grant_id,
        "kind": pot.grant.kind,
        "unit": pot.grant.unit,
        "used": exact(pot.used),
        "left": exact(pot.left),
    }


def _moment(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(UTC).isoformat()
