"""Alerts about real budgets: what is booked is counted, and told once for each window and threshold."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from booking import event, metered
from spanmeter.console.alerts.budget_states import budget_states
from spanmeter.console.alerts.round import run_round
from spanmeter.console.alerts.running import run_once
from spanmeter.metering.alerts.rule_file import read_alert_rules
from spanmeter.metering.budgets.budget import Budget
from spanmeter.metering.budgets.windows import Window
from spanmeter.storage.alerts import open_alerts
from spanmeter.storage.budgets import set_budget
from spanmeter.storage.connection import Connection
from spanmeter.storage.ledger import LedgerWriter

RULES = read_alert_rules("alerts-1", '[[rule]]\nname = "budgets"\nkind = "budget_threshold"')


def test_what_is_spent_of_a_budget_is_told(dsn: str, connection: Connection) -> None:
    """8.50 of 10: past 50 and 80 per cent, of the month of acme and of everybody's last 24 hours."""
    now = datetime.now(UTC)
    day = Window.named("rolling 24h")
    set_budget(connection, Budget(name="team", scope={"tenant.id": "*"}, limit=Decimal(10)), "ann")
    set_budget(connection, Budget(name="day", scope={}, limit=Decimal(10), window=day), "ann")
    with LedgerWriter(dsn) as writer:
        writer.write(metered(event(time=now, tenant_id="acme", cost=Decimal("8.5"))))
    assert run_round(connection, dsn, RULES, now, budget_states).fired == 4
    told = {each.title for each in open_alerts(connection, "budgets")}
    assert told == {
        "Budget team has reached 50%: tenant acme",
        "Budget team has reached 80%: tenant acme",
        "Budget day has reached 50%: everybody",
        "Budget day has reached 80%: everybody",
    }
    later = now + timedelta(minutes=5)
    assert run_round(connection, dsn, RULES, later, budget_states).fired == 0


def test_who_runs_the_alerts_asks_the_budgets(dsn: str, connection: Connection) -> None:
    budget = Budget(name="all", scope={}, limit=Decimal(1), window=Window.named("lifetime"))
    set_budget(connection, budget, "ann")
    with LedgerWriter(dsn) as writer:
        writer.write(metered(event(cost=Decimal(2))))
    done = run_once(dsn)
    assert done is not None
    assert done.fired == 3
