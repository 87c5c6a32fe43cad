"""Which usage is out of proportion to its own past: of tenants, of integrations, and of all together."""

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from itertools import islice
from typing import Final, NamedTuple

import numpy as np

from spanmeter.metering.alerts.alert_rules import Anomaly
from spanmeter.metering.alerts.baseline import Judgement, judge
from spanmeter.metering.alerts.finding import Subject
from spanmeter.metering.alerts.usage import (
    HOUR,
    WEEK,
    WEEKS,
    Key,
    Matched,
    Period,
    UsageHistory,
    Who,
)

HORIZONS: Final = (3, 24)
"""Hours that are looked at together: a few for what is sudden, a day for what is not large in an hour."""

MOST: Final = 200
"""Series of a kind whose whole history is read in one round; those with most money first."""

_WORTH_A_LOOK: Final = Decimal("1.2")
"""Times the median of the same hours before: from then on the whole history is asked."""


class Grain(NamedTuple):
    """By what usage is told apart."""

    dimensions: tuple[str, ...]

    def key(self, key: Key) -> Key:
        """Where the usage of this `Who` belongs."""
        who = Who._make(key)
        return tuple(getattr(who, dimension) for dimension in self.dimensions)

    def subject(self, key: Key) -> Subject:
        """The same by name."""
        return dict(zip(self.dimensions, key, strict=True))


TENANT: Final = Grain(("currency", "tenant_id", "feature"))
INTEGRATION: Final = Grain(("currency", "service_name", "feature"))
PLATFORM: Final = Grain(("currency",))


class Spike(NamedTuple):
    """Usage above what was to be expected: amounts of money, how often and how far, and since when."""

    grain: Grain
    key: Key
    period: Period
    since: datetime
    actual: Decimal
    expected: Decimal
    factor: Decimal
    deviations: Decimal

    @property
    def excess(self) -> Decimal:
        """What is more than expected."""
        return self.actual - self.expected

    @property
    def currency(self) -> str:
        """Of the amounts."""
        return str(self.key[0])

    @property
    def subject(self) -> Subject:
        """Whose it is."""
        return self.grain.subject(self.key)


def spikes(
    history: UsageHistory,
    seen: Matched,
    period: Period,
    grain: Grain,
    rule: Anomaly,
    *,
    patient: bool,
) -> Iterator[Spike]:
    """Those of a grain in a period, the most expensive first; with `patient` those, too, of which it cannot be told yet
    whether they are over."""
    factor = rule.platform_factor if grain == PLATFORM else rule.factor
    for key, actual in islice(_worth_a_look(seen.by(grain.key), rule), MOST):
        judged = _judged(history, grain.subject(key), period, rule)
        if judged is None or not (judged.lasting if patient else judged.elevated):
            continue
        expected = Decimal(str(round(judged.expected, 6)))
        if (
            judged.factor >= factor
            and judged.deviations >= rule.deviations
            and actual - expected >= rule.minimum_cost
        ):
            yield Spike(
                *(grain, key, period, period.until - judged.elevated * HOUR, actual, expected),
                Decimal(str(round(judged.factor, 2))),
                Decimal(str(round(judged.deviations, 1))),
            )


def _worth_a_look(grouped: Matched, rule: Anomaly) -> Iterator[tuple[Key, Decimal]]:
    excess = {
        key: used.cost - grouped.expected(key).cost
        for key, used in grouped.now.items()
        if used.cost >= rule.minimum_cost
        and used.cost >= _WORTH_A_LOOK * grouped.expected(key).cost
    }
    for key in sorted(excess, key=excess.__getitem__, reverse=True):
        yield key, grouped.now[key].cost


def _judged(
    history: UsageHistory, subject: Subject, period: Period, rule: Anomaly
) -> Judgement | None:
    earliest = period.since - (WEEKS + 1) * WEEK
    costs = {hour: float(cost) for hour, cost in history.hourly(subject, earliest, period.until)}
    first = min(costs, default=period.since)
    known = (period.since - first) // HOUR
    if known < rule.history_days * 24:
        return None
    hours = np.array([costs.get(first + n * HOUR, 0.0) for n in range(known + period.hours)])
    # Corrections may take away more than an hour has.
    hours = np.maximum(hours, 0.0)
    return judge(hours[:known], hours[known:], float(period.last))
