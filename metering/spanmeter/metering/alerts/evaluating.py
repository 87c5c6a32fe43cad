"""All rules, judged at one moment."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

from spanmeter.metering.alerts import budgets, peers, shares, silences
from spanmeter.metering.alerts.alert_rules import (
    AlertRule,
    Anomaly,
    BudgetThreshold,
    Forecast,
    MissingRecords,
    PeerCost,
    ProviderGap,
    UnattributedShare,
    UnpricedShare,
)
from spanmeter.metering.alerts.anomalies import anomalies, lasting
from spanmeter.metering.alerts.budgets import BudgetState
from spanmeter.metering.alerts.finding import Finding, Subject
from spanmeter.metering.alerts.usage import UsageHistory


class Moment(NamedTuple):
    """What rules are judged by: usage, and the budgets, as of `now` (UTC)."""

    now: datetime
    history: UsageHistory
    budgets: Sequence[BudgetState]


def evaluate(rule: AlertRule, moment: Moment) -> list[Finding]:
    """What one rule finds."""
    return list(_DETECTORS[type(rule)](rule, moment))


def over(rule: AlertRule, subjects: Sequence[Subject], moment: Moment) -> list[Subject]:
    """Of the subjects of alerts that the rule has told and does not find any more, those for whom it is over."""
    if not isinstance(rule, Anomaly) or not subjects:
        return list(subjects)
    # What comes and goes about a limit is one alert, not many.
    still = lasting(moment.history, moment.now, rule)
    return [subject for subject in subjects if subject not in still]


# The type of each rule is its key: a table instead of a chain of isinstance.
_DETECTORS: Final[Mapping[type[AlertRule], Callable[[Any, Moment], Iterable[Finding]]]] = {
    BudgetThreshold: lambda rule, at: budgets.reached(at.budgets, at.now, rule),
    Forecast: lambda rule, at: budgets.exhausted(at.budgets, at.now, rule),
    Anomaly: lambda rule, at: anomalies(at.history, at.now, rule),
    PeerCost: lambda rule, at: peers.peers(at.history, at.now, rule),
    UnattributedShare: lambda rule, at: shares.unattributed(at.history, at.now, rule),
    UnpricedShare: lambda rule, at: shares.unpriced(at.history, at.now, rule),
    ProviderGap: lambda rule, at: silences.gaps(at.history, at.now, rule),
    MissingRecords: lambda rule, at: silences.missing(at.history, at.now, rule),
}
