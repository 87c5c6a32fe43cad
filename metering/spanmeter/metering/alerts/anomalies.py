"""Spikes with their likely cause: a tenant in a loop, the whole platform shifted, an integration broken.

What is judged first explains the rest: tenants that are up because everybody is are not told one by one.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Final, NamedTuple

from spanmeter.metering.alerts import anomaly_findings as findings
from spanmeter.metering.alerts.alert_rules import Anomaly
from spanmeter.metering.alerts.finding import Finding, Subject
from spanmeter.metering.alerts.integrations import Broken, broken_integrations
from spanmeter.metering.alerts.shifts import Shift, shift
from spanmeter.metering.alerts.spikes import (
    HORIZONS,
    INTEGRATION,
    PLATFORM,
    TENANT,
    Grain,
    Spike,
    spikes,
)
from spanmeter.metering.alerts.usage import Matched, Period, UsageHistory, matched

_Place = tuple[str, str | None]
"""A currency and a feature."""

_ALL: Final = "\0"
"""In place of a feature: all of them. No name holds it."""

_MOST: Final = Decimal("0.6")
"""The part of an excess that explains it."""


class Seen(NamedTuple):
    """A period and its usage, with the spikes in it by grain, and the integrations that are broken."""

    history: UsageHistory
    rule: Anomaly
    period: Period
    usage: Matched
    tenants: Sequence[Spike]
    integrations: Sequence[Spike]
    platform: Sequence[Spike]
    broken: Sequence[Broken]

    def of(self, spike: Spike) -> Matched:
        """The usage that a spike is made of."""
        return self.usage.by(lambda key: key if spike.grain.key(key) == spike.key else None)


def anomalies(history: UsageHistory, now: datetime, rule: Anomaly) -> list[Finding]:
    """What is out of proportion up to now, each once: sudden ones first, then what took a day to be seen."""
    latest = matched(history, Period.trailing(now, HORIZONS[0]))
    found: dict[tuple[object, ...], Finding] = {}
    for hours in HORIZONS:
        for finding in _explained(
            _seen(history, Period.trailing(now, hours), latest, rule, patient=False)
        ):
            found.setdefault(tuple(sorted(finding.subject.items())), finding)
    return [finding._replace(rule=rule.name) for finding in found.values()]


def lasting(history: UsageHistory, now: datetime, rule: Anomaly) -> list[Subject]:
    """Whose usage is half way back to what is usual at most, whatever its cause: an alert about them is not over."""
    rule = _relaxed(rule)
    latest = matched(history, Period.trailing(now, HORIZONS[0]))
    still: list[Subject] = []
    for hours in HORIZONS:
        seen = _seen(history, Period.trailing(now, hours), latest, rule, patient=True)
        still += [spike.subject for spike in (*seen.tenants, *seen.integrations, *seen.platform)]
        still += [INTEGRATION.subject(each.key) for each in seen.broken]
    return still


def _relaxed(rule: Anomaly) -> Anomaly:
    return replace(
        rule,
        factor=1 + (rule.factor - 1) / 2,
        platform_factor=1 + (rule.platform_factor - 1) / 2,
        deviations=rule.deviations / 3,
        minimum_cost=rule.minimum_cost / 10,
        failed_share=rule.failed_share / 2,
        failed_requests=max(rule.failed_requests // 10, 1),
    )


def _seen(
    history: UsageHistory, period: Period, latest: Matched, rule: Anomaly, *, patient: bool
) -> Seen:
    usage = latest if period.hours == HORIZONS[0] else matched(history, period)

    def of(grain: Grain) -> list[Spike]:
        return list(spikes(history, usage, period, grain, rule, patient=patient))

    tenants, integrations = of(TENANT), of(INTEGRATION)
    broken = [
        each
        for each in broken_integrations(history, usage, latest, period, rule, integrations)
        if not _one_tenants(usage, tenants, each)
    ]
    return Seen(history, rule, period, usage, tenants, integrations, of(PLATFORM), broken)


def _explained(seen: Seen) -> Iterator[Finding]:
    for each in seen.broken:
        yield findings.integration_broken(seen.period, seen.usage, each)
    shifted = _shifted(seen)
    for spike, how in shifted.items():
        yield findings.platform_shifted(seen.history, seen.period, seen.of(spike), spike, how)
    common = _common(seen, shifted)
    told = [
        spike
        for spike in seen.tenants
        if not _in_line(seen, spike, common) and not _of_broken(seen, spike)
    ]
    for spike in told:
        yield findings.tenant_spike(seen.history, seen.period, seen.of(spike), spike)
    yield from _unexplained(seen, shifted, common, told)


def _shifted(seen: Seen) -> dict[Spike, Shift]:
    """Where most tenants are up: everywhere; or in integrations, where it is not everywhere."""
    everywhere = {
        spike: how
        for spike in seen.platform
        if _broken_part(seen, spike) < _MOST and (how := shift(seen.of(spike))).common
    }
    broken = {each.key for each in seen.broken}
    common = _common(seen, everywhere)
    places = {
        spike: how
        for spike in seen.integrations
        if spike.key not in broken
        and not _in_line(seen, spike, common)
        and (how := shift(seen.of(spike))).common
    }
    if len(places) == 1:
        # It is one integration that everybody uses more of.
        (place,) = places
        everywhere = {
            spike: how
            for spike, how in everywhere.items()
            if spike.currency != place.currency or place.excess < _MOST * spike.excess
        }
    return {**everywhere, **places}


def _common(seen: Seen, shifted: Mapping[Spike, Shift]) -> dict[_Place, Decimal]:
    """How many times as much most tenants use: everywhere, be it too little to be told, and of a feature."""
    currencies = {spike.currency for spike in (*seen.tenants, *seen.integrations)}
    everywhere = {each: shift(_of_currency(seen.usage, each)) for each in currencies}
    return {
        **{(currency, _ALL): how.factor for currency, how in everywhere.items() if how.common},
        **{
            (spike.currency, spike.key[2] if spike.grain == INTEGRATION else _ALL): how.factor
            for spike, how in shifted.items()
        },
    }


def _of_currency(usage: Matched, currency: str) -> Matched:
    return usage.by(lambda key: key if key[0] == currency else None)


def _broken_part(seen: Seen, spike: Spike) -> Decimal:
    """The part of everybody's excess that goes through what is broken."""
    lost = sum(each.excess for each in seen.broken if each.key[0] == spike.currency)
    return lost / spike.excess


