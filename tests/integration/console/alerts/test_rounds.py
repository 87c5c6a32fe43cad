"""Alerts fire once, resolve, and one process at a time looks for them; budgets come through their seam."""

from __future__ import annotations

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from threading import Barrier

import psycopg
import pytest

from booking import event, metered, query
from spanmeter.console.alerts.round import Round, no_budgets, run_round
from spanmeter.console.alerts.running import run_once
from spanmeter.metering.alerts.budgets import BudgetState
from spanmeter.metering.alerts.rule_file import DEFAULTS, AlertRules, read_alert_rules
from spanmeter.storage.alert_rules import (
    alert_rules_history,
    alert_rules_in_force,
    set_alert_rules,
)
from spanmeter.storage.alerts import become_runner, open_alerts
from spanmeter.storage.connection import Connection, connect
from spanmeter.storage.ledger import LedgerWriter
from spanmeter.storage.producers import Producer

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
MONTH = (datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC))
CHANNELS = """
[channel.ops]
type = "webhook"
url = "http://127.0.0.1:1/hook"
secret_env = "OPS_SECRET"

[channel.quiet]
type = "webhook"
url = "http://127.0.0.1:1/hook"
secret_env = "OPS_SECRET"
resolved = false
"""
BUDGETS = CHANNELS + '[[rule]]\nname = "budgets"\nkind = "budget_threshold"\n'


def budget(
    spent: str, since: datetime = MONTH[0], until: datetime | None = MONTH[1]
) -> BudgetState:
    return BudgetState(
        name="team",
        scope={"tenant_id": "acme"},
        since=since,
        until=until,
        unit="USD",
        limit=Decimal(100),
        spent=Decimal(spent),
        thresholds=(Decimal("0.8"), Decimal(1)),
    )


def round_of(
    dsn: str, rules: AlertRules, states: Sequence[BudgetState], now: datetime = NOON
) -> Round:
    with closing(connect(dsn)) as connection:
        return run_round(connection, dsn, rules, now, lambda reading, at: states)


def test_a_threshold_fires_once_in_a_window_however_many_run(dsn: str) -> None:
    """Eight at once, without the lock that keeps all but one from it."""
    rules = read_alert_rules("alerts-1", BUDGETS)
    together = Barrier(8)

    def run(_: int) -> Round:
        together.wait()
        return round_of(dsn, rules, [budget("85")])

    with ThreadPoolExecutor(8) as threads:
        rounds = list(threads.map(run, range(8)))
    assert sum(each.fired for each in rounds) == 1
    assert sum(each.failed for each in rounds) == 0
    assert query(dsn, "SELECT event, channel FROM alert_deliveries ORDER BY channel") == [
        ("fired", "ops"),
        ("fired", "quiet"),
    ]
    assert round_of(dsn, rules, [budget("99.99")]) == Round(0, 0, 0)
    assert round_of(dsn, rules, [budget("100")]) == Round(1, 0, 0)


def test_the_next_window_is_told_anew_and_ends_the_last(dsn: str) -> None:
    rules = read_alert_rules("alerts-1", BUDGETS)
    assert round_of(dsn, rules, [budget("85")]) == Round(1, 0, 0)
    next_month = budget("81", MONTH[1], MONTH[1] + timedelta(days=31))
    december = MONTH[1] + timedelta(hours=1)
    assert round_of(dsn, rules, [next_month], december) == Round(1, 1, 0)
    told = query(dsn, "SELECT event, channel FROM alert_deliveries ORDER BY event, channel")
    assert told == [
        ("fired", "ops"),
        ("fired", "ops"),
        ("fired", "quiet"),
        ("fired", "quiet"),
        ("resolved", "ops"),
    ]
    (payload,) = query(dsn, "SELECT payload FROM alert_deliveries WHERE event = 'resolved'")[0]
    assert json.loads(payload)["type"] == "alert.resolved"


def test_a_window_that_rolls_is_told_once_while_it_lasts(dsn: str) -> None:
    """Its beginning moves on by the minute; below the threshold it is over, and a day later it may be told again."""
    rules = read_alert_rules("alerts-1", BUDGETS)

    def at(hours: int, spent: str) -> Round:
        now = NOON + timedelta(hours=hours)
        state = replace(budget(spent, now - timedelta(hours=24), None), rolling=True)
        return round_of(dsn, rules, [state], now)

    assert at(0, "85") == Round(1, 0, 0)
    assert at(1, "86") == at(20, "85") == Round(0, 0, 0)
    assert at(21, "79") == Round(0, 1, 0)
    assert at(22, "80") == Round(1, 0, 0)


