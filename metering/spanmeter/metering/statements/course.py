"""The course of a period: which version of a plan is in force when, and what is granted meanwhile."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from spanmeter.metering.allocation import allocate
from spanmeter.metering.costing import EXACT
from spanmeter.metering.plans import charge_units
from spanmeter.metering.plans.grants import Grant, Pot, of_plan, pots
from spanmeter.metering.plans.plan import NOTHING, Charge, PlanVersion
from spanmeter.metering.plans.plan_book import PlanBook, Span
from spanmeter.metering.plans.plan_values import CURRENCY
from spanmeter.metering.statements.usage import Wanted

PLACES: Final = 18
"""Decimals of money that is divided by time."""

_INSTANT: Final = timedelta(microseconds=1)


class TwoCurrencies(ValueError):
    """Plans of two currencies in one period."""


class Course:
    """All that is known of a period before its usage. `before` is what was left of each grant when it began.

    `spans` are what is in force from moment to moment; `slices` are shorter: no grant of money begins or ends in one.
    Raises TwoCurrencies.
    """

    def __init__(
        self,
        book: PlanBook,
        tenant_id: str,
        since: datetime,
        until: datetime,
        grants: Iterable[Grant] = (),
        before: Mapping[str, Decimal] | None = None,
    ) -> None:
        self.since, self.until = since, until
        self.tenant_id = tenant_id
        self.spans: Sequence[Span] = book.spans(tenant_id, since, until)
        self.currency = self._currency()
        given = [*grants, *self._of_plans()]
        self.pots: Sequence[Pot] = [
            pot
            for pot in pots(given, since, until, dict(before or {}))
            if not pot.grant.is_money or pot.grant.unit == self.currency
        ]
        self.money = [pot for pot in self.pots if pot.grant.is_money]
        self.covering = [pot for pot in self.pots if not pot.grant.is_money]
        edges = {edge for pot in self.money for edge in (pot.since, pot.until)}
        begins = {span.since for span in self.spans}
        self._begins = sorted(begins)
        self.slices: Sequence[datetime] = sorted({since, *begins, *edges} - {until})

    def versions(self) -> Iterator[PlanVersion]:
        """The versions in force, in their order."""
        return (span.version for span in self.spans if span.version is not None)

    def span_at(self, moment: datetime) -> int:
        """The place of the span that a moment is in."""
        return bisect_right(self._begins, moment) - 1

    def slice_at(self, moment: datetime) -> int:
        """The place of the slice that a moment is in."""
        return bisect_right(self.slices, moment) - 1

    def share(self, amount: Decimal, chosen: Iterable[int], places: int = PLACES) -> Decimal:
        """What of an amount for the whole period is for some of its spans, by their time.

        The shares of all spans add up to the amount.
        """
        if not amount:
            return NOTHING
        weights = [(span.until - span.since) // _INSTANT for span in self.spans]
        parts = allocate(amount, weights, places)
        total = NOTHING
        for place in chosen:
            total = EXACT.add(total, parts[place])
        return total.normalize(EXACT)

    def spans_of(self, plan: str) -> list[int]:
        """The places of a plan's spans, whatever its version."""
        return [
            place
            for place, span in enumerate(self.spans)
            if span.version is not None and span.version.plan.name == plan
        ]

    def count_share(self, count: Decimal, plan: str) -> Decimal:
        """What of a count for the whole period is for the time of a plan, with no more decimals than the count."""
        exponent = count.normalize().as_tuple().exponent
        places = max(0, -exponent) if isinstance(exponent, int) else 0
        return self.share(count, self.spans_of(plan), places)

    def wanted(self, *, included_usage: bool) -> Wanted:
        """What has to be read of its usage. `included_usage`: some of it may be `included`, and not be charged."""
        plans = [version.plan for version in self.versions()]
        columns = {column for plan in plans for column in plan.columns()}
        columns |= {column for pot in self.pots for column in pot.grant.when.columns}
        charged = {unit for plan in plans for unit in plan.units}
        units = {column for unit in charged for column in charge_units.columns_of(unit)}
        actions = frozenset(action for plan in plans for action in plan.actions)
        charges = [charge for plan in plans for charge in plan.charges]
        if any(each.by_call for each in charges):
            units.add("input_tokens")
        return Wanted(
            tuple(sorted(columns)),
            tuple(sorted(units)),
            tuple(self.slices[1:]),
            actions,
            self._needs_order(charges, included_usage=included_usage),
        )

    def _needs_order(self, charges: Sequence[Charge], *, included_usage: bool) -> bool:
        """Whether sums are not enough: it matters which call was the first, or what each call was like."""
        shared = included_usage or any(pot.grant.when.conditions for pot in self.money)
        return (
            bool(self.covering)
            or any(each.by_call for each in charges)
            or (shared and any(each.included for each in charges))
        )

    def _currency(self) -> str | None:
        found = sorted({version.plan.currency for version in self.versions()})
        if len(found) > 1:
            raise TwoCurrencies(
                f"the plans of tenant {self.tenant_id} change from {' to '.join(found)} within the period that begins"
                f" {self.since.isoformat()}: let the change begin with a period"
            )
        return found[0] if found else None

    def _of_plans(self) -> Iterator[Grant]:
        """What the plans grant: each as its last version in the period says, from when the plan comes in force."""
        last = {version.plan.name: version.plan for version in self.versions()}
        for plan in last.values():
            begin = self.spans[self.spans_of(plan.name)[0]].since
            end = self.spans[self.spans_of(plan.name)[-1]].until
            for given in plan.grants:
                share = (
                    self.share(given.amount, self.spans_of(plan.name))
                    if CURRENCY.fullmatch(given.unit)
                    else self.count_share(given.amount, plan.name)
                )
                yield of_plan(given, plan.name, self.tenant_id, share, (begin, end))
