"""What the API tells of money: budgets and requests, limits, statements, grants, margins, alerts."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from booking import query
from consoles import Client, serving
from databases.fixtures import Databases
from databases.templates import fresh_database
from keys import make_key
from looked_after import book_calls, look_after
from spanmeter.console.web.settings import ConsoleSettings
from spanmeter.storage.budget_approvals import ask_for_approval
from spanmeter.storage.connection import connect
from spanmeter.storage.console_access import set_tenant_view
from spanmeter.storage.plans import assign, set_plan
from spanmeter.storage.tenant_statements import Statements

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
def ledger(databases: Databases) -> Generator[str]:
    """One ledger for all: what a test changes is its own."""
    template = databases.template("timescale")
    with fresh_database(databases.server("timescale"), template) as dsn:
        book_calls(dsn)
        look_after(dsn, limit="0.00045")
        yield dsn


@pytest.fixture(scope="module")
def url(ledger: str) -> Generator[str]:
    with serving(ConsoleSettings(dsn=ledger)) as address:
        yield address


@pytest.fixture(scope="module")
def admin(url: str, ledger: str) -> Client:
    return Client(url, make_key(ledger, scopes=("admin",)).token)


@pytest.fixture(scope="module")
def reader(url: str, ledger: str) -> Client:
    return Client(url, make_key(ledger, scopes=("read",)).token)


@pytest.fixture
def acme(url: str, admin: Client) -> Client:
    made = admin.send("POST", "/v1/tenants/acme/tokens", {"seconds": 60})
    return Client(url, made.json()["token"])


def spent(dsn: str, what: str, where: str) -> Decimal:
    ((found,),) = query(dsn, f"SELECT coalesce(sum({what}), 0) FROM ledger WHERE {where}")  # noqa: S608
    return Decimal(found)


def this_month() -> date:
    return datetime.now(UTC).date().replace(day=1)


def test_counters_are_the_sums_of_the_ledger_page_by_page(reader: Client, ledger: str) -> None:
    first = reader.get("/v1/budgets?limit=2").json()
    assert len(first["data"]) == 2
    assert first["next"] is not None
    counters = reader.data("/v1/budgets?limit=2")
    by_name = {(each["budget"], *each["scope"].values()): each for each in counters}
    assert len(by_name) == len(counters) == 7
    acme = by_name["acme-monthly", "acme"]
    assert Decimal(acme["spent"]) == spent(ledger, "cost", "tenant_id = 'acme'")
    assert Decimal(acme["left"]) == Decimal(acme["limit"]) - Decimal(acme["spent"])
    assert acme["reached"] == "80"
    each = by_name["each-tenant", "globex"]
    tokens = spent(ledger, "input_tokens + output_tokens", "tenant_id = 'globex'")
    assert (each["unit"], Decimal(each["spent"])) == ("tokens", tokens)
    of_globex = reader.data("/v1/budgets?tenant=globex")
    assert [each["budget"] for each in of_globex] == ["each-tenant"]


def test_a_budget_is_set_changed_raised_and_removed_by_an_administrator_alone(
    admin: Client, reader: Client
) -> None:
    wanted: dict[str, Any] = {"scope": {"tenant": "*"}, "limit": "9", "unpriced": "refuse"}
    assert reader.send("PUT", "/v1/budgets/mine", wanted).status_code == 403
    assert admin.send("PUT", "/v1/budgets/mine", wanted).json() == {"changed": True}
    assert admin.send("PUT", "/v1/budgets/mine", wanted).json() == {"changed": False}
    again = admin.send("PUT", "/v1/budgets/mine", {**wanted, "limit": "11"})
    assert again.json() == {"changed": True}
    more = {"amount": "0.5", "seconds": 3600, "of": {"tenant": "acme"}, "reason": "they asked"}
    assert admin.send("POST", "/v1/budgets/mine/increases", more).status_code == 201
    shown = reader.get("/v1/budgets/mine").json()
    limits = {each["scope"]["tenant"]: each["limit"] for each in shown["counters"]}
    assert limits == {"acme": "11.5", "globex": "11", "initech": "11"}
    assert [each["definition"]["limit"] for each in shown["versions"]] == ["11", "9"]
    assert shown["definition"]["unpriced"] == "refuse"
    for wrong in ({"scope": {"nonsense": "x"}}, {"metric": "nonsense"}, {"action": "downgrade"}):
        refused = admin.send("PUT", "/v1/budgets/mine", {**wanted, **wrong})
        assert refused.status_code == 400, wrong
        assert refused.headers["content-type"] == "application/problem+json"
    assert admin.send("DELETE", "/v1/budgets/mine").status_code == 204
    assert admin.send("DELETE", "/v1/budgets/mine").status_code == 404
    assert reader.get("/v1/budgets/mine").status_code == 404
    assert admin.send("POST", "/v1/budgets/mine/increases", more).status_code == 404


def test_requests_are_decided_once(admin: Client, reader: Client, ledger: str) -> None:
    with closing(connect(ledger)) as connection:
        ask_for_approval(connection, "watch", "{}", Decimal("1.25"), "assistant")
        ask_for_approval(connection, "chat", "{}", Decimal(3), "assistant")
    asked = {each["budget"]: each for each in reader.get("/v1/approvals").json()["data"]}
    assert asked["watch"]["amount"] == "1.25"
    approve, deny = (f"/v1/approvals/{asked[name]['approval_id']}" for name in ("watch", "chat"))
    assert reader.send("POST", f"{approve}/approve", {"seconds": 60}).status_code == 403
    done = admin.send("POST", f"{approve}/approve", {"seconds": 60})
    assert (done.status_code, done.json()["amount"]) == (200, "1.25")
    assert admin.send("POST", f"{deny}/deny").status_code == 204
    for path in (f"{approve}/approve", f"{deny}/deny"):
        assert admin.send("POST", path, {"seconds": 60}).status_code == 409
    decided = reader.get("/v1/approvals?decided=true").json()["data"]
    assert {each["budget"]: each["decision"] for each in decided} == {
        "watch": "approved",
        "chat": "denied",
        "acme-monthly": None,
    }


def test_a_tenant_is_told_its_limits_without_cost_or_models(
    acme: Client, reader: Client, ledger: str
) -> None:
    def told(client: Client) -> dict[tuple[str, ...], Any]:
        found = client.get("/v1/limits?tenant=acme").json()["data"]
        return {(each["metric"], *each["scope"].values()): each for each in found}

    own, whole = told(acme), told(reader)
    assert whole.keys() - own.keys() == {("cost", "gpt-4o-mini")}
    assert own["cost",]["limit"] is own["cost",]["left"] is None
    assert own["cost",]["used"] == whole["cost",]["used"] > 0.8
    assert own["tokens",] == whole["tokens",]
    assert Decimal(own["requests", "chat"]["left"]) == 1000 - spent(
        ledger, "requests", "tenant_id = 'acme' AND feature = 'chat'"
    )
    with closing(connect(ledger)) as connection:
        for shown in (True, False):
            set_tenant_view(connection, "acme", shows_models=shown, shows_cost=shown, set_by="x")
            assert (told(acme) == whole) is shown
    assert reader.get("/v1/limits").status_code == 400


def test_a_statement_is_the_commands_own_and_closed_ones_stay(
    admin: Client, acme: Client, ledger: str
) -> None:
    month = this_month()
    with closing(connect(ledger)) as connection, connection.transaction():
        expected = Statements(connection).of("acme", month)
    shown = admin.get(f"/v1/statements/{month:%Y-%m}?tenant=acme").json()
    assert Decimal(shown["total"]) == expected.total
    assert [line["name"] for line in shown["lines"]] == [line.name for line in expected.lines]
    assert Decimal(shown["cost"]["USD"]) == spent(ledger, "cost", "tenant_id = 'acme'")
    assert {each["grant"] for each in shown["grants"]} == {"welcome", "launch"}
    own = acme.get(f"/v1/statements/{month:%Y-%m}").json()
    assert own["cost"] is own["unpriced_calls"] is own["calls"] is None
    assert (own["total"], own["lines"]) == (shown["total"], shown["lines"])
    with closing(connect(ledger)) as connection:
        for cost in (True, False):
            set_tenant_view(connection, "acme", shows_models=False, shows_cost=cost, set_by="x")
            told = acme.get(f"/v1/statements/{month:%Y-%m}").json()
            assert (told["cost"] is not None) is cost
    (now,) = acme.data("/v1/statements")
    assert (now["state"], now["total"]) == ("open", shown["total"])
    assert admin.get("/v1/statements").status_code == 400
    assert admin.get("/v1/statements/2026-13?tenant=acme").status_code == 422
    rows = admin.get("/statements/acme/statement.csv").text.splitlines()
    assert len(rows) == 1 + len(expected.lines)


def test_a_markup_does_not_tell_a_tenant_its_cost(admin: Client, url: str, ledger: str) -> None:
    text = 'plan = "plus"\ncurrency = "USD"\n[[charge]]\nname = "llm"\nmarkup = "30%"\n'
    since = datetime.now(UTC) - timedelta(days=300)
    with closing(connect(ledger)) as connection:
        set_plan(connection, text, since, "ann")
        assign(connection, "globex", "plus", since, "ann")
    token = admin.send("POST", "/v1/tenants/globex/tokens", {}).json()["token"]
    path = f"/v1/statements/{this_month():%Y-%m}?tenant=globex"
    (line,) = admin.get(path).json()["lines"]
    assert (line["price"], line["unit"]) == ("cost +30%", "cost")
    (own,) = Client(url, token).get(path).json()["lines"]
    assert own == {**line, "price": None, "unit": None, "quantity": None}
    page = Client(url).get(f"/embed?token={token}").text
    assert "30%" not in page
    assert line["quantity"] not in page


def test_grants_are_made_once_and_taken_back(admin: Client, reader: Client) -> None:
    wanted = {"tenant": "hooli", "amount": "1000000 tokens", "kind": "topup", "grant_id": "g-1"}
    assert reader.send("POST", "/v1/grants", wanted).status_code == 403
    for changed in (True, False):
        made = admin.send("POST", "/v1/grants", wanted)
        assert (made.status_code, made.json()) == (201, {"changed": changed, "grant_id": "g-1"})
    (grant,) = reader.data("/v1/grants?tenant=hooli")
    assert (grant["unit"], Decimal(grant["amount"])) == ("tokens", Decimal(1_000_000))
    assert admin.send("POST", "/v1/grants/g-1/void", {"note": "a mistake"}).status_code == 204
    assert admin.send("POST", "/v1/grants/g-1/void", {}).status_code == 409
    assert admin.send("POST", "/v1/grants/g-0/void", {}).status_code == 404
    assert reader.data("/v1/grants?tenant=hooli")[0]["voided_at"] is not None
    late = {**wanted, "grant_id": "g-2", "expires_at": "2020-01-01T00:00:00Z"}
    assert admin.send("POST", "/v1/grants", late).status_code == 400


def test_margins_add_up_and_name_who_costs_more_than_it_pays(reader: Client, ledger: str) -> None:
    told = reader.get("/v1/margin").json()
    rows = {each["name"]: each for each in told["data"]}
    for name, row in rows.items():
        assert Decimal(row["cost"]) == spent(ledger, "cost", f"tenant_id = '{name}'")
        assert Decimal(row["margin"]) == Decimal(row["revenue"]) - Decimal(row["cost"])
    assert rows["initech"]["negative"]
    assert not rows["acme"]["negative"]
    assert told["data"][0]["name"] == "initech"
    (one,) = reader.get("/v1/margin?tenant=acme").json()["data"]
    assert one == rows["acme"]
    by_plan = reader.get("/v1/margin?by=plan").json()["data"]
    assert sum(Decimal(each["cost"]) for each in by_plan) == spent(ledger, "cost", "true")
    by_feature = reader.get("/v1/margin?by=feature").json()["data"]
    assert {each["name"] for each in by_feature} == {"chat", "search"}
    assert reader.get("/v1/margin?by=nonsense").status_code == 400
    assert reader.get("/v1/margin?month=2020-01").json()["data"] == []


def test_alerts_tell_cause_and_figures(reader: Client) -> None:
    (found,) = reader.data("/v1/alerts?open=true")
    assert (found["rule"], found["resolved_at"]) == ("anomaly-rule", None)
    both = reader.data("/v1/alerts?limit=1")
    assert [each["kind"] for each in both].count("unpriced") == 1
    assert len(both) == 2
    whole = reader.get(f"/v1/alerts/{found['alert_id']}").json()
    assert whole["figures"]["actual"] == "42.00"
    assert whole["contributors"] == [{"name": "chat", "actual": "38.5", "expected": "7.1"}]
    assert reader.get("/v1/alert-messages").json() == {"data": []}
    assert "alerts-defaults" in reader.get("/v1/alert-rules").json()["in_force"]


def test_plans_are_listed(reader: Client) -> None:
    found = {each["plan"]: each for each in reader.get("/v1/plans").json()["data"]}
    assert found["pro"]["default"]
    assert found["free"]["tenants"] == 1
