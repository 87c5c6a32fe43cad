"""The instants that people type: a date, a time, how long ago, or the start of a period."""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

_AGO: Final = re.compile(r"(\d{1,6})([mhdw])")
_UNITS: Final = {
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
    "w": timedelta(weeks=1),
}


def instant(text: str, now: datetime) -> datetime:
    """The moment that `text` names, in UTC, seen from `now`.

    Takes `2026-11-20`, `2026-11-20T08:30`, `2026-11-20T08:30+01:00` (without an offset: UTC),
    `30m` `24h` `7d` `2w` (that long ago), `now`, `today`, `yesterday`, `month`, `year` (its start).
    Raises `ValueError` with the forms that are understood.
    """
    if (start := _STARTS.get(text)) is not None:
        return start(now.astimezone(UTC))
    if (ago := _AGO.fullmatch(text)) is not None:
        return _ago(now.astimezone(UTC), int(ago[1]) * _UNITS[ago[2]])
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(
            f"{text!r} is neither a date (2026-11-20), a time (2026-11-20T08:30),"
            " an age (30m, 24h, 7d, 2w) nor one of now, today, yesterday, month, year"
        ) from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)


def duration(text: str) -> timedelta:
    """How long `text` is: `30m`, `24h`, `7d`, `2w`. Raises `ValueError` with the forms that are understood."""
    if (found := _AGO.fullmatch(text)) is None:
        raise ValueError(f"{text!r} is no length of time such as 30m, 24h, 7d or 2w")
    return int(found[1]) * _UNITS[found[2]]


def _ago(now: datetime, age: timedelta) -> datetime:
    try:
        return now - age
    except OverflowError:
        raise ValueError("that is before the year 1") from None


def _day(now: datetime) -> datetime:
    return now.replace(hour=0, minute=0, second=0, microsecond=0)


_STARTS: Final[Mapping[str, Callable[[datetime], datetime]]] = {
    "now": lambda now: now,
    "today": _day,
    "yesterday": lambda now: _day(now) - timedelta(days=1),
    "month": lambda now: _day(now).replace(day=1),
    "year": lambda now: _day(now).replace(month=1, day=1),
}
