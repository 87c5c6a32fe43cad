"""Budgets as alerts see them: thresholds that were reached, and budgets that end before their window does."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from spanmeter.metering.alerts import wording
from spanmeter.metering.alerts.alert_rules import BudgetThreshold, Forecast
from spanmeter.metering.alerts.finding import Finding, Subject, Window


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetState:
    """How far a budget is used up, for one value of its scope and the window under way.

    `unit` is a currency, or what else is counted: tokens, requests. `thresholds` are parts of the limit. `recently` is
    what was used since `recent_since`, a moment of the window: the rate of late, None where it is not known.
    """

    name: str
    scope: Subject
    since: datetime
    until: datetime
    unit: str
    limit: Decimal
    spent: Decimal
    thresholds: Sequence[Decimal] = ()
    recently: Decimal | None = None
    recent_since: datetime | None = None

    @property
    def window(self) -> Window:
        """In which each threshold is told once."""
        return Window(self.since, self.until)


def reached(states: Sequence[BudgetState], rule: BudgetThreshold) -> Iterator[Finding]:
    """Every threshold that is reached, of every budget."""
    for state in states:
        for threshold in sorted(set(state.thresholds)):
            if state.limit > 0 and state.spent >= threshold * state.limit:
                yield _reached(state, threshold, rule)


def _reached(state: BudgetState, threshold: Decimal, rule: BudgetThreshold) -> Finding:
    spent, limit = _amount(state.spent, state), _amount(state.limit, state)
    return Finding(
        *(rule.name, rule.kind),
        {"budget": state.name, **state.scope, "threshold": f"{threshold.normalize():f}"},
        state.window,
        f"Budget {state.name} has reached {threshold:.0%}: {wording.about(state.scope)}",
        f"{spent} of {limit} are used, {state.spent / state.limit:.0%}, since"
        f" {wording.moment(state.since)}. The window ends on {wording.moment(state.until)}.",
        {**_figures(state), "threshold": f"{threshold:f}"},
    )


def exhausted(states: Sequence[BudgetState], now: datetime, rule: Forecast) -> Iterator[Finding]:
    """Budgets that end before their window does if usage goes on as of late; not those that have ended already."""
    for state in states:
        over = Decimal(str((now - state.since) / (state.until - state.since)))
        rate = _rate(state, now)
        if over < rule.elapsed or state.spent >= state.limit or rate <= 0:
            continue
        left = (state.limit - state.spent) / rate
        if left < Decimal(str((state.until - now).total_seconds())):
            yield _exhausted(state, now + timedelta(seconds=float(left)), rate, rule)


def _exhausted(state: BudgetState, end: datetime, rate: Decimal, rule: Forecast) -> Finding:
    a_day = rate * 86400
    projected = state.spent + rate * Decimal(str((state.until - end).total_seconds()))
    projected += state.limit - state.spent
    return Finding(
        *(rule.name, rule.kind),
        {"budget": state.name, **state.scope},
        state.window,
        f"Budget {state.name} will be exhausted on the {_ordinal(end.day)}: {wording.about(state.scope)}",
        f"{_amount(state.spent, state)} of {_amount(state.limit, state)} are used; at"
        f" {_amount(a_day, state)} a day the rest lasts until {wording.moment(end)}, and the window ends on"
        f" {wording.moment(state.until)}, by when it would be {_amount(projected, state)}.",
        {**_figures(state), "exhausted_at": end.isoformat(), "rate_per_day": f"{a_day:.6f}"},
    )


def _rate(state: BudgetState, now: datetime) -> Decimal:
    """What is used in a second, of late."""
    spent, since = state.spent, state.since
    if state.recently is not None and state.recent_since is not None and state.recent_since < now:
        spent, since = state.recently, max(state.recent_since, state.since)
    seconds = Decimal(str((now - since).total_seconds()))
    return spent / seconds if seconds > 0 else Decimal(0)


def _figures(state: BudgetState) -> dict[str, str]:
    return {"spent": f"{state.spent:f}", "limit": f"{state.limit:f}", "unit": state.unit}


def _amount(amount: Decimal, state: BudgetState) -> str:
    if len(state.unit) == 3 and state.unit.isupper():
        return wording.money(amount, state.unit)
    return f"{amount:,.0f} {state.unit}"


def _ordinal(day: int) -> str:
    ending = "th" if day in {11, 12, 13} else {1: "st", 2: "nd", 3: "rd"}.get(day % 10, "th")
    return f"{day}{ending}"
