"""Who is let in to the console, and that a tenant sees its own usage and nothing else."""

from __future__ import annotations

import uuid
from contextlib import closing
from datetime import timedelta
from decimal import Decimal
from typing import Any

import jwt
import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from booking import query
from consoles import Client, serving
from keys import make_key
from spanmeter.console.web.attempts import MOST
from spanmeter.console.web.settings import ConsoleSettings
from spanmeter.console.web.tokens import TENANT, BadToken, Tokens
from spanmeter.storage.api_keys import revoke_key
from spanmeter.storage.connection import connect
from spanmeter.storage.console_access import (
    become_tenant,
    make_login_link,
    rotate_secret,
    signing_secrets,
)

# What a tenant's token opens, for that tenant.
OPEN = {
    *("/v1/usage", "/v1/actions", "/v1/events", "/v1/limits", "/v1/statements"),
    "/v1/statements/{month}",
}

_PARTS = {
    "{tenant}": "globex",
    "{event}": "00000000000000000000000000000001:0000000000000002",
    "{key_id}": "smk_0123456789ab",
    "{reconciliation_id}": "00000000-0000-0000-0000-000000000000",
    "{alert_id}": "00000000-0000-0000-0000-000000000000",
    "{budget}": "acme-monthly",
    "{approval_id}": "1",
    "{grant_id}": "welcome",
    "{month}": "2026-11",
}
_SEEN = sql.SQL("SELECT count(*), count(cost), count(model), count(provider) FROM {}")
_BODIES: dict[str, dict[str, Any]] = {
    "/v1/keys": {"name": "x"},
    "/v1/evaluations": {"evaluations": [{"name": "x", "score": 1, "response_id": "r"}]},
}


def routes(client: Client) -> list[tuple[str, str]]:
    """Every method and path that the OpenAPI document has."""
    document = client.get("/v1/openapi.json").json()
    return [(method.upper(), path) for path, found in document["paths"].items() for method in found]


def filled(path: str) -> str:
    for name, value in _PARTS.items():
        path = path.replace(name, value)
    return path


def test_a_tenants_token_is_refused_another_tenant_on_every_route(acme: Client) -> None:
    found = routes(acme)
    assert len(found) >= 36
    for method, path in found:
        answer = acme.send(method, f"{filled(path)}?tenant=globex", _BODIES.get(path, {}))
        assert answer.status_code == 403, (method, path, answer.text)
        assert answer.headers["content-type"] == "application/problem+json"
        assert "globex" not in answer.json()["detail"]


def test_a_tenants_token_opens_its_own_usage_alone(acme: Client) -> None:
    opened = {
        path
        for method, path in routes(acme)
        if acme.send(method, filled(path), _BODIES.get(path, {})).status_code == 200
    }
    assert opened == OPEN
    for path in OPEN:
        assert acme.get(f"{filled(path)}?tenant=acme").status_code == 200


def test_every_route_and_page_asks_who_it_is(url: str) -> None:
    nobody = Client(url)
    for method, path in routes(nobody):
        answer = nobody.send(method, filled(path), _BODIES.get(path, {}))
        assert answer.status_code == 401, (method, path)
        assert answer.headers["www-authenticate"].startswith("Bearer")
    for page in (
        "/",
        "/tenants",
        "/tenants/acme",
        "/events",
        "/keys",
        "/budgets",
        "/usage.csv?by=tenant",
    ):
        answer = nobody.get(page)
        assert (answer.status_code, answer.headers["location"][:12]) == (303, "/login?next=")
    assert nobody.get("/healthz").text == "ok\n"


def test_a_tenant_sees_no_provider_model_or_cost_unless_its_view_has_them(
    acme: Client, operator: Client
) -> None:
    def seen() -> tuple[bool, bool, int]:
        event = acme.get("/v1/events?limit=1").json()["data"][0]
        sums = acme.get("/v1/usage").json()["data"][0]
        assert event["callsite"] is event["service"] is event["error_type"] is None
        assert (event["cost"] is None) == (sums["cost"] is None)
        told = event["provider"] is not None and event["model"] is not None
        return told, sums["cost"] is not None, acme.get("/v1/usage?by=model").status_code

    assert seen() == (False, False, 403)
    for models, cost in ((True, False), (False, True), (True, True)):
        view = {"shows_models": models, "shows_cost": cost}
        laid_down = operator.send("PUT", "/v1/tenants/acme/view", view).json()
        assert laid_down["set_by"].startswith("smk_")
        assert seen() == (models, cost, 200 if models else 403)
    for name in ("service", "callsite", "rate_version", "billable_reason"):
        assert acme.get(f"/v1/usage?by={name}").status_code == 403
    assert acme.get("/v1/events?callsite=x").status_code == 403


