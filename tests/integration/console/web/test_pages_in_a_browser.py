"""The pages as people see them: real Chromium, every number the ledger's, nobody kept out."""

from __future__ import annotations

import threading
from collections.abc import Generator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

import axe
from booking import event, metered, query
from browsing import Scheme, Visit, Width, exact, running_browser
from keys import make_key
from looked_after import RECONCILED, look_after
from spanmeter.console.web.tokens import Tokens
from spanmeter.storage.budget_approvals import ask_for_approval
from spanmeter.storage.connection import connect
from spanmeter.storage.ledger import LedgerWriter

pytestmark = pytest.mark.timeout(300)

MODES: list[tuple[Width, Scheme]] = [
    ("wide", "light"),
    ("wide", "dark"),
    ("narrow", "light"),
    ("narrow", "dark"),
]
PAGES = {
    "overview": "/",
    "tenants": "/tenants",
    "tenant": "/tenants/acme",
    "margin": "/margin",
    "margin-by-plan": "/margin?by=plan",
    "statement": "/statements/acme",
    "plans": "/plans",
    "budgets": "/budgets",
    "budget": "/budgets/each-tenant",
    "alerts": "/alerts",
    "features": "/by/feature",
    "models": "/by/model",
    "quality": "/quality",
    "unattributed": "/unattributed",
    "events": "/events?since=30d",
    "event": f"/events/{0:032x}:{1:016x}",
    "reconciliations": "/reconciliations",
    "waterfall": f"/reconciliations/{RECONCILED}",
    "rates": "/rates?search=gpt-4o",
    "rules": "/rules",
    "keys": "/keys",
    "health": "/health",
    "nothing": "/tenants?since=2020-01-01&until=2020-01-02",
    "no-margin": "/margin?month=2020-01",
}


@pytest.fixture(scope="module")
def browser() -> Generator[Browser]:
    with running_browser() as running:
        yield running


@pytest.fixture
def key(ledger: str) -> str:
    return make_key(ledger, scopes=("admin",), name="operator").token


@pytest.fixture
def looked_after(ledger: str) -> None:
    """Plans, budgets, a request, grants, alerts and a bill."""
    look_after(ledger)


def sums(dsn: str, by: str, where: str = "true") -> dict[Any, tuple[Decimal, int]]:
    """Cost and requests of the last thirty days, today included, from the rows of the ledger."""
    since = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    rows = query(
        dsn,
        f"SELECT {by}, coalesce(sum(cost), 0), sum(requests) FROM ledger"  # noqa: S608
        f" WHERE time >= %s AND {where} GROUP BY 1",
        since - timedelta(days=29),
    )
    return {name: (cost, requests) for name, cost, requests in rows}


@pytest.mark.parametrize(("width", "scheme"), MODES)
@pytest.mark.usefixtures("looked_after")
def test_every_page_is_well(
    browser: Browser, url: str, key: str, width: Width, scheme: Scheme
) -> None:
    """No error, no request to anybody else, nothing wider than the window, nobody kept out; and a picture of it."""
    visit = Visit(browser, url, width, scheme)
    visit.page.goto("/login")
    visit.picture("login")
    visit.log_in(key)
    for name, path in PAGES.items():
        page = visit.open(path)
        assert visit.overflow() == 0, name
        visit.picture(name)
        if width == "wide" or name in {"overview", "tenant", "budgets", "margin"}:
            assert axe.complaints(page) == [], name
    visit.open("/alerts").locator("a.what").first.click()
    visit.page.wait_for_url("**/alerts/*")
    visit.picture("alert")
    assert axe.complaints(visit.page) == []
    assert visit.mishaps == []
    visit.context.close()


def test_the_numbers_are_the_ledgers(browser: Browser, url: str, key: str, ledger: str) -> None:
    visit = Visit(browser, url)
    visit.log_in(key)
    page = visit.open("/")
    (cost, requests) = sums(ledger, "1")[1]
    tiles = page.locator(".tile")
    assert exact(tiles.nth(0)) == cost
    assert exact(tiles.nth(1)) == requests
    by_day = sums(ledger, "(time AT TIME ZONE 'UTC')::date")
    page.get_by_text("Show as table").click()
    for row in page.locator("figure tbody tr").all():
        shown = [
            Decimal(each.get_attribute("value") or "NaN") for each in row.locator("data").all()
        ]
        day = datetime.fromisoformat(row.locator("th").inner_text()).date()
        assert sum(shown) == by_day.get(day, (0, 0))[0]
    for path, by in (("/tenants", "tenant_id"), ("/by/model", "model"), ("/by/feature", "feature")):
        expected = sums(ledger, by)
        rows = visit.open(path).locator("table.breakdown tbody tr").all()
        assert {row.get_attribute("data-name") or None for row in rows} == set(expected)
        for row in rows:
            cost, requests = expected[row.get_attribute("data-name") or None]
            assert exact(row.locator(".requests")) == requests
            if row.locator(".cost data").count():
                assert exact(row.locator(".cost")) == cost
    assert visit.mishaps == []
    visit.context.close()


def test_a_page_follows_the_ledger_while_it_is_looked_at(
    browser: Browser, url: str, key: str, ledger: str
) -> None:
    visit = Visit(browser, url)
    visit.log_in(key)
    visit.page.clock.install()
    page = visit.open("/")
    before = exact(page.locator(".tile").nth(1))
    with LedgerWriter(ledger) as writer:
        writer.write(metered(event(time=datetime.now(UTC), tenant_id="newcomer")))
    page.clock.run_for(16_000)
    expect(page.locator(".tile").nth(1).locator("data").first).to_have_attribute(
        "value", str(before + 1), timeout=60_000
    )
    assert visit.mishaps == []
    visit.context.close()


