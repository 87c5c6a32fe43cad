"""A report is put together of the narrowest rollups that can answer, and every moment is in one part of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from spanmeter.storage.report_parts import Part, parts
from spanmeter.storage.rollups import ROLLUPS

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
MIDNIGHT = datetime(2026, 11, 20, tzinfo=UTC)


def at(month: int, day: int, hour: int = 0, minute: int = 0) -> datetime:
    return datetime(2026, month, day, hour, minute, tzinfo=UTC)


def test_whole_periods_come_from_rollups_and_the_rest_from_the_ledger() -> None:
    assert parts({"workspace_id"}, None, at(8, 30, 21, 15), at(11, 2, 1, 30)) == [
        Part("ledger", "time", at(8, 30, 21, 15), at(8, 30, 22)),
        Part("usage_hourly", "hour", at(8, 30, 22), at(8, 31)),
        Part("usage_daily", "day", at(8, 31), at(9, 1)),
        Part("usage_monthly", "month", at(9, 1), at(11, 1)),
        Part("usage_daily", "day", at(11, 1), at(11, 2)),
        Part("usage_hourly", "hour", at(11, 2), at(11, 2, 1)),
        Part("ledger", "time", at(11, 2, 1), at(11, 2, 1, 30)),
    ]


def test_the_narrowest_that_knows_the_dimensions_answers() -> None:
    asked = {"since": MIDNIGHT, "until": MIDNIGHT + timedelta(days=1)}
    for needed, rollup in (
        ((), "usage_daily_by_model"),
        (("model", "feature"), "usage_daily_by_model"),
        (("tenant_id",), "usage_daily_by_tenant"),
        (("tenant_id", "feature"), "usage_daily"),
    ):
        (part,) = parts(needed, "day", **asked)
        assert part.relation == rollup
    (part,) = parts((), "hour", **asked)
    assert part.relation == "usage_hourly"
    (part,) = parts(("user_id",), None, **asked)
    assert part == Part("ledger", "time", MIDNIGHT, MIDNIGHT + timedelta(days=1))


def test_without_an_end_the_longest_period_has_it() -> None:
    assert parts((), None, None, None) == [Part("usage_monthly", "month", None, None)]
    assert parts((), None, datetime.max.replace(tzinfo=UTC), None)[0].relation == "ledger"
    assert parts((), "day", MIDNIGHT, None) == [Part("usage_daily_by_model", "day", MIDNIGHT, None)]
    assert parts((), "hour", None, NOON + timedelta(minutes=1)) == [
        Part("usage_hourly", "hour", None, NOON),
        Part("ledger", "time", NOON, NOON + timedelta(minutes=1)),
    ]


def test_periods_are_utc() -> None:
    tokyo = timezone(timedelta(hours=9))
    (part,) = parts((), "day", datetime(2026, 11, 20, 9, tzinfo=tokyo), None)
    assert part.since == MIDNIGHT


MOMENTS = st.datetimes(
    min_value=datetime(2026, 9, 1),  # noqa: DTZ001
    max_value=datetime(2027, 3, 1),  # noqa: DTZ001
    timezones=st.just(UTC),
)


@given(
    since=st.none() | MOMENTS,
    until=st.none() | MOMENTS,
    needed=st.sets(st.sampled_from([*ROLLUPS["usage_daily"][1:], "user_id"])),
    finest=st.sampled_from([None, "day", "hour"]),
)
def test_every_moment_is_in_one_part(
    since: datetime | None, until: datetime | None, needed: set[str], finest: str | None
) -> None:
    found = parts(needed, finest, since, until)
    if since and until and since >= until:
        assert found == []
        return
    assert (found[0].since, found[-1].until) == (since, until)
    assert all(before.until == after.since for before, after in pairwise(found))
    assert all(
        part.since is None or part.until is None or part.since < part.until for part in found
    )
