"""The period that a request is about."""

import math
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Final

from fastapi import Depends, Query

from spanmeter.console.periods import instant
from spanmeter.console.web.problems import Problem
from spanmeter.storage.attributing import Period

_MAX_TEXT: Final = 40

LONGEST: Final = timedelta(days=3 * 366)
"""What one request may be about."""

_FORM: Final = r"^[0-9A-Za-z:+. -]+$"
_FORMS: Final = "2026-11-20, 2026-11-20T08:30 (UTC), 24h, 7d, today, month ..."


@dataclass(frozen=True, slots=True)
class AskedPeriod:
    """From `since` until before `until`, UTC, as it was asked for; the end may be in the future."""

    since: datetime
    until: datetime

    @property
    def period(self) -> Period:
        """For the queries."""
        return Period(self.since, self.until)

    @property
    def whole_days(self) -> bool:
        """Whether it begins and ends at midnight, UTC."""
        return _is_midnight(self.since) and _is_midnight(self.until)

    @property
    def whole_hours(self) -> bool:
        """Whether it begins and ends at the full hour."""
        return all(
            (at.minute, at.second, at.microsecond) == (0, 0, 0) for at in (self.since, self.until)
        )

    @property
    def last(self) -> datetime:
        """The last moment in it."""
        return self.until - timedelta(microseconds=1)

    @property
    def days(self) -> list[date]:
        """Its days."""
        count = math.ceil((self.until - self.since) / timedelta(days=1))
        return [(self.since + timedelta(days=at)).date() for at in range(count)]

    @property
    def before(self) -> "AskedPeriod":
        """The period of the same length that ends where this one begins."""
        return AskedPeriod(self.since - (self.until - self.since), self.since)


def asked_period(
    since: Annotated[
        str, Query(max_length=_MAX_TEXT, pattern=_FORM, description=f"From then on: {_FORMS}")
    ] = "30d",
    until: Annotated[
        str | None,
        Query(
            max_length=_MAX_TEXT,
            pattern=_FORM,
            description="Before this. Default: the end of today.",
        ),
    ] = None,
) -> AskedPeriod:
    """The period in a request; `7d` means whole days, today the last of them. Raises Problem 400."""
    now = datetime.now(UTC)
    start = _instant(since, now)
    if since.endswith(("d", "w")):
        start = _next_midnight(start)
    end = _next_midnight(now) if until is None else _instant(until, now)
    if not start < end:
        raise Problem.meaningless("since has to be before until")
    if end - start > LONGEST:
        raise Problem.meaningless("the period may be three years at most")
    return AskedPeriod(start, end)


Asked = Annotated[AskedPeriod, Depends(asked_period, scope="function")]


def _instant(text: str, now: datetime) -> datetime:
    try:
        found = instant(text, now)
        # Arithmetic with the ends of time overflows.
        if not 1970 <= found.year <= 9000:
            raise ValueError(f"{text!r} is too far away")
    except (ValueError, OverflowError) as error:
        raise Problem.meaningless(str(error)) from error
    return found


def _next_midnight(at: datetime) -> datetime:
    return at.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)


def _is_midnight(at: datetime) -> bool:
    return (at.hour, at.minute, at.second, at.microsecond) == (0, 0, 0, 0)
