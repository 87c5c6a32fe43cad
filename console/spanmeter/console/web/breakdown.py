"""Sums for the pages: a period's totals beside those before, shares, and days by what is greatest."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Final, NamedTuple

from spanmeter.console.web.asked_period import AskedPeriod
from spanmeter.console.web.formats import change
from spanmeter.console.web.usage_sums import UsageAsked, UsageRow, usage_sums
from spanmeter.console.web.views import View

_ALL: Final = 100_000
"""Rows of one page at most: more than a period has days and models, or a ledger tenants that anybody looks through."""

OTHERS: Final = "others"

_HOURS: Final = timedelta(days=3)
"""Periods up to this long are shown by hour."""


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


def totals(view: View, period: AskedPeriod, currency: str | None = None) -> Totals:
    """The period's totals, in the currency that was asked for, or the one with most requests."""
    rows = usage_sums(view, UsageAsked((), period, limit=_ALL))
    rows.sort(key=lambda row: -row.requests)
    chosen = next((row for row in rows if row.currency == currency), rows[0] if rows else None)
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
        others=tuple(row for row in rows if row is not chosen),
    )


def costs_by_currency(view: View, period: AskedPeriod) -> dict[str, Decimal]:
    """What everything of the period costs."""
    rows = usage_sums(view, UsageAsked((), period, limit=_ALL))
    return {row.currency: row.cost for row in rows if row.cost is not None}


def lines(
    view: View, by: str, period: AskedPeriod, currency: str, *, compared: bool = False
) -> list[Line]:
    """Each value of a dimension, greatest first; `compared`: with how it has grown since the period before."""
    rows = _of_currency(view, [by], period, currency)
    rows.sort(key=lambda row: (_weight(row, view), row.requests), reverse=True)
    before = _of_currency(view, [by], period.before, currency) if compared else []
    earlier = {row.dimensions[by]: _weight(row, view) for row in before}
    whole = sum((_weight(row, view) for row in rows), Decimal())
    greatest = max((_weight(row, view) for row in rows), default=Decimal())
    return [
        Line(
            row.dimensions[by],
            row,
            _weight(row, view) / whole if whole > 0 else None,
            max(_weight(row, view) / greatest, Decimal()) if greatest > 0 else Decimal(),
            change(_weight(row, view), earlier.get(row.dimensions[by])),
        )
        for row in rows
    ]


def over_time(view: View, by: str, period: AskedPeriod, currency: str, most: int = 6) -> Chart:
    """Cost, or requests where that is not shown, by period and value of a dimension; the smaller ones as one."""
    grain = "hour" if period.until - period.since <= _HOURS and not view.own else "day"
    rows = _of_currency(view, [grain, by], period, currency)
    sums: dict[str, Decimal] = defaultdict(Decimal)
    for row in rows:
        sums[_named(row, by)] += _weight(row, view)
    greatest = sorted(sums, key=lambda name: -sums[name])[:most]
    cells: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
    for row in rows:
        name = _named(row, by)
        at = str(row.dimensions[grain])
        cells[name if name in greatest else OTHERS, at] += _weight(row, view)
    periods = _periods(period, grain)
    names = [*greatest, *([OTHERS] if len(sums) > most else [])]
    series = [Series(name, [cells[name, at] for at in periods]) for name in names]
    return Chart(periods, series, currency if view.cost else "requests", view.cost)


def daily_totals(view: View, period: AskedPeriod, currency: str) -> dict[str, list[Decimal]]:
    """Cost, requests and tokens of each day, for a line in small."""
    rows = {
        str(row.dimensions["day"]): row for row in _of_currency(view, ["day"], period, currency)
    }
    days = [rows.get(at) for at in _periods(period, "day")]
    return {
        "cost": [Decimal() if row is None else row.cost or Decimal() for row in days],
        "requests": [Decimal(0 if row is None else row.requests) for row in days],
        "tokens": [
            Decimal(0 if row is None else row.input_tokens + row.output_tokens) for row in days
        ],
    }


def _of_currency(
    view: View, by: Sequence[str], period: AskedPeriod, currency: str
) -> list[UsageRow]:
    rows = usage_sums(view, UsageAsked(by, period, limit=_ALL))
    return [row for row in rows if row.currency == currency]


def _weight(row: UsageRow, view: View) -> Decimal:
    return row.cost or Decimal() if view.cost else Decimal(row.requests)


def _named(row: UsageRow, by: str) -> str:
    return row.dimensions[by] or "(none)"


def _periods(period: AskedPeriod, grain: str) -> list[str]:
    step = timedelta(hours=1) if grain == "hour" else timedelta(days=1)
    form = "%Y-%m-%dT%H:00:00Z" if grain == "hour" else "%Y-%m-%d"
    at, found = period.since.replace(minute=0, second=0, microsecond=0), list[str]()
    while at < period.until:
        found.append(f"{at:{form}}")
        at += step
    return found
