"""Parts of the usage that should be small: what has no tenant, and what has no known cost."""

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from typing import Final

from spanmeter.metering.alerts import wording
from spanmeter.metering.alerts.alert_rules import UnattributedShare, UnpricedShare
from spanmeter.metering.alerts.finding import Contributor, Finding, day_of
from spanmeter.metering.alerts.shifts import TOLD
from spanmeter.metering.alerts.usage import Period, Usage, UsageHistory, Who, total

_HOURS: Final = 24


def unattributed(
    history: UsageHistory, now: datetime, rule: UnattributedShare
) -> Iterator[Finding]:
    """By currency, where too much of the last day's cost has no tenant."""
    for currency, used in _last_day(history, now).items():
        nobodys = {who: usage for who, usage in used.items() if who.tenant_id is None}
        lost, whole = total(nobodys.values()).cost, total(used.values()).cost
        if lost < rule.minimum_cost or lost <= rule.limit * whole:
            continue
        adding = _largest({_place(who): usage.cost for who, usage in nobodys.items()})
        yield Finding(
            *(rule.name, rule.kind, {"currency": currency}, day_of(now)),
            f"{wording.share(lost / whole)} of the cost has no tenant",
            f"Of {wording.money(whole, currency)} in {_HOURS} hours {wording.money(lost, currency)} are"
            f" unattributed; the limit is {wording.share(rule.limit)}. {_told(adding, currency)}"
            " `spanmeter report --unattributed` shows the lines of code.",
            {"cost": f"{lost:f}", "total_cost": f"{whole:f}", "limit": f"{rule.limit:f}"},
            contributors=adding,
        )


def unpriced(history: UsageHistory, now: datetime, rule: UnpricedShare) -> Iterator[Finding]:
    """By currency, where the cost of too many of the last day's requests is not known."""
    for currency, used in _last_day(history, now).items():
        whole = total(used.values())
        lost = whole.unpriced_requests
        if lost < rule.minimum_requests or lost <= rule.limit * whole.requests:
            continue
        period = Period.trailing(now, _HOURS)
        models = history.by_model({"currency": currency}, period.since, period.until)
        adding = _largest({model: usage.unpriced_requests for model, usage in models.items()})
        named = ", ".join(f"{wording.name(each.name)} ({each.actual:,.0f})" for each in adding)
        yield Finding(
            *(rule.name, rule.kind, {"currency": currency}, day_of(now)),
            f"{wording.share(lost / max(whole.requests, Decimal(1)))} of the requests are unpriced",
            f"Of {whole.requests:,.0f} requests in {_HOURS} hours {lost:,.0f} have no known cost; the limit is"
            f" {wording.share(rule.limit)}. Models: {named}. `spanmeter rates` says how to add a rate.",
            {
                "unpriced_requests": f"{lost:f}",
                "requests": f"{whole.requests:f}",
                "limit": f"{rule.limit:f}",
            },
            contributors=adding,
        )


def _last_day(history: UsageHistory, now: datetime) -> dict[str, dict[Who, Usage]]:
    period = Period.trailing(now, _HOURS)
    by_currency: dict[str, dict[Who, Usage]] = {}
    for who, usage in history.used(period.since, period.until, Decimal(1)).items():
        by_currency.setdefault(who.currency, {})[who] = usage
    return by_currency


def _place(who: Who) -> str:
    return f"{who.service_name or 'unknown service'} / {who.feature or 'no feature'}"


def _largest(amounts: dict[str, Decimal]) -> list[Contributor]:
    told = [Contributor(name, amount, Decimal(0)) for name, amount in amounts.items() if amount > 0]
    return sorted(told, key=lambda each: -each.actual)[:TOLD]


def _told(adding: list[Contributor], currency: str) -> str:
    named = (f"{wording.name(e.name)} ({wording.money(e.actual, currency)})" for e in adding)
    return f"Most of it: {', '.join(named)}."