def _one_tenants(usage: Matched, tenants: Sequence[Spike], broken: Broken) -> bool:
    """Whether it is one tenant alone that makes it, while others use the integration, too."""
    inside = usage.by(lambda key: key if INTEGRATION.key(key) == broken.key else None)
    calls = inside.by(lambda key: (key[1],))
    failed = {key: used.failed_requests for key, used in calls.now.items()}
    most = max(failed.values(), default=Decimal(0))
    alone = most >= Decimal("0.9") * sum(failed.values()) and len(failed) > 1
    return alone and any(
        spike.key[2] == broken.key[2] and spike.key[1] == key[0]
        for spike in tenants
        for key, count in failed.items()
        if count == most
    )


def _in_line(seen: Seen, spike: Spike, common: Mapping[_Place, Decimal]) -> bool:
    """Whether a spike is none beyond what all have."""
    return any(
        spike.factor < seen.rule.factor * common[place]
        for place in ((spike.currency, _ALL), (spike.currency, spike.key[2]))
        if place in common
    )


def _of_broken(seen: Seen, spike: Spike) -> bool:
    """Whether most of a tenant's spike went through an integration that is broken."""
    places = {each.key for each in seen.broken}
    if not places:
        return False
    usage = seen.of(spike)
    through = usage.by(lambda key: ("broken",) if INTEGRATION.key(key) in places else None)
    excess = sum(used.cost for used in through.now.values()) - through.expected(("broken",)).cost
    return excess >= _MOST * spike.excess


def _unexplained(
    seen: Seen,
    shifted: Mapping[Spike, Shift],
    common: Mapping[_Place, Decimal],
    told: Sequence[Spike],
) -> Iterator[Finding]:
    """Integrations, then everybody, whose excess is nobody's of whom was told, nor that of one tenant."""
    broken = {each.key for each in seen.broken}
    left = [
        spike
        for spike in seen.integrations
        if spike.key not in broken
        and spike not in shifted
        and not _in_line(seen, spike, common)
        and _part_of(spike, told) < _MOST
    ]
    parts = [*told, *left, *(each for each in shifted if each.grain == INTEGRATION)]
    everywhere = [
        spike
        for spike in seen.platform
        if spike not in shifted and _part_of(spike, parts) + _broken_part(seen, spike) < _MOST
    ]
    for spike in [*left, *everywhere]:
        if not shift(seen.of(spike)).alone:
            yield findings.unexplained(seen.of(spike), spike)


def _part_of(spike: Spike, by: Sequence[Spike]) -> Decimal:
    """The part of a spike's excess that these have."""
    inside = [
        each.excess
        for each in by
        if each.currency == spike.currency
        and (spike.grain == PLATFORM or each.key[2] == spike.key[2])
    ]
    return sum(inside, Decimal(0)) / spike.excess
