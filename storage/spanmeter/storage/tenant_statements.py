"""Statements of tenants, worked out from ledger, plans and grants as they are, or were known at any moment."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from typing import Final

from spanmeter.metering.plans.billing_periods import BillingPeriod, following, period_at, period_of
from spanmeter.metering.plans.grants import Grant
from spanmeter.metering.plans.plan_book import PlanBook
from spanmeter.metering.statements.charging import charge
from spanmeter.metering.statements.course import Course
from spanmeter.metering.statements.late import late_lines
from spanmeter.metering.statements.line import Line
from spanmeter.metering.statements.statement import Charged, Statement
from spanmeter.storage import seals
from spanmeter.storage.closings import Closing, closings
from spanmeter.storage.connection import Connection
from spanmeter.storage.errors import LedgerIncomplete
from spanmeter.storage.grants import read_grants
from spanmeter.storage.plans import read_plan_book
from spanmeter.storage.statement_usage import (
    Asked,
    has_included,
    late_months,
    now,
    read_actions,
    read_usage,
)

_LONG_AGO: Final = 1200
"""Months, at most, that grants are followed back."""


class Statements:
    """Statements of this ledger, of one moment: in the transaction under way. Without `as_of` all that is known counts.

    What it raises beside DatabaseUnavailable: PlanError, TwoCurrencies; LedgerIncomplete where retention has dropped
    rows that a statement rests on.
    """

    def __init__(self, connection: Connection, as_of: datetime | None = None) -> None:
        self._connection = connection
        self.as_of = as_of
        self.moment = as_of or now(connection)
        self._everything = read_plan_book(connection)
        self._books: dict[datetime | None, PlanBook] = {None: self._everything}
        self._grants: dict[tuple[str, datetime | None], list[Grant]] = {}
        self._charged: dict[tuple[str, BillingPeriod, datetime | None], Charged] = {}
        dropped = seals.dropped_before(connection)
        self._dropped = [dropped[table] for table in seals.TABLES if table in dropped]

    def book(self, as_of: datetime | None = None) -> PlanBook:
        """The plans that were known by a moment."""
        if as_of not in self._books:
            self._books[as_of] = self._everything.as_of(as_of) if as_of else self._everything
        return self._books[as_of]

    def closed(self, tenant_id: str) -> list[Closing]:
        """The tenant's closed periods."""
        return closings(self._connection, tenant_id, self.as_of)

    def period(self, tenant_id: str, month: date) -> BillingPeriod:
        """The tenant's period of a month: as it was closed, or from the end of the last one that was."""
        closed = {each.month: each for each in self.closed(tenant_id)}
        return self._period(tenant_id, month, closed, self.as_of)

    def current(self, tenant_id: str) -> BillingPeriod:
        """The period that is now."""
        return period_at(self.book(self.as_of), tenant_id, self.moment)

    def of(self, tenant_id: str, month: date) -> Statement:
        """The statement of a period: of a closed one as it was then, of an open one to date."""
        closed = {each.month: each for each in self.closed(tenant_id)}
        closing = closed.get(month)
        if closing is None:
            return self._statement(tenant_id, month, closed, self.as_of)
        statement = self._statement(tenant_id, month, closed, closing.as_of)
        return replace(statement, closed_at=closing.closed_at, revision=closing.revision)

    def restated(self, tenant_id: str, month: date) -> Statement:
        """The statement of a period with all that is known, even if it is closed."""
        closed = {each.month: each for each in self.closed(tenant_id)}
        return self._statement(tenant_id, month, closed, self.as_of)

    def _statement(
        self, tenant_id: str, month: date, closed: Mapping[date, Closing], as_of: datetime | None
    ) -> Statement:
        period = self._period(tenant_id, month, closed, as_of)
        return Statement(
            tenant_id=tenant_id,
            month=period.name,
            as_of=as_of or self.moment,
            own=self.own(tenant_id, period, as_of),
            late=self._late(tenant_id, month, closed, as_of),
        )

    def changed_since(self, tenant_id: str, closing: Closing) -> list[Line]:
        """What became known of a closed period after it was closed."""
        period = BillingPeriod(closing.month, closing.since, closing.until)
        return self._differences(tenant_id, [period], closing.as_of, self.as_of)

    def own(self, tenant_id: str, period: BillingPeriod, as_of: datetime | None) -> Charged:
        """What a period's own usage comes to, as known by a moment."""
        key = tenant_id, period, as_of
        if key not in self._charged:
            before = self._before(tenant_id, period, as_of)
            self._charged[key] = self._charge(tenant_id, period, as_of, before)
        return self._charged[key]

    def _charge(
        self,
        tenant_id: str,
        period: BillingPeriod,
        as_of: datetime | None,
        before: Mapping[str, Decimal],
    ) -> Charged:
        self._refuse_dropped(tenant_id, period)
        asked = Asked(tenant_id, period.since, period.until, as_of)
        course = Course(
            self.book(as_of),
            tenant_id,
            period.since,
            period.until,
            self._granted(tenant_id, as_of),
            before,
        )
        wanted = course.wanted(included_usage=has_included(self._connection, asked))
        usage = read_usage(self._connection, asked, wanted)
        return charge(course, wanted, usage, read_actions(self._connection, asked, wanted))

    def _late(
        self, tenant_id: str, month: date, closed: Mapping[date, Closing], as_of: datetime | None
    ) -> list[Line]:
        """What is late for earlier periods: it is in the first statement after the last closed one."""
        previous = closed.get(following(month, -1))
        if previous is None:
            return []
        earlier = [
            BillingPeriod(each.month, each.since, each.until)
            for each in closed.values()
            if each.month < month
        ]
        return self._differences(tenant_id, earlier, previous.as_of, as_of)

    def _differences(
        self,
        tenant_id: str,
        periods: Sequence[BillingPeriod],
        after: datetime,
        as_of: datetime | None,
    ) -> list[Line]:
        if not periods:
            return []
        first, last = periods[0], periods[-1]
        asked = Asked(tenant_id, first.since, last.until, as_of)
        bounds = [(each.month, each.since, each.until) for each in periods]
        months = late_months(self._connection, asked, bounds, after)
        # What is late can use up a grant that a later period paid with.
        touched = [
            each
            for each in periods
            if not self._is_dropped(each)
            and (
                each.month in months
                or (
                    months
                    and each.month > months[0]
                    and self._depends_on_before(tenant_id, each, as_of)
                )
            )
        ]
        return [
            line
            for each in touched
            for line in late_lines(
                each.name,
                self.own(tenant_id, each, after).lines,
                self.own(tenant_id, each, as_of).lines,
            )
        ]

    def _before(
        self, tenant_id: str, period: BillingPeriod, as_of: datetime | None
    ) -> Mapping[str, Decimal]:
        """What was left of each grant when the period began."""
        if not self._depends_on_before(tenant_id, period, as_of):
            return {}
        closed = {each.month: each for each in self.closed(tenant_id)}
        left: Mapping[str, Decimal] = {}
        for each in self._chain(tenant_id, period, as_of, closed):
            closing = closed.get(each.month)
            if closing is not None and self._still(tenant_id, closing, closed, as_of):
                left = _left(closing)
            else:
                left = self._charge(tenant_id, each, as_of, left).left
        return left

    def _chain(
        self,
        tenant_id: str,
        period: BillingPeriod,
        as_of: datetime | None,
        closed: Mapping[date, Closing],
    ) -> list[BillingPeriod]:
        """The periods that have to be worked out before this one, oldest first: back to a known one, or the first."""
        begin = min(self._beginnings(tenant_id, as_of), default=period.since)
        chain: list[BillingPeriod] = []
        month = period.month
        for _ in range(_LONG_AGO):
            month = following(month, -1)
            each = self._period(tenant_id, month, closed, as_of)
            if each.until <= begin:
                break
            chain.append(each)
            closing = closed.get(month)
            if closing is not None and self._still(tenant_id, closing, closed, as_of):
                break
        return chain[::-1]

    def _still(
        self,
        tenant_id: str,
        closing: Closing,
        closed: Mapping[date, Closing],
        as_of: datetime | None,
    ) -> bool:
        """Whether a closed period comes to the same now: nothing is late for it or one before."""
        if as_of is not None and closing.as_of > as_of:
            return False
        earlier = [each for each in closed.values() if each.month <= closing.month]
        bounds = [(each.month, each.since, each.until) for each in earlier]
        asked = Asked(tenant_id, earlier[0].since, closing.until, as_of)
        return not late_months(self._connection, asked, bounds, closing.as_of)

    def _depends_on_before(
        self, tenant_id: str, period: BillingPeriod, as_of: datetime | None
    ) -> bool:
        lasting = any(
            each.effective_at < period.since < each.ends and (not each.recurring or _rolls(each))
            for each in self._granted(tenant_id, as_of)
        )
        return lasting or any(
            given.rollover_max > 0
            for span in self.book(as_of).spans(tenant_id, period.since, period.until)
            if span.version is not None
            for given in span.version.plan.grants
        )

    def _beginnings(self, tenant_id: str, as_of: datetime | None) -> Iterator[datetime]:
        yield from (each.effective_at for each in self._granted(tenant_id, as_of))
        book = self.book(as_of)
        if any(given.rollover_max > 0 for each in book.versions for given in each.plan.grants):
            yield from (
                max(each.effective_from, min(version.effective_from for version in book.versions))
                for each in book.assignments
                if each.tenant_id in {tenant_id, None}
            )

    def _period(
        self, tenant_id: str, month: date, closed: Mapping[date, Closing], as_of: datetime | None
    ) -> BillingPeriod:
        if (closing := closed.get(month)) is not None:
            return BillingPeriod(month, closing.since, closing.until)
        period = period_of(self.book(as_of), tenant_id, month)
        # No moment is charged twice, or not at all, when a plan that came later begins its periods elsewhere.
        if (previous := closed.get(following(month, -1))) is not None:
            period = period._replace(since=previous.until, until=max(previous.until, period.until))
        if (later := closed.get(following(month))) is not None:
            period = period._replace(until=later.since)
        return period

    def _granted(self, tenant_id: str, as_of: datetime | None) -> list[Grant]:
        key = tenant_id, as_of
        if key not in self._grants:
            self._grants[key] = read_grants(self._connection, tenant_id, as_of)
        return self._grants[key]

    def _refuse_dropped(self, tenant_id: str, period: BillingPeriod) -> None:
        if self._is_dropped(period):
            raise LedgerIncomplete(
                f"the statement {period.name} of tenant {tenant_id!r} cannot be worked out: rows of that time have left"
                " the ledger by their age"
            )

    def _is_dropped(self, period: BillingPeriod) -> bool:
        return any(before > period.since for before in self._dropped)


def _rolls(grant: Grant) -> bool:
    return grant.rollover_max > 0


def _left(closing: Closing) -> dict[str, Decimal]:
    return {each["grant"]: Decimal(each["left"]) for each in closing.read()["grants"]}