def test_a_budget_of_all_time_is_told_once_for_ever(dsn: str) -> None:
    rules = read_alert_rules("alerts-1", BUDGETS)
    beginning = datetime(1970, 1, 1, tzinfo=UTC)
    assert round_of(dsn, rules, [budget("85", beginning, None)]) == Round(1, 0, 0)
    later = NOON + timedelta(days=400)
    assert round_of(dsn, rules, [budget("90", beginning, None)], later) == Round(0, 0, 0)


def test_a_forecast_says_on_which_day_a_budget_ends(dsn: str) -> None:
    """The 11th at noon: 63 in 10.5 days are 6 a day, so the other 37 last 6 days and 4 hours."""
    rules = read_alert_rules("alerts-1", '[[rule]]\nname = "f"\nkind = "forecast"')
    at = MONTH[0] + timedelta(days=10, hours=12)
    assert round_of(dsn, rules, [budget("63")], at) == Round(1, 0, 0)
    ((title, figures),) = query(dsn, "SELECT title, figures FROM alerts")
    assert title == "Budget team will be exhausted on the 17th: tenant acme"
    assert figures["exhausted_at"] == "2026-11-17T16:00:00+00:00"
    assert Decimal(figures["rate_per_day"]) == 6
    # 35 in 10.5 days last until December; and early in the month nothing is said.
    assert round_of(dsn, rules, [budget("35")], at) == Round(0, 1, 0)
    assert round_of(dsn, rules, [budget("63")], MONTH[0] + timedelta(days=2)) == Round(0, 0, 0)


def test_of_late_counts_where_it_is_known(dsn: str) -> None:
    """20 are spent, 14 of them in the last week: 2 a day, and 80 last for 40 days. At 70 a week they last 8."""
    rules = read_alert_rules("alerts-1", '[[rule]]\nname = "f"\nkind = "forecast"')
    week_ago = NOON - timedelta(days=7)
    calm = replace(budget("20"), recently=Decimal(14), recent_since=week_ago)
    assert round_of(dsn, rules, [calm]) == Round(0, 0, 0)
    steep = replace(budget("20"), recently=Decimal(70), recent_since=week_ago)
    assert round_of(dsn, rules, [steep]) == Round(1, 0, 0)
    assert query(dsn, "SELECT figures ->> 'exhausted_at' FROM alerts") == [
        ("2026-11-28T12:00:00+00:00",)
    ]


def test_one_process_at_a_time_runs_them(dsn: str) -> None:
    with closing(connect(dsn)) as other:
        assert become_runner(other)
        assert run_once(dsn) is None
    assert run_once(dsn) == Round(0, 0, 0)


def test_shares_of_what_has_no_tenant_and_no_cost(dsn: str) -> None:
    usual = [
        event(time=NOON - timedelta(hours=1 + n % 20), cost=Decimal("0.5")) for n in range(180)
    ]
    nobodys = [
        event(time=NOON - timedelta(hours=1), tenant_id=None, service_name="jobs", cost=Decimal(2))
        for _ in range(10)
    ]
    unpriced = [
        event(
            time=NOON - timedelta(hours=2),
            response_model="house-model",
            cost=None,
            cost_quality="unpriced",
            rate_version=None,
        )
        for _ in range(20)
    ]
    with LedgerWriter(dsn) as writer:
        writer.write(metered(*usual, *nobodys, *unpriced))
    with closing(connect(dsn)) as connection:
        assert run_round(connection, dsn, DEFAULTS, NOON, no_budgets) == Round(2, 0, 0)
        (nobody,) = open_alerts(connection, "unattributed")
        (priceless,) = open_alerts(connection, "unpriced")
        # 20 of 110 dollars; 20 of 210 requests.
        assert nobody.title == "18.2 % of the cost has no tenant"
        assert "jobs / no feature (20.00 USD)" in nobody.message
        assert priceless.title == "9.5 % of the requests are unpriced"
        assert "house-model (20)" in priceless.message
        # The next day it is over.
        later = NOON + timedelta(days=2)
        assert run_round(connection, dsn, DEFAULTS, later, no_budgets) == Round(0, 2, 0)


def test_calls_that_cost_three_times_what_those_of_peers_do(dsn: str) -> None:
    """Six tenants at 0.10 a call, one at 0.40: four times the median. A trial is no peer of those who pay."""
    costs = {f"tenant-{n}": "0.1" for n in range(6)} | {"hooli": "0.4", "tiny": "0.4", "tried": "4"}
    with LedgerWriter(dsn) as writer:
        for tenant, cost in costs.items():
            writer.write(
                metered(
                    *(
                        event(
                            time=NOON - timedelta(hours=n),
                            tenant_id=tenant,
                            feature="chat",
                            account_type="trial" if tenant == "tried" else "paid",
                            cost=Decimal(cost),
                        )
                        for n in range(10 if tenant == "tiny" else 60)
                    )
                )
            )
    with closing(connect(dsn)) as connection:
        run_round(connection, dsn, DEFAULTS, NOON, no_budgets)
        (told,) = open_alerts(connection, "costly-calls")
    assert told.subject == {"currency": "USD", "tenant_id": "hooli", "feature": "chat"}
    assert "the median of 7 tenants of account type paid is 0.100000 USD" in told.message


