"""Integrations that are broken: a service's feature whose calls fail, are tried again, or bring back little."""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Final, NamedTuple

from spanmeter.metering.alerts.alert_rules import Anomaly
from spanmeter.metering.alerts.shifts import failed_share, ratios
from spanmeter.metering.alerts.spikes import INTEGRATION, Spike
from spanmeter.metering.alerts.usage import Key, Matched, Pattern, Period, Usage, UsageHistory

_COLLAPSED: Final = Decimal("0.3")
"""Of the usual output per call: what is less is no answer."""

_RETRIED: Final = Decimal("0.3")
"""The part of calls that are retries, from which on something refuses them."""


class Broken(NamedTuple):
    """An integration, its usage and what was to be expected, and what shows that it is broken."""

    key: Key
    actual: Usage
    expected: Usage
    signs: Sequence[str]

    @property
    def excess(self) -> Decimal:
        """Cost above what was to be expected."""
        return max(self.actual.cost - self.expected.cost, Decimal(0))


def broken_integrations(
    history: UsageHistory,
    seen: Matched,
    latest: Matched,
    period: Period,
    rule: Anomaly,
    spikes: Sequence[Spike],
) -> Iterator[Broken]:
    """Those whose calls fail out of proportion, and of those that cost too much the ones that show other signs.

    What has been mended by the `latest` hours is over.
    """
    grouped, last = seen.by(INTEGRATION.key), latest.by(INTEGRATION.key)
    costly = {spike.key for spike in spikes}
    for key, actual in grouped.now.items():
        if sum(key in week and week[key].requests > 0 for week in grouped.before) < 2:
            continue
        expected = grouped.expected(key)
        signs: list[str] = []
        if _above(last.now.get(key, Usage()), expected, rule):
            signs += _failing(actual, expected, rule)
        if key in costly:
            subject = INTEGRATION.subject(key)
            pattern = history.pattern(subject, period.since, period.until)
            signs += _silent_signs(actual, expected, pattern)
        if signs:
            yield Broken(key, actual, expected, signs)


def _failing(actual: Usage, expected: Usage, rule: Anomaly) -> Iterator[str]:
    if actual.failed_requests >= rule.failed_requests and _above(actual, expected, rule):
        yield f"{failed_share(actual):.0%} of its requests fail, {failed_share(expected):.0%} did"


def _above(used: Usage, expected: Usage, rule: Anomaly) -> bool:
    return failed_share(used) >= failed_share(expected) + rule.failed_share


def _silent_signs(actual: Usage, expected: Usage, pattern: Pattern) -> Iterator[str]:
    moved = ratios(actual, expected)
    if expected.output_tokens > 0 and moved.output_per_call <= _COLLAPSED and moved.requests > 1:
        yield f"a call brings back {moved.output_per_call:.0%} of its usual output"
    if pattern.retried >= _RETRIED:
        yield f"{pattern.retried:.0%} of its calls are retries"
