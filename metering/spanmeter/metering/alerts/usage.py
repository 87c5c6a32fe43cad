"""Usage as detectors ask for it: sums by who used it, of a period and of the same hours of the weeks before."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from statistics import median
from typing import Final, NamedTuple, Protocol, cast

from spanmeter.metering.alerts.finding import Subject

HOUR: Final = timedelta(hours=1)
WEEK: Final = timedelta(weeks=1)

WEEKS: Final = 5
"""How many weeks of history are looked at: enough for a median that two odd weeks do not move."""


class Usage(NamedTuple):
    """Sums of what was used."""

    requests: Decimal = Decimal(0)
    failed_requests: Decimal = Decimal(0)
    unpriced_requests: Decimal = Decimal(0)
    input_tokens: Decimal = Decimal(0)
    output_tokens: Decimal = Decimal(0)
    cost: Decimal = Decimal(0)

    def plus(self, other: "Usage") -> "Usage":
        """Both together."""
        return Usage(*(a + b for a, b in zip(self, other, strict=True)))

    @property
    def tokens(self) -> Decimal:
        """All of them."""
        return self.input_tokens + self.output_tokens


class Who(NamedTuple):
    """Whose usage a sum is of."""

    currency: str
    tenant_id: str | None
    feature: str | None
    service_name: str | None


Key = tuple[str | None, ...]
"""A `Who`, or some of it: whatever sums are grouped by."""


class Pattern(NamedTuple):
    """How calls followed each other: of how many, what part had the commonest number of input tokens, and was of the
    commonest workflow; seconds between two (median); what part were retries."""

    calls: int
    same_size: Decimal
    same_workflow: Decimal
    interval: Decimal
    retried: Decimal


class Silent(NamedTuple):
    """What reports: a service, and the provider and perhaps model that it calls."""

    service_name: str | None
    provider: str
    model: str | None


class TenantUsage(NamedTuple):
    """What a tenant used of a feature."""

    currency: str
    account_type: str | None
    tenant_id: str
    feature: str | None
    usage: Usage


class Missing(NamedTuple):
    """Numbered records of a service's processes that did not arrive: how many, and when the last one did."""

    service_name: str | None
    processes: int
    records: int
    first_seen: datetime
    last_seen: datetime


class UsageHistory(Protocol):
    """Where usage is read, as of one moment. Periods are of whole hours, UTC."""

    def used(self, since: datetime, until: datetime, last: Decimal) -> Mapping[Who, Usage]:
        """Sums of a period by who; of its last hour this part counts, 0 to 1."""
        ...

    def hourly(
        self, subject: Subject, since: datetime, until: datetime
    ) -> Sequence[tuple[datetime, Decimal]]:
        """The cost of each hour that has any."""
        ...

    def by_model(self, subject: Subject, since: datetime, until: datetime) -> Mapping[str, Usage]:
        """Sums of a period by model."""
        ...

    def pattern(self, subject: Subject, since: datetime, until: datetime) -> Pattern:
        """How the calls of a period followed each other."""
        ...

    def by_tenant(self, since: datetime, until: datetime) -> Sequence[TenantUsage]:
        """Sums of the days of a period, of tenants that are known."""
        ...

    def reported(self, since: datetime, until: datetime, last: Decimal) -> Mapping[Silent, Decimal]:
        """Requests of a period by what reported them; of its last hour this part counts."""
        ...

    def missing(self, since: datetime, before: datetime) -> Sequence[Missing]:
        """Records that are missing, of processes that reported since a moment and began to before another."""
        ...


class Period(NamedTuple):
    """Some hours up to now: the last one is under way, and `last` of it is over."""

    since: datetime
    until: datetime
    last: Decimal

    @classmethod
    def trailing(cls, now: datetime, hours: int) -> "Period":
        """The hours up to `now`, that under way among them unless it has just begun."""
        begun = now.replace(minute=0, second=0, microsecond=0)
        until = begun if now - begun < timedelta(minutes=5) else begun + HOUR
        last = Decimal(1) if until == begun else Decimal(str((now - begun) / HOUR))
        return cls(until - hours * HOUR, until, last)

    def weeks_ago(self, weeks: int) -> "Period":
        """The same hours of an earlier week."""
        return Period(self.since - weeks * WEEK, self.until - weeks * WEEK, self.last)

    @property
    def hours(self) -> int:
        """How many, the one under way counted as one."""
        return (self.until - self.since) // HOUR


class Matched(NamedTuple):
    """A period's usage, and that of the same hours of each of the weeks before, latest first."""

    now: Mapping[Key, Usage]
    before: Sequence[Mapping[Key, Usage]]

    def expected(self, key: Key) -> Usage:
        """What the weeks before had: the median of each sum."""
        weeks = [week.get(key, Usage()) for week in self.before]
        return Usage(*map(median, zip(*weeks, strict=True))) if weeks else Usage()

    def by(self, place: Callable[[Key], Key | None]) -> "Matched":
        """The sums of what `place` puts together; None leaves out."""
        return Matched(_sums(self.now, place), [_sums(week, place) for week in self.before])


def matched(history: UsageHistory, period: Period) -> Matched:
    """The usage of a period by who, and of the same hours before."""
    now, *before = (
        history.used(*period.weeks_ago(weeks)._replace(last=_part(period, weeks)))
        for weeks in range(WEEKS + 1)
    )
    return Matched(cast("Mapping[Key, Usage]", now), cast("list[Mapping[Key, Usage]]", before))


def _part(period: Period, weeks: int) -> Decimal:
    # What is not over yet holds nothing later than now.
    return period.last if weeks else Decimal(1)


def _sums(
    usage: Mapping[Key, Usage],
    place: Callable[[Key], Key | None],
) -> dict[Key, Usage]:
    sums: dict[Key, Usage] = {}
    for key, used in usage.items():
        if (at := place(key)) is not None:
            sums[at] = sums.get(at, Usage()).plus(used)
    return sums


def total(parts: Iterable[Usage]) -> Usage:
    """All of them together."""
    whole = Usage()
    for part in parts:
        whole = whole.plus(part)
    return whole
