"""Windows of time that a budget's limit is for: calendar units in a time zone, rolling ones, all time.

What is used is summed in buckets, so that a window is a range of whole buckets: a calendar window is one, a rolling one
moves on by the minute (by the hour beyond two days), and all time is one.
"""

import re
from datetime import UTC, datetime, time, timedelta
from functools import lru_cache
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

CALENDAR: Final = ("hour", "day", "week", "month", "quarter", "year")
LIFETIME: Final = "lifetime"

BEGINNING: Final = datetime(1970, 1, 1, tzinfo=UTC)
"""The one bucket of all time."""

LONGEST: Final = timedelta(days=366)
"""Of rolling windows."""

BY_MINUTE: Final = timedelta(hours=48)
"""The longest rolling window that moves on by the minute."""

_ROLLING: Final = re.compile(r"rolling (\d{1,5})(h|d)")
_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)


class Span(NamedTuple):
    """A window at some moment: the buckets from `start` to before `end`. No `end`: it has none, or moves on."""

    start: datetime
    end: datetime | None


class Window(NamedTuple):
    """`month` and its like, `rolling 24h`, `rolling 7d`, `lifetime`; `length` is that of a rolling one."""

    name: str
    length: timedelta | None = None

    @classmethod
    def named(cls, name: str) -> "Window":
        """Raises ValueError, which says what windows there are."""
        if name in (*CALENDAR, LIFETIME):
            return cls(name)
        found = _ROLLING.fullmatch(name)
        length = int(found[1]) * (_HOUR if found[2] == "h" else _DAY) if found else timedelta()
        if not timedelta() < length <= LONGEST:
            raise ValueError(
                f"window {name!r} is none of {', '.join(CALENDAR)}, {LIFETIME}, and `rolling 24h` or"
                " `rolling 30d` of up to 366 days"
            )
        return cls(name, length)

    def bucket(self, moment: datetime, zone: ZoneInfo) -> datetime:
        """The start, UTC, of the bucket that something used at this moment belongs to."""
        if self.length is not None:
            return _floor(moment, self.length)
        return BEGINNING if self.name == LIFETIME else _began(self.name, moment, zone)

    def at(self, now: datetime, zone: ZoneInfo) -> Span:
        """The window now. A rolling one begins up to a step early: it never lets more through than its length."""
        if self.length is not None:
            return Span(_floor(now - self.length, self.length), None)
        if self.name == LIFETIME:
            return Span(BEGINNING, None)
        start = _began(self.name, now, zone)
        return Span(start, _ended(self.name, start, zone))


MONTH: Final = Window("month")


@lru_cache(maxsize=1024)
def zone_named(name: str) -> ZoneInfo:
    """The time zone of an IANA name. Raises ValueError for what is none."""
    try:
        return ZoneInfo(name)
    except (OSError, LookupError, ValueError) as error:
        raise ValueError(f"{name!r} is no time zone, such as Europe/Berlin or UTC") from error


def _floor(moment: datetime, length: timedelta) -> datetime:
    moment = moment.astimezone(UTC)
    if length > BY_MINUTE:
        moment = moment.replace(minute=0)
    return moment.replace(second=0, microsecond=0)


def _began(unit: str, moment: datetime, zone: ZoneInfo) -> datetime:
    local = moment.astimezone(zone)
    if unit == "hour":
        # Of the two hours of one name that autumn has, each is its own.
        into = timedelta(minutes=local.minute, seconds=local.second, microseconds=local.microsecond)
        return moment.astimezone(UTC) - into
    day = local.date()
    if unit == "week":
        day -= timedelta(days=day.weekday())
    elif unit == "month":
        day = day.replace(day=1)
    elif unit == "quarter":
        day = day.replace(month=(day.month - 1) // 3 * 3 + 1, day=1)
    elif unit == "year":
        day = day.replace(month=1, day=1)
    # A midnight that is skipped in spring is the moment at which the clock is put forward.
    return datetime.combine(day, time(), zone).astimezone(UTC)


_AT_MOST: Final = {"day": 1, "week": 7, "month": 31, "quarter": 92, "year": 366}


def _ended(unit: str, start: datetime, zone: ZoneInfo) -> datetime:
    """The start of the next one: a day and a half past the longest there is, floored."""
    if unit == "hour":
        return start + _HOUR
    return _began(unit, start + timedelta(days=_AT_MOST[unit], hours=12), zone)
