"""Anomalies as findings: what is told of each cause. Whose rule asked is added by `anomalies`."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Final

from spanmeter.metering.alerts import wording
from spanmeter.metering.alerts.alert_rules import Anomaly
from spanmeter.metering.alerts.finding import Contributor, Finding, day_of
from spanmeter.metering.alerts.integrations import Broken
from spanmeter.metering.alerts.shifts import Ratios, Shift, contributors, failed_share, ratios
from spanmeter.metering.alerts.spikes import INTEGRATION, Spike
from spanmeter.metering.alerts.usage import (
    HOUR,
    WEEK,
    Matched,
    Pattern,
    Period,
    Usage,
    UsageHistory,
    total,
)

TENANT_LOOPING: Final = "tenant_looping"
TENANT_BUSIER: Final = "tenant_busier"
PLATFORM_SHIFTED: Final = "platform_shifted"
INTEGRATION_BROKEN: Final = "integration_broken"
UNEXPLAINED: Final = "unexplained"

_MORE_CALLS: Final = Decimal(3)
"""Times the usual calls, from which on a tenant may be in a loop."""

_MONOTONOUS: Final = Decimal("0.5")
"""The part of calls that are alike: of one size, or of one workflow."""

_TENANT, _SERVICE = 1, 3  # places in `Who`


def tenant_spike(history: UsageHistory, period: Period, usage: Matched, spike: Spike) -> Finding:
    """A tenant uses more of a feature; in a loop, if it looks like one."""
    actual, expected = _both(usage)
    moved = ratios(actual, expected)
    pattern = history.pattern(spike.subject, spike.since, period.until)
    alike = max(pattern.same_size, pattern.same_workflow) >= _MONOTONOUS
    looping = moved.requests >= _MORE_CALLS and alike
    who = wording.name(spike.key[1])
    place = wording.name(spike.key[2], "calls without a feature")
    title = (
        f"Tenant {who} looks caught in a loop in {place}"
        if looping
        else f"Tenant {who} uses {wording.times(spike.factor)} the usual of {place}"
    )
    told = f"{_money(spike)} {_moved(moved)} {_pattern(pattern, actual, expected, period)}"
    return _finding(
        spike,
        title,
        told,
        TENANT_LOOPING if looping else TENANT_BUSIER,
        contributors(usage, _SERVICE),
    )


def platform_shifted(
    history: UsageHistory, period: Period, usage: Matched, spike: Spike, how: Shift
) -> Finding:
    """Most tenants cost more by a like factor: a model, a price, or a prompt has changed."""
    actual, expected = _both(usage)
    place = "" if spike.grain != INTEGRATION else f" in {wording.about(spike.subject)}"
    told = (
        f"{_money(spike)} {how.up:.0%} of {how.tenants} tenants are up, usually by"
        f" {wording.times(how.factor)}. {_moved(ratios(actual, expected))}{_models(history, spike, period)}"
    )
    return _finding(
        spike,
        f"All tenants together cost {wording.times(spike.factor)} the usual{place}",
        told,
        PLATFORM_SHIFTED,
        contributors(usage, _TENANT),
    )


def integration_broken(period: Period, usage: Matched, broken: Broken) -> Finding:
    """An integration's calls fail, are tried again, or bring back nothing."""
    inside = usage.by(lambda key: key if INTEGRATION.key(key) == broken.key else None)
    subject = INTEGRATION.subject(broken.key)
    currency = str(broken.key[0])
    told = (
        f"Since {wording.moment(period.since)}: {', and '.join(broken.signs)};"
        f" {broken.actual.requests:,.0f} requests, {broken.expected.requests:,.0f} were to be expected;"
        f" {wording.money(broken.actual.cost, currency)} instead of"
        f" {wording.money(broken.expected.cost, currency)}."
    )
    figures = {
        "actual_cost": f"{broken.actual.cost:f}",
        "expected_cost": f"{broken.expected.cost:f}",
        "requests": f"{broken.actual.requests:f}",
        "failed_requests": f"{broken.actual.failed_requests:f}",
        "failed_share": f"{failed_share(broken.actual):.4f}",
        "expected_failed_share": f"{failed_share(broken.expected):.4f}",
        "since": period.since.isoformat(),
    }
    adding = contributors(inside, _TENANT)
    return Finding(
        *("", Anomaly.kind, subject, day_of(period.until - HOUR)),
        f"Something is broken: {wording.about(subject)}",
        told + wording.largest(adding, currency),
        figures,
        INTEGRATION_BROKEN,
        adding,
    )


