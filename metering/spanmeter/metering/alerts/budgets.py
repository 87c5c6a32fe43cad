"""Budgets as alerts see them: thresholds that were reached, and budgets that end before their window does."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final

from spanmeter.metering.alerts import wording
from spanmeter.metering.alerts.alert_rules import BudgetThreshold, Forecast
from spanmeter.metering.alerts.finding import Finding, Subject, Window, day_of

LAST: Final = datetime(9999, 1, 1, tzinfo=UTC)
"""The end of what has none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetState:
    """How far a budget is used up, for one value of its scope and the window under way.

    `until` is None for a window without an end: of all time, or a `rolling` one. `unit` is a currency, or what else is
    counted: tokens, requests. `thresholds` are parts of the limit. `recently` is what was used since `recent_since`, a
    moment of the window: the rate of late, None where it is not known.
    """

    name: str
    scope: Subject
    since: datetime
    until: datetime | None
    unit: str
    limit: Decimal
    spent: Decimal
    thresholds: Sequence[Decimal] = ()
    rolling: bool = False
    recently: Decimal | None = None
    recent_since: datetime | None = None

    def window(self, now: datetime) -> Window:
        """In which each threshold is told once; of one that rolls, a day."""
        return day_of(now) if self.rolling else Window(self.since, self.until or LAST)


def reached(
    states: Sequence[BudgetState], now: datetime, rule: BudgetThreshold
) -> Iterator[Finding]:
    """Every threshold that is reached, of every budget."""
    for state in states:
        for threshold in sorted(set(state.thresholds)):
            if state.limit > 0 and state.spent >= threshold * state.limit:
                yield _reached(state, threshold, now, rule)


def _reached(
    state: BudgetState, threshold: Decimal, now: datetime, rule: BudgetThreshold
) -> Finding:
    spent, limit = _amount(state.spent, state), _amount(state.limit, state)
    ends = "" if state.until is None else f" The window ends on {wording.moment(state.until)}."
    return Finding(
        *(rule.name, rule.kind),
        {"budget": state.name, **state.scope, "threshold": f"{threshold.normalize():f}"},
        state.window(now),
        f"Budget {state.name} has reached {threshold:.0%}: {wording.about(state.scope)}",
        f"{spent} of {limit} are used, {state.spent / state.limit:.0%}, since"
        f" {wording.moment(state.since)}.{ends}",
        {**_figures(state), "threshold": f"{threshold:f}"},
        lasting=state.rolling,
    )


def exhausted(states: Sequence[BudgetState], now: datetime, rule: Forecast) -> Iterator[Finding]:
    """Budgets that end before their window does if usage goes on as of late; not those that have ended already."""
    for state in states:
        rate = _rate(state, now)
        if state.until is None or state.spent >= state.limit or rate <= 0:
            continue
        over = Decimal(str((now - state.since) / (state.until - state.since)))
        left = (state.limit - state.spent) / rate
        if over >= rule.elapsed and left < _seconds(state.until - now):
            end = now + timedelta(seconds=float(left))
            yield _exhausted(state, state.until, end, rate, rule)


def _exhausted(
    state: BudgetState, until: datetime, end: datetime, rate: Decimal, rule: Forecast
) -> Finding:
    a_day = rate * 86400
    projected = state.limit + rate * _seconds(until - end)
    return Finding(
        *(rule.name, rule.kind),
        {"budget": state.name, **state.scope},
        Window(state.since, until),
        f"Budget {state.name} will be exhausted on the {_ordinal(end.day)}: {wording.about(state.scope)}",
        f"{_amount(state.spent, state)} of {_amount(state.limit, state)} are used; at"
        f" {_amount(a_day, state)} a day the rest lasts until {wording.moment(end)}, and the window ends on"
        f" {wording.moment(until)}, by when it would be {_amount(projected, state)}.",
        {**_figures(state), "exhausted_at": end.isoformat(), "rate_per_day": f"{a_day:.6f}"},
        lasting=False,
    )


def _rate(state: BudgetState, now: datetime) -> Decimal:
    """What is used in a second, of late."""
    spent, since = state.spent, state.since
    if state.recently is not None and state.recent_since is not None and state.recent_since < now:
        spent, since = state.recently, max(state.recent_since, state.since)
    seconds = _seconds(now - since)
    return spent / seconds if seconds > 0 else Decimal(0)


def _seconds(length: timedelta) -> Decimal:
    return Decimal(str(length.total_seconds()))


def _figures(state: BudgetState) -> dict[str, str]:
    return {"spent": f"{state.spent:f}", "limit": f"{state.limit:f}", "unit": state.unit}


def _amount(amount: Decimal, state: BudgetState) -> str:
    if len(state.unit) == 3 and state.unit.isupper():
        return wording.money(amount, state.unit)
    return f"{amount:,.0f} {state.unit}"


def _ordinal(day: int) -> str:
    ending = "th" if day in {11, 12, 13} else {1: "st", 2: "nd", 3: "rd"}.get(day % 10, "th")
    return f"{day}{ending}"
