"""Sums for the pages: totals, shares and growth, series for charts."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Final, NamedTuple

from spanmeter.console.web.asked_period import AskedPeriod
from spanmeter.console.web.formats import change
from spanmeter.console.web.usage_sums import UsageAsked, UsageRow, usage_sums
from spanmeter.console.web.view import View
from spanmeter.metering.costing import EXACT, NO_MONEY

ALL: Final = 100_000
"""Rows of one page at most: more than a period has days and models, or a ledger tenants that anybody looks through."""

OTHERS: Final = "others"


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums of one currency. `others`: the totals in other currencies, which are never added to these."""

    currency: str
    requests: int = 0
    failed_requests: int = 0
    unpriced_requests: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost: Decimal | None = None
    others: tuple[UsageRow, ...] = ()

    @property
    def tokens(self) -> int:
        """In and out."""
        return self.input_tokens + self.output_tokens


class Line(NamedTuple):
    """One value of a dimension, with its sums. `share` is its part of all, `width` of the greatest, from 0 to 1."""

    name: str | None
    row: UsageRow
    share: Decimal | None
    width: Decimal
    growth: Decimal | None

    @property
    def tokens(self) -> int:
        """In and out."""
        return self.row.input_tokens + self.row.output_tokens


class Series(NamedTuple):
    """Values by period of one thing."""

    name: str
    values: Sequence[Decimal]


class Chart(NamedTuple):
    """Series over the same periods, for a chart and the table beside it. `unit`: a currency, or what is counted."""

    periods: Sequence[str]
    series: Sequence[Series]
    unit: str
    money: bool

    @property
    def empty(self) -> bool:
        """Whether there is nothing to see."""
        return not any(any(each.values) for each in self.series)


def totals_of(rows: Sequence[UsageRow], currency: str | None = None) -> Totals:
    """Of sums by currency those in the one that was asked for, or the one with most requests."""
    found = sorted(rows, key=lambda row: -row.requests)
    chosen = next((row for row in found if row.currency == currency), found[0] if found else None)
    if chosen is None:
        return Totals(currency or "USD")
    return Totals(
        currency=chosen.currency,
        requests=chosen.requests,
        failed_requests=chosen.failed_requests,
        unpriced_requests=chosen.unpriced_requests,
        input_tokens=chosen.input_tokens,
        output_tokens=chosen.output_tokens,
        cost=chosen.cost,
        others=tuple(row for row in found if row is not chosen),
    )


def totals(view: View, period: AskedPeriod, currency: str | None = None) -> Totals:
    """The period's totals, in the currency that was asked for, or the one with most requests."""
    return totals_of(usage_sums(view, UsageAsked((), period, limit=ALL)), currency)


def costs_by_currency(view: View, period: AskedPeriod) -> dict[str, Decimal]:
    """What everything of the period costs."""
    rows = usage_sums(view, UsageAsked((), period, limit=ALL))
    return {row.currency: row.cost for row in rows if row.cost is not None}


def lines(
    view: View, by: str, period: AskedPeriod, currency: str, *, compared: bool = False
) -> list[Line]:
    """Each value of a dimension, greatest first; `compared`: with how it has grown since the period before."""
    rows = _of_currency(view, by, period, currency)
    return lines_of(
        view, by, rows, _of_currency(view, by, period.before, currency) if compared else []
    )


def lines_of(
    view: View, by: str, rows: Sequence[UsageRow], before: Sequence[UsageRow]
) -> list[Line]:
    """Sums by a dimension as lines, greatest first, beside those before."""
    found = sorted(rows, key=lambda row: (weight(row, view), row.requests), reverse=True)
    earlier = {row.dimensions[by]: weight(row, view) for row in before}
    whole = NO_MONEY
    for row in found:
        whole = EXACT.add(whole, weight(row, view))
    greatest = max((weight(row, view) for row in found), default=NO_MONEY)
    return [
        Line(
            row.dimensions[by],
            row,
            weight(row, view) / whole if whole > 0 else None,
            max(weight(row, view) / greatest, NO_MONEY) if greatest > 0 else NO_MONEY,
            change(weight(row, view), earlier.get(row.dimensions[by])),
        )
        for row in found
    ]


def weight(row: UsageRow, view: View) -> Decimal:
    """What makes a row great: its cost, or its requests where that is not shown."""
    return row.cost or NO_MONEY if view.cost else Decimal(row.requests)


def periods_of(period: AskedPeriod, grain: str) -> list[str]:
    """The names of its days or hours, in their order."""
    step = timedelta(hours=1) if grain == "hour" else timedelta(days=1)
    form = "%Y-%m-%dT%H:00:00Z" if grain == "hour" else "%Y-%m-%d"
    at, found = period.since.replace(minute=0, second=0, microsecond=0), list[str]()
    while at < period.until:
        found.append(f"{at:{form}}")
        at += step
    return found


def _of_currency(view: View, by: str, period: AskedPeriod, currency: str) -> list[UsageRow]:
    rows = usage_sums(view, UsageAsked([by], period, limit=ALL))
    return [row for row in rows if row.currency == currency]