def unexplained(usage: Matched, spike: Spike) -> Finding:
    """More than usual, and nobody in particular."""
    actual, expected = _both(usage)
    return _finding(
        spike,
        f"{wording.sentence(wording.about(spike.subject))}: {wording.times(spike.factor)} the usual cost",
        f"{_money(spike)} {_moved(ratios(actual, expected))}",
        UNEXPLAINED,
        contributors(usage, _TENANT),
    )


def _finding(
    spike: Spike, title: str, told: str, cause: str, adding: Sequence[Contributor]
) -> Finding:
    figures = {
        "actual_cost": f"{spike.actual:f}",
        "expected_cost": f"{spike.expected:f}",
        "factor": f"{spike.factor:f}",
        "deviations": f"{spike.deviations:f}",
        "since": spike.since.isoformat(),
        "hours": str(spike.period.hours),
    }
    message = told.strip() + wording.largest(adding, spike.currency)
    return Finding(
        "", Anomaly.kind, spike.subject, day_of(spike.since), title, message, figures, cause, adding
    )


def _both(usage: Matched) -> tuple[Usage, Usage]:
    return total(usage.now.values()), total(
        map(usage.expected, {key for week in usage.before for key in week})
    )


def _money(spike: Spike) -> str:
    return (
        f"Since {wording.moment(spike.since)}, higher than usual; over {spike.period.hours} hours"
        f" {wording.money(spike.actual, spike.currency)}, where"
        f" {wording.money(spike.expected, spike.currency)} were to be expected by the weeks before:"
        f" {wording.times(spike.factor)}, {spike.deviations:.0f} robust deviations above."
    )


def _moved(moved: Ratios) -> str:
    return (
        f"Calls {wording.times(moved.requests)}, cost per call {wording.times(moved.cost_per_call)}"
        f" (tokens per call {wording.times(moved.tokens_per_call)}, price per token"
        f" {wording.times(moved.price_per_token)})."
    )


def _pattern(pattern: Pattern, actual: Usage, expected: Usage, period: Period) -> str:
    minutes = Decimal(60 * period.hours)
    return (
        f"{actual.requests / minutes:.1f} calls a minute instead of {expected.requests / minutes:.1f},"
        f" one every {pattern.interval:.1f} s; {pattern.same_size:.0%} of them have the same size,"
        f" {pattern.same_workflow:.0%} are of one workflow, {pattern.retried:.0%} are retries."
    )


def _models(history: UsageHistory, spike: Spike, period: Period) -> str:
    """How the share of each model in the calls has changed, where it has by a fifth of all."""
    now = history.by_model(spike.subject, spike.since, period.until)
    before = history.by_model(spike.subject, spike.since - WEEK, period.until - WEEK)
    was, is_ = total(before.values()).requests, total(now.values()).requests
    if not was or not is_:
        return ""
    moved = {
        model: (before.get(model, Usage()).requests / was, now.get(model, Usage()).requests / is_)
        for model in {*now, *before}
    }
    told = [
        f"{wording.name(model)} {had:.0%} → {has:.0%}"
        for model, (had, has) in sorted(moved.items())
        if abs(has - had) >= Decimal("0.2")
    ]
    return f" Models: {', '.join(told)}." if told else ""