def test_the_database_itself_shows_a_tenant_no_more(ledger: str) -> None:
    with psycopg.connect(ledger) as connection:
        become_tenant(connection, "acme")
        for view in ("own_shown_daily", "own_shown_ledger"):
            found = connection.execute(_SEEN.format(sql.Identifier(view))).fetchone()
            assert found is not None
            assert found[0] > 0
            assert found[1:] == (0, 0, 0)
        for hidden in ("usage_events", "tenant_views", "signing_secrets", "login_links"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege), connection.transaction():
                connection.execute(sql.SQL("TABLE {}").format(sql.Identifier(hidden)))


def test_a_token_that_is_over_retired_or_forged_is_no_good(
    url: str, ledger: str, tokens: Tokens
) -> None:
    def answers(token: str) -> int:
        return Client(url, token).get("/v1/usage").status_code

    good = tokens.for_tenant("acme", timedelta(minutes=5))
    head, body, mark = good.split(".")
    claims = {"sub": "acme", "aud": TENANT, "iat": 0, "exp": 9_999_999_999}
    session = tokens.for_session({"sub": "x", "admin": True})
    assert answers(good) == 200
    for bad in (
        f"{head}.{body}.{'A' * len(mark)}",
        jwt.encode(claims, "", "none"),
        jwt.encode(claims, "A guess, but a long one: 32 bytes", headers={"kid": "1"}),
        jwt.encode({**claims, "exp": 1}, "A guess, but a long one: 32 bytes"),
        session,
        "garbage",
    ):
        assert answers(bad) == 401
    with pytest.raises(ValueError, match="a day at most"):
        tokens.for_tenant("acme", timedelta(days=2))


def test_a_secret_that_is_retired_signs_and_opens_nothing(ledger: str) -> None:
    def tokens() -> Tokens:
        with closing(connect(ledger)) as connection:
            secrets = dict(signing_secrets(connection))
        return Tokens(lambda: secrets)

    before = tokens()
    old = before.for_tenant("acme", timedelta(minutes=5))
    with closing(connect(ledger)) as connection:
        rotate_secret(connection, timedelta(hours=1))
    during = tokens()
    assert during.tenant_of(old) == "acme"
    new = during.for_tenant("acme", timedelta(minutes=5))
    with pytest.raises(BadToken):
        before.tenant_of(new)
    with closing(connect(ledger)) as connection:
        rotate_secret(connection, timedelta())
    with pytest.raises(BadToken):
        tokens().tenant_of(new)


def test_a_bound_key_reads_its_tenants_as_they_see_themselves(url: str, ledger: str) -> None:
    bound = Client(url, make_key(ledger, "acme", "globex", scopes=("read",)).token)
    assert bound.get("/v1/usage").status_code == 400
    assert bound.get("/v1/usage?tenant=globex").json()["data"][0]["cost"] is None
    assert bound.get("/v1/usage?tenant=initech").status_code == 403
    sender = Client(url, make_key(ledger, scopes=("ingest",)).token)
    assert sender.get("/v1/usage").status_code == 403
    reader = Client(url, make_key(ledger, scopes=("read",)).token)
    listed = reader.data("/v1/keys")
    assert [each["last_used_at"] is not None for each in listed] == [True, False, True]
    assert reader.send("POST", "/v1/keys", {"name": "x"}).status_code == 403


