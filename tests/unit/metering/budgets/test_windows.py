"""Windows of budgets: where they begin and end, in time zones whose clocks change."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanmeter.metering.budgets.windows import BEGINNING, CALENDAR, Span, Window, zone_named

BERLIN = ZoneInfo("Europe/Berlin")
KOLKATA = ZoneInfo("Asia/Kolkata")
BEIRUT = ZoneInfo("Asia/Beirut")
ZONES = [
    ZoneInfo("UTC"),
    BERLIN,
    KOLKATA,
    BEIRUT,
    ZoneInfo("America/New_York"),
    ZoneInfo("Pacific/Apia"),
]


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[arg-type, misc]


@pytest.mark.parametrize(
    ("window", "now", "zone", "start", "end"),
    [
        # 29 March 2026: clocks in Berlin go from 02:00 (+1) to 03:00 (+2). The day has 23 hours:
        # 00:00 +01:00 is 23:00 UTC the day before, and the next 00:00 +02:00 is 22:00 UTC.
        ("day", utc(2026, 3, 29, 12), BERLIN, utc(2026, 3, 28, 23), utc(2026, 3, 29, 22)),
        # 25 October 2026: from 03:00 (+2) back to 02:00 (+1). 25 hours.
        ("day", utc(2026, 10, 25, 12), BERLIN, utc(2026, 10, 24, 22), utc(2026, 10, 25, 23)),
        # March in Berlin begins at +1 and ends at +2: an hour less than 31 days.
        ("month", utc(2026, 3, 15), BERLIN, utc(2026, 2, 28, 23), utc(2026, 3, 31, 22)),
        # 1 March 00:30 in Kolkata (+5:30) is still 28 February in UTC: 19:00.
        (
            "month",
            utc(2026, 2, 28, 19),
            KOLKATA,
            utc(2026, 2, 28, 18, 30),
            utc(2026, 3, 31, 18, 30),
        ),
        # Monday 23 to Monday 30 March 2026, over the change.
        ("week", utc(2026, 3, 29, 20), BERLIN, utc(2026, 3, 22, 23), utc(2026, 3, 29, 22)),
        ("quarter", utc(2026, 5, 31), ZoneInfo("UTC"), utc(2026, 4, 1), utc(2026, 7, 1)),
        ("year", utc(2024, 12, 31, 23, 30), BERLIN, utc(2024, 12, 31, 23), utc(2025, 12, 31, 23)),
        (
            "hour",
            utc(2026, 3, 1, 10, 45),
            KOLKATA,
            utc(2026, 3, 1, 10, 30),
            utc(2026, 3, 1, 11, 30),
        ),
        # 29 March 2026 in Beirut: 00:00 (+2) is skipped, the clock goes to 01:00 (+3) at 22:00 UTC.
        ("day", utc(2026, 3, 29, 1), BEIRUT, utc(2026, 3, 28, 22), utc(2026, 3, 29, 21)),
        ("lifetime", utc(2026, 3, 1), BERLIN, BEGINNING, None),
        # From the start of the minute that was 24 hours ago.
        ("rolling 24h", utc(2026, 3, 2, 10, 5, 59), BERLIN, utc(2026, 3, 1, 10, 5), None),
        # Beyond two days from the start of the hour.
        ("rolling 7d", utc(2026, 3, 9, 10, 59), BERLIN, utc(2026, 3, 2, 10), None),
    ],
)
def test_a_window_begins_and_ends_where_the_clock_on_the_wall_says(
    window: str, now: datetime, zone: ZoneInfo, start: datetime, end: datetime | None
) -> None:
    assert Window.named(window).at(now, zone) == Span(start, end)


moments = st.datetimes(datetime(1990, 1, 1), datetime(2036, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
windows = st.sampled_from([*CALENDAR, "lifetime", "rolling 1h", "rolling 48h", "rolling 30d"])


@given(moments, windows, st.sampled_from(ZONES))
def test_what_is_used_now_is_in_the_window_of_now(now: datetime, name: str, zone: ZoneInfo) -> None:
    window = Window.named(name)
    span = window.at(now, zone)
    bucket = window.bucket(now, zone)
    assert span.start <= bucket <= now
    assert span.end is None or now < span.end
    if window.length is None:
        assert bucket == span.start
    else:
        assert timedelta() <= now - window.length - span.start < timedelta(hours=1)


@given(moments, st.sampled_from(CALENDAR), st.sampled_from(ZONES))
def test_windows_of_the_calendar_follow_one_another_without_a_gap(
    now: datetime, name: str, zone: ZoneInfo
) -> None:
    window = Window.named(name)
    span = window.at(now, zone)
    assert span.end is not None
    assert window.at(span.end, zone).start == span.end
    assert window.bucket(span.end - timedelta(microseconds=1), zone) == span.start


@pytest.mark.parametrize("name", ["fortnight", "rolling 0h", "rolling 367d", "rolling 9h30m", ""])
def test_what_is_no_window_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="is none of hour, day"):
        Window.named(name)


@pytest.mark.parametrize("name", ["Mars/Olympus", "../../etc/passwd", "", "\0"])
def test_what_is_no_time_zone_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="is no time zone"):
        zone_named(name)
