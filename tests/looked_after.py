"""A ledger that somebody looks after: plans, budgets, a request, grants, alerts and a compared bill."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from booking import event, metered, query
from spanmeter.metering.alerts.finding import Contributor, Finding, Window
from spanmeter.metering.budgets.documents import read_budget
from spanmeter.metering.plans.grants import Grant
from spanmeter.storage.alerts import fire, open_alerts, resolve
from spanmeter.storage.budget_approvals import ask_for_approval
from spanmeter.storage.budgets import set_budget
from spanmeter.storage.connection import Connection, connect
from spanmeter.storage.grants import add_grant
from spanmeter.storage.ledger import LedgerWriter
from spanmeter.storage.plans import assign, set_plan

RECONCILED = "6f2b0f6e-6b0a-4b8e-9c41-0d7c5f6a1b2c"
BY = "ann"

PLAN = """\
plan = "pro"
currency = "USD"
fee = {fee}

[[charge]]
name = "tokens"
unit = "tokens"
price = "{price}"

[[charge]]
name = "reports"
action = "report"
price = 0.05
"""


def book_calls(dsn: str) -> None:
    """Calls of three tenants, a moment ago: half of them are acme's."""
    now = datetime.now(UTC)
    with LedgerWriter(dsn) as writer:
        writer.write(
            metered(
                *(
                    event(
                        time=now - timedelta(milliseconds=n),
                        tenant_id=("acme", "acme", "globex", "initech")[n % 4],
                        feature=("chat", "search")[n % 2],
                        request_model="gpt-4o-mini",
                        response_model="gpt-4o-mini",
                        cost=Decimal(f"0.000{n + 1:03}000000000000000001"),
                    )
                    for n in range(40)
                )
            )
        )


def look_after(
    dsn: str, *, tenant: str = "acme", limit: str = "0.01", fee: str = "20", price: str = "2/1M"
) -> None:
    """Lay everything down; `limit` is in US dollars, `tenant` has budgets, a grant and an alert of its own."""
    with closing(connect(dsn)) as connection:
        _plans(connection, fee, price)
        _budgets(connection, tenant, limit)
        _grants(connection, tenant)
        _alerts(connection, tenant)
    _bill(dsn)


def _plans(connection: Connection, fee: str, price: str) -> None:
    since = datetime.now(UTC) - timedelta(days=400)
    set_plan(connection, PLAN.format(fee=fee, price=price), since, BY)
    set_plan(connection, 'plan = "free"\ncurrency = "USD"\n', since, BY)
    assign(connection, None, "pro", since, BY)
    assign(connection, "initech", "free", since, BY)


def _budgets(connection: Connection, tenant: str, limit: str) -> None:
    budgets: dict[str, dict[str, Any]] = {
        f"{tenant}-monthly": {"scope": {"tenant": tenant}, "limit": limit, "action": "approve"},
        "each-tenant": {
            "scope": {"tenant": "*"},
            "limit": "90000",
            "metric": "tokens",
            "window": "rolling 24h",
        },
        "chat": {
            "scope": {"tenant": tenant, "feature": "chat"},
            "limit": "1000",
            "metric": "requests",
            "action": "throttle",
        },
        "all-models": {
            "scope": {"tenant": tenant, "model": "gpt-4o-mini"},
            "limit": "5",
            "action": "clamp",
        },
        "watch": {"scope": {}, "limit": "1000", "action": "notify"},
    }
    for name, members in budgets.items():
        set_budget(connection, read_budget(name, members), BY)
    ask_for_approval(connection, f"{tenant}-monthly", "{}", Decimal("0.25"), "assistant@host-1")


def _grants(connection: Connection, tenant: str) -> None:
    since = datetime.now(UTC) - timedelta(days=1)
    for grant_id, unit, amount in (("welcome", "USD", "5"), ("launch", "tokens", "20000")):
        grant = Grant(
            grant_id=grant_id,
            tenant_id=tenant,
            kind="credit" if unit == "USD" else "allowance",
            unit=unit,
            amount=Decimal(amount),
            effective_at=since,
            recorded_at=since,
        )
        add_grant(connection, grant, BY)


def _alerts(connection: Connection, tenant: str) -> None:
    now = datetime.now(UTC)
    for kind, hours in (("anomaly", 2), ("unpriced", 30)):
        finding = Finding(
            rule=f"{kind}-rule",
            kind=kind,
            subject={"tenant_id": tenant, "feature": "chat"},
            window=Window(now - timedelta(hours=hours), now - timedelta(hours=hours - 1)),
            title=f"Tenant {tenant} costs 4.2\N{MULTIPLICATION SIGN} what is usual"
            if kind == "anomaly"
            else "A model without a rate was called",
            message=f"Tenant {tenant} cost 42.00 USD in the last hour; 10.00 USD is usual at this time of a"
            " Saturday. Most of it: chat.",
            figures={"actual": "42.00", "expected": "10.00", "currency": "USD"},
            cause="more_calls",
            contributors=[Contributor("chat", Decimal("38.5"), Decimal("7.1"))],
        )
        fire(connection, finding, "rules-1")
    (over,) = open_alerts(connection, "unpriced-rule")
    resolve(connection, over)


def _bill(dsn: str) -> None:
    query(
        dsn,
        "INSERT INTO reconciliations (reconciliation_id, provider, since, until, currency, providers, attributed,"
        " billed, sources) VALUES (%s, 'openai', '2026-10-01', '2026-11-01', 'USD', '{openai}', 90, 100, '{bill}')",
        RECONCILED,
    )
    for place, (cause, amount) in enumerate((("unattributed", 12), ("rounding", -2))):
        query(
            dsn,
            "INSERT INTO reconciliation_variances"
            " VALUES (%s, %s, '2026-10-02', NULL, 'gpt-5', 'standard', %s, %s, '{}')",
            RECONCILED,
            place,
            cause,
            amount,
        )