def test_a_login_of_its_own_is_enough_for_the_console(ledger: str, tokens: Tokens) -> None:
    """The role reads, checks keys, signs and lays down views; keys are made by the owner alone."""
    name = f"console_{uuid.uuid4().hex[:12]}"
    query(ledger, f"CREATE ROLE {name} LOGIN IN ROLE spanmeter_console")
    key = make_key(ledger, scopes=("admin",))
    with serving(ConsoleSettings(dsn=make_conninfo(ledger, user=name))) as url:
        operator = Client(url, key.token)
        assert operator.get("/v1/usage?by=tenant").status_code == 200
        assert operator.send("PUT", "/v1/tenants/acme/view", {}).status_code == 200
        token = operator.send("POST", "/v1/tenants/acme/tokens", {}).json()["token"]
        assert tokens.tenant_of(token) == "acme"
        assert Client(url, token).get("/v1/usage?by=feature").status_code == 200
        assert Client(url, token).get("/v1/usage?tenant=globex").status_code == 403
        assert Client(url, f"{key.key_id}_{'0' * 64}").get("/v1/usage").status_code == 401
        _lays_down_budgets_and_grants(operator)
        refused = operator.send("POST", "/v1/keys", {"name": "mine"})
        assert (refused.status_code, "login" in refused.json()["detail"]) == (403, True)
    assert query(ledger, "SELECT count(last_used_at) FROM api_keys") == [(1,)]
    assert query(ledger, "SELECT count(*) FROM access_log WHERE actor = %s", name) == [(1,)]
    query(ledger, f"DROP ROLE {name}")


def _lays_down_budgets_and_grants(operator: Client) -> None:
    budget = {"scope": {"tenant": "acme"}, "limit": "5", "action": "approve"}
    assert operator.send("PUT", "/v1/budgets/mine", budget).json() == {"changed": True}
    more = {"amount": "2", "seconds": 60}
    assert operator.send("POST", "/v1/budgets/mine/increases", more).status_code == 201
    (counter,) = operator.data("/v1/budgets")
    assert Decimal(counter["spent"]) + Decimal(counter["left"]) == 7
    assert operator.send("DELETE", "/v1/budgets/mine").status_code == 204
    wanted = {"tenant": "acme", "amount": "25 USD", "grant_id": "mine"}
    assert operator.send("POST", "/v1/grants", wanted).status_code == 201
    assert operator.send("POST", "/v1/grants/mine/void", {}).status_code == 204


def test_a_key_begins_a_session_and_ends_it_when_it_is_revoked(url: str, ledger: str) -> None:
    key = make_key(ledger, scopes=("admin",))
    browser = Client(url)
    begun = browser.submit("/login", {"key": key.token, "next": "//evil.example/"})
    assert (begun.status_code, begun.headers["location"]) == (303, "/")
    cookie = begun.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=lax" in cookie
    assert browser.get("/").status_code == 200
    assert browser.submit("/keys", {}, Origin="http://evil.example").status_code == 403
    with closing(connect(ledger)) as connection:
        revoke_key(connection, key.key_id)
    assert browser.get("/").status_code == 303


def test_a_link_logs_in_once(url: str, ledger: str) -> None:
    with closing(connect(ledger)) as connection:
        token = make_login_link(connection, timedelta(minutes=1))
        late = make_login_link(connection, timedelta())
    browser = Client(url)
    assert browser.get(f"/login/link?token={token}").status_code == 303
    assert browser.get("/keys").status_code == 200
    for used in (token, late, "x"):
        assert Client(url).get(f"/login/link?token={used}").status_code == 401
    browser.submit("/logout", {})
    assert browser.get("/keys").status_code == 303


def test_attempts_that_fail_are_logged_and_after_a_few_told_to_wait(url: str, ledger: str) -> None:
    good = make_key(ledger, scopes=("read",))
    guess = f"{good.key_id}_{'0' * 64}"
    for _ in range(MOST):
        assert Client(url, guess).get("/v1/usage").status_code == 401
    waiting = Client(url, guess).get("/v1/usage")
    assert waiting.status_code == 429
    assert 0 < int(waiting.headers["retry-after"]) <= 61
    assert Client(url).submit("/login", {"key": guess}).status_code == 429
    # Nobody can lock out who has a key.
    assert Client(url, good.token).get("/v1/usage").status_code == 200
    logged = query(
        ledger, "SELECT count(*), min(key_id), min(peer) FROM access_log WHERE event = 'refused'"
    )
    assert logged == [(MOST, good.key_id, "127.0.0.1")]
