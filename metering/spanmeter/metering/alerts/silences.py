"""What has gone quiet: providers that a service used to call, and numbered records that did not arrive."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from statistics import median

from spanmeter.metering.alerts import wording
from spanmeter.metering.alerts.alert_rules import MissingRecords, ProviderGap
from spanmeter.metering.alerts.finding import Finding, day_of
from spanmeter.metering.alerts.usage import WEEKS, Period, Silent, UsageHistory


def gaps(history: UsageHistory, now: datetime, rule: ProviderGap) -> Iterator[Finding]:
    """What reported in the same hours of most of the weeks before, and does not now; everything at once is one gap."""
    period = Period.trailing(now, rule.silent_hours + (now.minute > 0))
    weeks = [
        _reported(history, period.weeks_ago(week), Decimal(1) if week == 0 else period.last, rule)
        for week in range(WEEKS + 1)
    ]
    reporting, before = weeks[0], weeks[1:]
    expected = {
        name: median(week.get(name, Decimal(0)) for week in before)
        for name in {name for week in before for name in week}
    }
    silent = {
        name: requests
        for name, requests in expected.items()
        if requests >= rule.requests and not reporting.get(name)
    }
    if silent and not any(reporting.values()):
        yield _everything(sum(silent.values(), Decimal(0)), now, rule)
        return
    for name, requests in silent.items():
        yield _gap(name, requests, now, rule)


def _reported(
    history: UsageHistory, period: Period, last: Decimal, rule: ProviderGap
) -> dict[Silent, Decimal]:
    found: dict[Silent, Decimal] = {}
    for name, requests in history.reported(period.since, period.until, last).items():
        told = name if rule.by == "model" else name._replace(model=None)
        found[told] = found.get(told, Decimal(0)) + requests
    return found


def _gap(name: Silent, expected: Decimal, now: datetime, rule: ProviderGap) -> Finding:
    subject = {"service_name": name.service_name, "provider": name.provider}
    if rule.by == "model":
        subject["model"] = name.model
    return Finding(
        *(rule.name, rule.kind, subject, day_of(now)),
        f"Nothing from {wording.about(subject)} for {rule.silent_hours} hours",
        f"Some {expected:,.0f} requests were to be expected by the same hours of the weeks before. Either nobody"
        " calls it, or its calls are not metered any more: `spanmeter doctor` tells, where the service runs.",
        {"expected_requests": f"{expected:f}", "silent_hours": str(rule.silent_hours)},
    )


def _everything(expected: Decimal, now: datetime, rule: ProviderGap) -> Finding:
    return Finding(
        *(rule.name, rule.kind, {}, day_of(now)),
        f"No usage at all for {rule.silent_hours} hours",
        f"Some {expected:,.0f} requests were to be expected by the same hours of the weeks before. Does the collector"
        " run, and can the services reach it?",
        {"expected_requests": f"{expected:f}", "silent_hours": str(rule.silent_hours)},
    )


def missing(history: UsageHistory, now: datetime, rule: MissingRecords) -> Iterator[Finding]:
    """Services whose processes numbered records that did not arrive."""
    for each in history.missing(
        now - timedelta(days=1), now - timedelta(minutes=rule.after_minutes)
    ):
        if each.records < rule.records:
            continue
        subject = {"service_name": each.service_name}
        yield Finding(
            *(rule.name, rule.kind, subject, day_of(now)),
            f"{each.records:,} metering records are missing: {wording.about(subject)}",
            f"Of {each.processes} processes, the last heard of on {wording.moment(each.last_seen)}. They are on the"
            " disks of their machines, or were lost there: `spanmeter spool status` tells there,"
            " `spanmeter db producers` which processes they are.",
            {"missing_records": str(each.records), "processes": str(each.processes)},
        )