def test_the_console_is_used_by_keyboard(browser: Browser, url: str, key: str) -> None:
    visit = Visit(browser, url)
    visit.log_in(key)
    page = visit.open("/")
    page.keyboard.press("Tab")
    expect(page.locator(":focus")).to_have_text("Skip to the page")
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
    page.get_by_role("button", name="Theme").press("Enter")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    visit.context.close()


def test_an_operator_makes_and_revokes_a_key_and_lays_down_what_a_tenant_sees(
    browser: Browser, url: str, key: str, ledger: str
) -> None:
    visit = Visit(browser, url)
    visit.log_in(key)
    page = visit.open("/keys")
    page.get_by_label("What it is for").fill("a <b>collector</b>")
    page.get_by_label("For these tenants alone").fill("acme, globex")
    page.get_by_role("button", name="Make key").click()
    shown = page.locator("code.secret").inner_text()
    made = query(ledger, "SELECT key_id, tenants FROM api_keys WHERE name = 'a <b>collector</b>'")
    assert made == [(shown.rpartition("_")[0], ["acme", "globex"])]
    page.on("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Revoke a <b>collector</b>").click()
    expect(page.get_by_text("revoked").first).to_be_visible()
    visit.open("/tenants/acme").get_by_label("Providers and models").check()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_label("Providers and models")).to_be_checked()
    assert query(ledger, "SELECT tenant_id, shows_models, shows_cost FROM tenant_views") == [
        ("acme", True, False)
    ]
    assert visit.mishaps == []
    visit.context.close()


@pytest.mark.usefixtures("looked_after")
def test_requests_are_decided_by_keyboard_and_what_loses_money_stands_out(
    browser: Browser, url: str, key: str, ledger: str
) -> None:
    with closing(connect(ledger)) as connection:
        ask_for_approval(connection, "chat", "{}", Decimal(7), "assistant@host-2")
    visit = Visit(browser, url)
    visit.log_in(key)
    page = visit.open("/budgets")
    page.get_by_label("Raise the limit of acme · chat by").fill("12.5")
    page.get_by_label("Raise the limit of acme · chat by").press("Enter")
    expect(page.locator(".requests li")).to_have_count(1)
    page.get_by_role("button", name="Deny request 1").press("Enter")
    expect(page.get_by_text("Waiting for approval")).to_have_count(0)
    decided = query(
        ledger, "SELECT approval_id, decision FROM budget_approvals ORDER BY approval_id"
    )
    assert decided == [(1, "denied"), (2, "approved")]
    chat = page.locator('tr[data-name="chat"]')
    requests = sums(ledger, "1", "tenant_id = 'acme' AND feature = 'chat'")
    assert exact(chat.locator(".spent")) + exact(chat.locator(".left")) == Decimal("1012.5")
    assert exact(chat.locator(".spent")) <= requests[1][1]
    loss = visit.open("/margin").locator('tr[data-name="initech"]')
    expect(loss).to_have_class("loss")
    assert exact(loss.locator(".margin")) == -exact(loss.locator(".cost")) < 0
    assert visit.mishaps == []
    visit.context.close()


@pytest.mark.usefixtures("looked_after")
@pytest.mark.parametrize(("width", "scheme"), MODES)
def test_a_tenants_page_shows_what_is_its_own(
    browser: Browser, url: str, ledger: str, tokens: Tokens, width: Width, scheme: Scheme
) -> None:
    token = tokens.for_tenant("acme", timedelta(minutes=5))
    visit = Visit(browser, url, width, scheme)
    page = visit.open(f"/embed?token={token}&theme={scheme}&accent=%23e11d48")
    expected = sums(ledger, "feature", "tenant_id = 'acme'")
    rows = page.locator("table.breakdown tbody tr").all()
    assert {row.get_attribute("data-name") for row in rows} == set(expected)
    for row in rows:
        assert exact(row.locator(".requests")) == expected[row.get_attribute("data-name")][1]
    told = page.content()
    for hidden in ("gpt-4o", "openai", "house-model", "globex", "acme-monthly", "each-tenant"):
        assert hidden not in told
    limits = page.locator("#limits li")
    expect(limits).to_have_count(3)
    expect(limits.filter(has_text="spend").locator("data")).to_have_count(0)
    assert exact(page.locator("#statement tfoot")) >= 15
    assert visit.overflow() == 0
    assert axe.complaints(page) == []
    visit.picture("tenants-own-page")
    assert visit.mishaps == []
    visit.context.close()


@contextmanager
def hosting(page: str) -> Generator[int]:
    """Another server of this machine, all of whose pages are this one; its port."""

    class Host(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(page.encode())

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Not to standard error."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Host) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


def test_a_tenants_page_is_framed_by_whom_the_settings_name(
    browser: Browser, url: str, tokens: Tokens
) -> None:
    token = tokens.for_tenant("acme", timedelta(minutes=5))
    listens = "addEventListener('message', told => { document.title = told.data.type })"
    frame = f'<iframe src="{url}/embed?token={token}" width="900" height="600"></iframe>'
    visit = Visit(browser, url)
    with hosting(f"<!doctype html><script>{listens}</script>{frame}") as port:
        page = visit.page
        page.goto(f"http://localhost:{port}/")
        inside = page.frame_locator("iframe").get_by_text("By feature")
        expect(inside.first).to_be_visible(timeout=60_000)
        expect(page).to_have_title("height", timeout=60_000)
        # The same page by a name that the settings do not have.
        page.goto(f"http://127.0.0.1:{port}/")
        expect(inside).to_have_count(0)
    assert any("frame-ancestors" in told for told in visit.mishaps)
    visit.context.close()
