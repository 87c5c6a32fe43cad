"""Six weeks of a real ledger: three incidents are told with their cause, and nothing else is."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import closing
from datetime import timedelta

import pytest

from alert_ledger import book
from alert_months import BEGIN, HOUR, Calls, broken, loop, month, shifted
from booking import query
from spanmeter.console.alerts.round import Round, no_budgets, run_round
from spanmeter.metering.alerts.rule_file import DEFAULTS
from spanmeter.storage.alerts import fired, open_alerts
from spanmeter.storage.connection import Connection, connect

# A hundred thousand rows, and some thirty rounds of all rules.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

DAY = 24 * HOUR
LOOP = BEGIN + 29 * DAY + 2 * HOUR
BROKEN = BEGIN + 31 * DAY + 12 * HOUR
SHIFT = BEGIN + 35 * DAY + 9 * HOUR


def incidents(seed: int) -> Iterator[Calls]:
    """A tenant loops on a Tuesday at 2 AM, chat is broken on Thursday, and on Monday all calls become dearer."""
    usual = broken(month(seed, days=37), BROKEN, BROKEN + 4 * HOUR)
    yield from shifted(usual, SHIFT)
    yield from loop(LOOP, 3)


@pytest.fixture
def connection(dsn: str) -> Generator[Connection]:
    book(dsn, incidents(seed=7))
    with closing(connect(dsn)) as connection:
        yield connection


def test_three_incidents_are_told_with_their_cause_and_nothing_else(
    dsn: str, connection: Connection
) -> None:
    def at(moment: timedelta) -> Round:
        return run_round(connection, dsn, DEFAULTS, BEGIN + moment, no_budgets)

    def told() -> set[tuple[str | None, str | None, str | None]]:
        return {
            (each.cause, each.subject.get("tenant_id"), each.subject.get("feature"))
            for each in open_alerts(connection, "spikes")
        }

    # Two steady weeks, weekends among them: at other hours of other days each time.
    for hours in range(15 * 24, 29 * 24, 31):
        assert at(hours * HOUR) == Round(0, 0, 0)

    assert at(LOOP - BEGIN + 90 * timedelta(minutes=1)) == Round(1, 0, 0)
    assert told() == {("tenant_looping", "globex", "summaries")}
    assert at(LOOP - BEGIN + 2 * HOUR) == Round(0, 0, 0)
    assert at(LOOP - BEGIN + 10 * HOUR) == Round(0, 1, 0)
    assert at(BROKEN - BEGIN - 5 * HOUR) == Round(0, 0, 0)

    assert at(BROKEN - BEGIN + 2 * HOUR) == Round(1, 0, 0)
    assert told() == {("integration_broken", None, "chat")}
    assert at(BROKEN - BEGIN + 3 * HOUR) == Round(0, 0, 0)
    assert at(BROKEN - BEGIN + 10 * HOUR) == Round(0, 1, 0)
    assert at(SHIFT - BEGIN - 5 * HOUR) == Round(0, 0, 0)

    assert at(SHIFT - BEGIN + 3 * HOUR) == Round(1, 0, 0)
    assert told() == {("platform_shifted", None, None)}
    assert at(SHIFT - BEGIN + 6 * HOUR) == Round(0, 0, 0)
    # At night it is less money, and the same alert.
    assert at(SHIFT - BEGIN + 16 * HOUR) == Round(0, 0, 0)

    alerts = fired(connection, BEGIN, 10, open_only=False)
    assert len(alerts) == 3
    loop_, broken_, shift_ = sorted(alerts, key=lambda each: each.window_since)
    assert "100% of them have the same size" in loop_.message
    assert "% of its requests fail" in broken_.message
    assert (
        "gpt-5 100% \N{RIGHTWARDS ARROW} 0%, gpt-5-pro 0% \N{RIGHTWARDS ARROW} 100%"
        in shift_.message
    )
    assert query(
        dsn, "SELECT jsonb_array_length(contributors) FROM alerts WHERE cause = 'platform_shifted'"
    ) == [(3,)]
