"""Usage of a period by time and one dimension, asked for once: totals, trends, shares and the chart come of it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from typing import Final

from spanmeter.console.web.asked_period import AskedPeriod
from spanmeter.console.web.breakdown import (
    ALL,
    OTHERS,
    Chart,
    Line,
    Series,
    Totals,
    lines_of,
    periods_of,
    totals_of,
    weight,
)
from spanmeter.console.web.usage_sums import UsageAsked, UsageRow, usage_sums
from spanmeter.console.web.view import View
from spanmeter.metering.costing import EXACT, NO_MONEY

_HOURS: Final = timedelta(days=3)
"""Periods up to this long are shown by hour."""

_CELLS: Final = 1_000_000
"""More than a period has days and values that anybody looks through."""

_COUNTS: Final = (
    *("requests", "failed_requests", "unpriced_requests", "input_tokens"),
    *("cache_read_input_tokens", "cache_write_input_tokens", "output_tokens"),
    "reasoning_output_tokens",
)


@dataclass(frozen=True, slots=True)
class Sheet:
    """What was used by `grain` (day or hour) and `by`, in one currency; `everything` has the others as well."""

    view: View
    by: str
    period: AskedPeriod
    grain: str
    currency: str
    everything: Sequence[UsageRow]

    @classmethod
    def read(cls, view: View, by: str, period: AskedPeriod, currency: str | None = None) -> "Sheet":
        """The period's, in the currency that was asked for, or the one with most requests. Raises Problem 400."""
        grain = "hour" if period.until - period.since <= _HOURS and not view.own else "day"
        rows = usage_sums(view, UsageAsked([grain, by], period, limit=_CELLS))
        chosen = totals_of(_added(rows, "currency"), currency)
        return cls(view, by, period, grain, chosen.currency, rows)

    @property
    def rows(self) -> list[UsageRow]:
        """Those of the currency."""
        return [row for row in self.everything if row.currency == self.currency]

    def totals(self) -> Totals:
        """Of the whole period."""
        return totals_of(_added(self.everything, "currency"), self.currency)

    def before(self) -> list[UsageRow]:
        """The period before, by the same dimension."""
        asked = UsageAsked([self.by], self.period.before, limit=ALL)
        rows = usage_sums(self.view, asked)
        return [row for row in rows if row.currency == self.currency]

    def lines(self, before: Sequence[UsageRow] = ()) -> list[Line]:
        """Each value of the dimension, greatest first, and how it has grown since the period before."""
        return lines_of(self.view, self.by, _added(self.rows, self.by), before)

    def trend(self) -> dict[str, list[Decimal]]:
        """Cost, requests and tokens of each day, for a line in small."""
        days = {str(row.dimensions["day"]): row for row in self._by_day()}
        found = [days.get(at) for at in periods_of(self.period, "day")]
        return {
            "cost": [NO_MONEY if row is None else row.cost or NO_MONEY for row in found],
            "requests": [Decimal(0 if row is None else row.requests) for row in found],
            "tokens": [
                Decimal(0 if row is None else row.input_tokens + row.output_tokens) for row in found
            ],
        }

    def chart(self, most: int = 6) -> Chart:
        """Cost, or requests where that is not shown, by time and value; the smaller ones as one."""
        names = [line.name or "(none)" for line in self.lines()]
        greatest, rest = names[:most], names[most:]
        cells: dict[tuple[str, str], Decimal] = {}
        for row in self.rows:
            name = row.dimensions[self.by] or "(none)"
            at = name if name in greatest else OTHERS, str(row.dimensions[self.grain])
            cells[at] = EXACT.add(cells.get(at, NO_MONEY), weight(row, self.view))
        periods = periods_of(self.period, self.grain)
        series = [
            Series(name, [cells.get((name, at), NO_MONEY) for at in periods])
            for name in [*greatest, *([OTHERS] if rest else [])]
        ]
        unit = self.currency if self.view.cost else "requests"
        return Chart(periods, series, unit, self.view.cost)

    def _by_day(self) -> list[UsageRow]:
        if self.grain == "day":
            return _added(self.rows, "day")
        dated = (
            row._replace(dimensions={"day": str(row.dimensions["hour"])[:10]}) for row in self.rows
        )
        return _added(dated, "day")


def total_before(sheet: Sheet, before: Sequence[UsageRow]) -> Totals:
    """What the period before came to."""
    found = totals_of(_added(before, "currency"), sheet.currency)
    return found if found.currency == sheet.currency else replace(found, currency=sheet.currency)


def _added(rows: Iterable[UsageRow], by: str) -> list[UsageRow]:
    """The rows added up by one dimension, or by currency, exactly."""
    sums: dict[str | None, UsageRow] = {}
    for row in rows:
        value = row.currency if by == "currency" else row.dimensions[by]
        kept = sums.get(value)
        named = row._replace(dimensions={} if by == "currency" else {by: value})
        sums[value] = named if kept is None else _sum(kept, named)
    return list(sums.values())


def _sum(one: UsageRow, other: UsageRow) -> UsageRow:
    counts = {name: getattr(one, name) + getattr(other, name) for name in _COUNTS}
    costs = [each for each in (one.cost, other.cost) if each is not None]
    cost = EXACT.add(costs[0], costs[1]) if len(costs) > 1 else (costs[0] if costs else None)
    return one._replace(**counts, cost=cost)