def test_a_provider_that_went_quiet_and_records_that_are_missing(dsn: str) -> None:
    weekly = [NOON - timedelta(weeks=week, minutes=n) for week in range(6) for n in range(1, 100)]
    both = [
        *(event(time=at, provider="openai", service_name="assistant") for at in weekly),
        *(
            event(time=at, provider="anthropic", service_name="assistant")
            for at in weekly
            if at < NOON - timedelta(days=1)
        ),
    ]
    rules = read_alert_rules(
        "alerts-1",
        '[[rule]]\nname = "gap"\nkind = "provider_gap"\n'
        '[[rule]]\nname = "lost"\nkind = "missing_records"\nafter_minutes = 1\n',
    )
    with LedgerWriter(dsn) as writer:
        writer.write(metered(*both), producers={"p": Producer("assistant", 0, [1, 2, 30])})
    with closing(connect(dsn)) as connection:
        assert run_round(connection, dsn, rules, NOON, no_budgets).fired == 1
        (gap,) = open_alerts(connection, "gap")
        assert gap.subject == {"service_name": "assistant", "provider": "anthropic"}
        assert "Some 99 requests were to be expected" in gap.message
        # Producers are noted at the time of the server.
        soon = datetime.now(UTC) + timedelta(minutes=5)
        run_round(connection, dsn, rules, soon, no_budgets)
        (lost,) = open_alerts(connection, "lost")
        assert lost.title == "27 metering records are missing: service assistant"


def test_everything_quiet_is_one_alert(dsn: str) -> None:
    before = [
        NOON - timedelta(weeks=week, minutes=n) for week in range(1, 6) for n in range(1, 100)
    ]
    with LedgerWriter(dsn) as writer:
        writer.write(
            metered(
                *(event(time=at, provider="openai", service_name="a") for at in before),
                *(event(time=at, provider="anthropic", service_name="b") for at in before),
            )
        )
    rules = read_alert_rules("alerts-1", '[[rule]]\nname = "gap"\nkind = "provider_gap"')
    with closing(connect(dsn)) as connection:
        assert run_round(connection, dsn, rules, NOON, no_budgets) == Round(1, 0, 0)
        (gap,) = open_alerts(connection, "gap")
        assert gap.title == "No usage at all for 3 hours"
        # A rule that there is no more has no alerts that are open.
        none = read_alert_rules("alerts-2", "")
        assert run_round(connection, dsn, none, NOON, no_budgets) == Round(0, 1, 0)


def test_a_rule_that_cannot_be_judged_keeps_no_other_from_it(dsn: str) -> None:
    query(dsn, "ALTER VIEW producer_gaps RENAME TO gone")
    rules = read_alert_rules(
        "alerts-1", BUDGETS + '[[rule]]\nname = "lost"\nkind = "missing_records"\n'
    )
    assert round_of(dsn, rules, [budget("85")]) == Round(1, 0, 1)


def test_rules_are_kept_in_every_version(connection: Connection) -> None:
    assert alert_rules_in_force(connection) == DEFAULTS
    assert set_alert_rules(connection, BUDGETS, "ann", "for the team") == ("alerts-1", True)
    assert set_alert_rules(connection, BUDGETS, "bob") == ("alerts-1", False)
    assert set_alert_rules(connection, CHANNELS, "bob") == ("alerts-2", True)
    assert alert_rules_in_force(connection).rules == ()
    assert [each.set_by for each in alert_rules_history(connection)] == ["bob", "ann"]


TOLD = {
    "alert_rules": "rules",
    "alerts": "title",
    "alert_resolutions": "resolved_at",
    "alert_deliveries": "payload",
    "alert_attempts": "outcome",
}


@pytest.mark.parametrize("table", TOLD)
def test_what_was_told_stays(dsn: str, table: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPS_SECRET", raising=False)
    with closing(connect(dsn)) as connection:
        set_alert_rules(connection, BUDGETS, "ann")
    assert run_once(dsn, lambda reading, at: [budget("85")]) == Round(1, 0, 0)
    assert run_once(dsn) == Round(0, 1, 0)
    assert query(dsn, f"TABLE {table}")
    for change in ("UPDATE {0} SET {1} = {1}", "DELETE FROM {0}", "TRUNCATE {0} CASCADE"):
        with pytest.raises(psycopg.errors.RestrictViolation, match="append-only"):
            query(dsn, change.format(table, TOLD[table]))
