"""Budgets on price: what tenants are charged for each call by the plan that was in force for it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from booking import adjust, event, metered
from integration.budgets.conftest import Laid
from integration.budgets.test_counting import standing
from integration.budgets.test_enforcement import ask
from simulated_provider import SimulatedProvider
from spanmeter.instrumentation import BudgetExceeded
from spanmeter.instrumentation.budgets.guard import Guard
from spanmeter.metering.budgets.budget import BudgetError
from spanmeter.metering.budgets.windows import Window
from spanmeter.storage.connection import connect
from spanmeter.storage.ledger import LedgerWriter
from spanmeter.storage.plans import assign, set_plan
from spanmeter.storage.tenant_statements import Statements
from unit.instrumentation.recording import Recorder

pytestmark = pytest.mark.timeout(120)

PRO = """
plan = "pro"
currency = "USD"
fee = 99

[[charge]]
name = "long"
unit = "input_tokens"
price = "2.00/1M,>200k:4.00"
[[charge]]
name = "cached"
unit = "cache_read_input_tokens"
price = "0.50/1M"
[[charge]]
name = "calls"
unit = "requests"
price = 0.01
when = { feature = "search" }
[[charge]]
name = "images"
unit = "images"
price = 0.25
[[charge]]
name = "llm"
markup = "50%"
when = { dimensions = { region = { glob = "100%*" } } }
[[discount]]
name = "launch"
percent = "10%"
charges = ["long"]
"""

LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)
LIFETIME: dict[str, Any] = {"metric": "price", "window": Window.named("lifetime")}


def plan(dsn: str, text: str, since: datetime = LONG_AGO, tenant: str | None = "acme") -> None:
    """Has a tenant, or everybody, charged by a plan."""
    with connect(dsn) as connection:
        recorded, _ = set_plan(connection, text, since, "test")
        assign(connection, tenant, recorded.plan, since, "test")


def book(dsn: str, *events: Any) -> None:
    with LedgerWriter(dsn) as writer:
        writer.write(metered(*events))


def spent(dsn: str, budget: str = "acme", **values: str) -> Decimal:
    return standing(dsn, budget, **values).spent


def test_each_call_counts_at_its_price(lay_down: Laid, plain_dsn: str) -> None:
    plan(plain_dsn, PRO)
    # One that is booked before the budget is laid down.
    book(plain_dsn, event())
    lay_down("acme", "100", **LIFETIME)
    # 800 at 2.00 a million, less 10 %, and 200 cached at 0.50: 0.00144 + 0.0001.
    plainly = Decimal("0.00154")
    assert spent(plain_dsn) == plainly
    book(
        plain_dsn,
        # 299 800 at 4.00, less 10 %, and 200 cached: 1.07928 + 0.0001.
        event(input_tokens=300_000),
        # In the same minute and as long: not added to the other before it is priced.
        event(input_tokens=300_000),
        event(feature="search", quantities={"images": Decimal(3)}),
        event(dimensions={"region": "100% eu"}),
        event(billable_state="included"),
        event(tenant_id="globex"),
        event(tenant_id=None),
    )
    long, cost = Decimal("1.07938"), Decimal("0.001525")
    expected = plainly + 2 * long
    expected += plainly + Decimal("0.01") + Decimal("0.75")
    expected += plainly + cost * Decimal("1.5")
    assert spent(plain_dsn) == expected
    # A correction takes off what the tenant is not charged.
    adjust(plain_dsn, input_tokens=-1000)
    assert spent(plain_dsn) == expected - Decimal("0.0018")


def test_it_is_what_the_statement_says(lay_down: Laid, plain_dsn: str) -> None:
    plan(plain_dsn, PRO.replace("fee = 99\n", ""))
    lay_down("each", "100", scope={"tenant.id": "*"}, metric="price", timezone="UTC")
    start = datetime.now(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    moments = [start + timedelta(minutes=number) for number in range(40)]
    book(
        plain_dsn,
        *(
            event(
                time=moment,
                input_tokens=10_007 * (place + 1),
                feature="search" if place % 3 else None,
                dimensions={"region": "100% eu"} if place % 2 else {},
            )
            for place, moment in enumerate(moments)
        ),
    )
    with connect(plain_dsn) as connection, connection.transaction():
        found = Statements(connection).of("acme", start.date())
    assert spent(plain_dsn, "each", tenant_id="acme") == found.unrounded


def test_names_of_dimensions_and_units_may_be_any(lay_down: Laid, plain_dsn: str) -> None:
    plan(plain_dsn, PRO)
    scope = {"usage.dimension.per%s cent": "*"}
    lay_down("price", "100", scope=scope, **LIFETIME)
    lay_down("unit", "100", scope=scope, metric="unit:10%s", window=LIFETIME["window"])
    book(plain_dsn, event(dimensions={"per%s cent": "x"}, quantities={"10%s": Decimal(3)}))
    counter = {"usage.dimension.per%s cent": "x"}
    assert spent(plain_dsn, "price", **counter) == Decimal("0.00154")
    assert spent(plain_dsn, "unit", **counter) == 3


def test_a_plan_that_changes_has_it_counted_anew(lay_down: Laid, plain_dsn: str) -> None:
    now = datetime.now(UTC)
    plan(plain_dsn, PRO, tenant=None)
    lay_down("acme", "100", **LIFETIME)
    early, late = event(time=now - timedelta(hours=2)), event(time=now - timedelta(hours=1))
    book(plain_dsn, early, late)
    assert spent(plain_dsn) == 2 * Decimal("0.00154")
    # Recorded for the past: in force between the two.
    dear = PRO.replace('"2.00/1M,>200k:4.00"', '"20.00/1M"')
    plan(plain_dsn, dear, now - timedelta(minutes=90), tenant=None)
    assert spent(plain_dsn) == Decimal("0.00154") + Decimal("0.0145")
    plan(plain_dsn, 'plan = "free"\ncurrency = "USD"\n')
    assert spent(plain_dsn) == 0


def test_what_a_markup_is_for_counts_at_the_rate_that_stands_in(
    lay_down: Laid, plain_dsn: str
) -> None:
    plan(plain_dsn, 'plan = "plus"\ncurrency = "USD"\n[[charge]]\nname = "all"\nmarkup = "20%"\n')
    lay_down("acme", "100", **LIFETIME)
    unpriced = event(cost=None, cost_quality="unpriced", rate_version=None)
    book(plain_dsn, unpriced, event(currency="EUR"))
    # 1000 at 15 and 50 at 75 a million.
    assert spent(plain_dsn) == Decimal("0.01875")
    adjust(
        plain_dsn, cost=Decimal(2), unpriced_requests=-1, adjusted_trace_id=unpriced.trace_id,
        adjusted_span_id=unpriced.span_id, adjusted_time=unpriced.time,
    )  # fmt: skip
    assert spent(plain_dsn) == Decimal("2.4")


UNCOUNTABLE = {
    "tiers": '[[charge]]\nname = "c"\nunit = "requests"\n'
    "tiers = [{ up_to = 10, price = 0.01 }, { price = 0.001 }]\n",
    "includes": '[[charge]]\nname = "c"\nunit = "requests"\nprice = 0.01\nincluded = 5\n',
    "action": '[[charge]]\nname = "c"\naction = "report"\nprice = 5\n',
    "covers": '[[grant]]\nname = "g"\namount = "1M tokens"\n',
}


@pytest.mark.parametrize("told", UNCOUNTABLE)
def test_plans_that_no_single_call_tells_the_price_of_are_refused(
    lay_down: Laid, plain_dsn: str, told: str
) -> None:
    text = f'plan = "other"\ncurrency = "USD"\n{UNCOUNTABLE[told]}'
    plan(plain_dsn, PRO)
    lay_down("acme", "10", metric="price")
    with pytest.raises(BudgetError, match=f"budget 'acme' is on price, and plan other/1 .*{told}"):
        plan(plain_dsn, text, datetime.now(UTC) + timedelta(days=9))
    # Nobody else's matters to it; and nothing of what was refused is there.
    plan(plain_dsn, text, tenant="globex")
    with pytest.raises(BudgetError, match="budget 'each' is on price"):
        lay_down("each", "10", scope={"user.id": "*"}, metric="price")
    assert spent(plain_dsn) == 0


def test_calls_are_estimated_at_the_tenants_price(
    lay_down: Laid, guarding: Guard, provider: SimulatedProvider, recorder: Recorder, plain_dsn: str
) -> None:
    text = """plan = "by-call"\ncurrency = "USD"
[[charge]]
name = "calls"
unit = "requests"
price = 0.25
when = { feature = "summaries" }
[[charge]]
name = "others"
unit = "requests"
price = 0.01
"""
    plan(plain_dsn, text)
    lay_down("acme", "0.80", metric="price")
    for _ in range(3):
        ask(provider)
    with pytest.raises(BudgetExceeded) as caught:
        ask(provider)
    assert caught.value.needed == Decimal("0.25")
    # Who has no plan is charged nothing.
    lay_down("globex", "0.01", scope={"tenant.id": "globex"}, metric="price")
    for _ in range(3):
        ask(provider, tenant="globex")
