"""What answers a report: for whole months, days and hours the narrowest rollups that know its dimensions, for the rest
the ledger."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import MAXYEAR, UTC, datetime, timedelta
from typing import Final, NamedTuple

from spanmeter.storage.rollups import ROLLUPS

Moment = datetime | None

LEDGER: Final = "ledger"


class Part(NamedTuple):
    """The rows of `relation` from `since` up to but without `until`; `None` is without end.

    `period` is the relation's column of time: `month`, `day`, `hour`, or the ledger's `time`.
    """

    relation: str
    period: str
    since: Moment
    until: Moment


def _hour(moment: datetime) -> datetime:
    return moment.replace(minute=0, second=0, microsecond=0)


def _day(moment: datetime) -> datetime:
    return _hour(moment).replace(hour=0)


def _month(moment: datetime) -> datetime:
    return _day(moment).replace(day=1)


_STARTS: Final[Mapping[str, tuple[Callable[[datetime], datetime], timedelta]]] = {
    "month": (_month, timedelta(days=31)),
    "day": (_day, timedelta(days=1)),
    "hour": (_hour, timedelta(hours=1)),
}
"""Each period with where the one of a moment starts, and what leads from there into the next."""

_NARROWEST_FIRST: Final = (
    *("usage_monthly", "usage_daily_by_model", "usage_daily_by_tenant", "usage_daily"),
    "usage_hourly",
)


def parts(needed: Collection[str], finest: str | None, since: Moment, until: Moment) -> list[Part]:
    """Relations that together have what was booked from `since` up to but without `until`, each row of it once.

    All have the columns `needed`, and tell the periods `finest` apart: `hour`, `day`, or `None` for no period.
    """
    beyond = since is not None and since.year == MAXYEAR
    levels = [] if beyond else _levels(needed, finest)
    return list(_split(levels, _in_utc(since), _in_utc(until)))


def narrowest(period: str, needed: Collection[str]) -> str | None:
    """The rollup by `month`, `day` or `hour` that has the fewest rows of those with the columns `needed`."""
    for rollup in _NARROWEST_FIRST:
        its_period, *columns = ROLLUPS[rollup]
        if its_period == period and set(needed) <= set(columns):
            return rollup
    return None


def _levels(needed: Collection[str], finest: str | None) -> list[tuple[str, str]]:
    """The narrowest rollup of each period that can answer, by period, the longest first."""
    periods = list(_STARTS)
    told_apart = periods[periods.index(finest) :] if finest else periods
    found = [(period, narrowest(period, needed)) for period in told_apart]
    return [(period, rollup) for period, rollup in found if rollup is not None]


def _split(levels: Sequence[tuple[str, str]], since: Moment, until: Moment) -> Iterator[Part]:
    if since is not None and until is not None and since >= until:
        return
    if not levels:
        yield Part(LEDGER, "time", since, until)
        return
    (period, rollup), *finer = levels
    start, step = _STARTS[period]
    first = since if since is None or start(since) == since else start(start(since) + step)
    end = None if until is None else start(until)
    if first is not None and end is not None and first >= end:
        yield from _split(finer, since, until)
        return
    if since is not None:
        yield from _split(finer, since, first)
    yield Part(rollup, period, first, end)
    if until is not None:
        yield from _split(finer, end, until)


def _in_utc(moment: Moment) -> Moment:
    return None if moment is None else moment.astimezone(UTC)
