"""What a rollup sums beside tokens of text and cost: audio, images, any other unit; and whole months."""

from __future__ import annotations

from collections.abc import Generator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import psycopg
import pytest

from booking import NOON, adjust, event, metered, query
from spanmeter.storage.connection import Connection, connect
from spanmeter.storage.ledger import LedgerWriter
from spanmeter.storage.rollups import ROLLUPS, differences, fold, rebuild

FIRST, END = date(2026, 10, 1), date(2026, 12, 1)
BY_UNIT = ("usage_hourly_quantities", "usage_daily_quantities")
WITH_TOKENS = [name for name, key in ROLLUPS.items() if "unit" not in key and "callsite" not in key]
NEW_YEAR = datetime(2027, 1, 1, tzinfo=UTC)


@pytest.fixture
def connection(dsn: str) -> Generator[Connection]:
    with connect(dsn) as connected:
        yield connected


@pytest.fixture
def pictures(dsn: str) -> str:
    """Pictures and seconds of two tenants within two hours; one picture is taken back."""
    with LedgerWriter(dsn) as writer:
        writer.write(
            metered(
                event(quantities={"images": Decimal(2)}),
                event(quantities={"images": Decimal(1), "audio_seconds": Decimal("0.25")}),
                event(quantities={"images": Decimal(4)}, time=NOON + timedelta(hours=1)),
                event(quantities={"pages": Decimal(7)}, tenant_id="globex"),
                event(),
            )
        )
    adjust(dsn, quantities='{"images": "-1"}')
    return dsn


def test_a_unit_is_summed_at_once_and_after_folding(pictures: str, connection: Connection) -> None:
    for _ in range(2):
        for view in BY_UNIT:
            assert query(
                pictures,
                f"SELECT tenant_id, unit, sum(quantity) FROM {view} GROUP BY 1, 2 ORDER BY 1, 2",  # noqa: S608
            ) == [
                ("acme", "audio_seconds", Decimal("0.25")),
                ("acme", "images", Decimal(6)),
                ("globex", "pages", Decimal(7)),
            ]
        hours = "SELECT sum(quantity) FROM usage_hourly_quantities WHERE unit = 'images' GROUP BY hour ORDER BY hour"
        assert query(pictures, hours) == [(2,), (4,)]
        assert query(pictures, "SELECT sum(requests) FROM usage_daily") == [(5,)]
        assert differences(connection, FIRST, END) == []
        fold(connection)
    assert query(pictures, "SELECT count(*) FROM unfolded_usage") == [(0,)]


def test_a_wrong_sum_of_a_unit_is_found_and_made_anew(
    pictures: str, connection: Connection
) -> None:
    fold(connection)
    query(pictures, "UPDATE folded_daily_quantities SET quantity = 1 WHERE unit = 'pages'")
    query(pictures, "DELETE FROM folded_hourly_quantities WHERE unit = 'audio_seconds'")
    found = {
        (each.rollup, each.key["unit"], *each.missing.items())
        for each in differences(connection, FIRST, END)
    }
    assert found == {
        ("usage_daily_quantities", "pages", ("quantity", Decimal(6))),
        ("usage_hourly_quantities", "audio_seconds", ("quantity", Decimal("0.25"))),
    }
    rebuild(connection, FIRST, END)
    assert differences(connection, FIRST, END) == []


def test_a_quantity_that_is_no_number_is_refused_where_it_is_booked(dsn: str) -> None:
    """Later it would be in the way of all that is folded with it."""
    for quantity in ("many", "NaN", "Infinity", ""):
        with pytest.raises((psycopg.DataError, psycopg.errors.CheckViolation)):
            adjust(dsn, quantities=f'{{"images": "{quantity}"}}')
    assert query(dsn, "SELECT count(*) FROM adjustments") == [(0,)]


def test_audio_and_images_are_in_every_sum_of_tokens(dsn: str, connection: Connection) -> None:
    tokens = dict.fromkeys(("audio_input_tokens", "image_input_tokens"), 30)
    tokens |= dict.fromkeys(("audio_output_tokens", "image_output_tokens"), 4)
    with LedgerWriter(dsn) as writer:
        writer.write(metered(event(**tokens), event(**tokens), event()))
    for _ in range(2):
        for view in WITH_TOKENS:
            assert query(dsn, f"SELECT {', '.join(tokens)} FROM {view}") == [(60, 60, 8, 8)], view  # noqa: S608
        assert differences(connection, FIRST, END) == []
        fold(connection)


def test_a_month_begins_at_midnight_utc(dsn: str, connection: Connection) -> None:
    moment = timedelta(microseconds=1)
    with LedgerWriter(dsn) as writer:
        writer.write(metered(event(time=NEW_YEAR - moment), event(time=NEW_YEAR), event(time=NOON)))
    months = "SELECT month, requests FROM usage_monthly ORDER BY month"
    for _ in range(2):
        assert query(dsn, months) == [
            (date(2026, 11, 1), 1),
            (date(2026, 12, 1), 1),
            (date(2027, 1, 1), 1),
        ]
        fold(connection)


def test_a_month_is_made_anew_with_any_of_its_days(dsn: str, connection: Connection) -> None:
    with LedgerWriter(dsn) as writer:
        writer.write(metered(event(), event(time=NOON - timedelta(days=10), cost=Decimal(0))))
        fold(connection)
        query(dsn, "UPDATE folded_monthly SET requests = 7, cost = NULL")
        (found,) = differences(connection, FIRST, END)
        assert found.rollup == "usage_monthly"
        assert found.missing == {"requests": -5, "cost": Decimal("0.001525")}
        writer.write(metered(event()))
    rebuild(connection, NOON.date(), NOON.date() + timedelta(days=1))
    assert query(dsn, "SELECT requests, cost FROM usage_monthly") == [(3, Decimal("0.003050"))]
    assert differences(connection, FIRST, END) == []


def test_a_month_is_compared_where_it_begins(dsn: str, connection: Connection) -> None:
    with LedgerWriter(dsn) as writer:
        writer.write(metered(event(time=NEW_YEAR)))
    fold(connection)
    query(dsn, "DELETE FROM folded_monthly")
    assert differences(connection, date(2026, 12, 2), date(2027, 1, 1)) == []
    assert len(differences(connection, date(2026, 12, 2), date(2027, 1, 2))) == 1
