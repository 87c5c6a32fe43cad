"""What people type for an instant, seen from one fixed moment."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from spanmeter.console.periods import instant

NOW = datetime(2026, 3, 31, 15, 45, 30, 123456, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("2026-03-01", datetime(2026, 3, 1, tzinfo=UTC)),
        ("2026-03-01T08:30", datetime(2026, 3, 1, 8, 30, tzinfo=UTC)),
        ("2026-03-01T00:30+01:00", datetime(2026, 2, 28, 23, 30, tzinfo=UTC)),
        ("2026-03-01T08:30:00Z", datetime(2026, 3, 1, 8, 30, tzinfo=UTC)),
        ("30m", NOW - timedelta(minutes=30)),
        ("24h", NOW - timedelta(hours=24)),
        ("7d", NOW - timedelta(days=7)),
        ("2w", NOW - timedelta(days=14)),
        ("now", NOW),
        ("today", datetime(2026, 3, 31, tzinfo=UTC)),
        ("yesterday", datetime(2026, 3, 30, tzinfo=UTC)),
        ("month", datetime(2026, 3, 1, tzinfo=UTC)),
        ("year", datetime(2026, 1, 1, tzinfo=UTC)),
    ],
)
def test_forms_of_an_instant(text: str, meant: datetime) -> None:
    assert instant(text, NOW) == meant


def test_starts_are_utc_wherever_the_clock_is() -> None:
    tokyo = timezone(timedelta(hours=9))
    in_tokyo = datetime(2026, 4, 1, 0, 45, tzinfo=tokyo)  # still March in UTC
    assert instant("month", in_tokyo) == datetime(2026, 3, 1, tzinfo=UTC)
    assert instant("today", in_tokyo) == datetime(2026, 3, 31, tzinfo=UTC)


@pytest.mark.parametrize(
    "text", ["", "soon", "7", "d", "-7d", "7days", "2026-13-01", "20 november", "999999w"]
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"is neither a date|before the year 1"):
        instant(text, NOW)
