"""How long a console takes for each page of a ledger that is there already: `make bench-pages ARGS="--dsn ..."`.

The ledger is one of `make bench-queries`. What has no plan or budget yet gets some, so that every page has something to
show. A page is asked for over HTTP by a console in this process; what takes longer than 300 ms is marked.
"""

import argparse
import statistics
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from datetime import timedelta
from http import HTTPStatus
from typing import Final, NamedTuple

import httpx

from consoles import serving
from keys import make_key
from looked_after import RECONCILED, look_after
from spanmeter.console.web.settings import ConsoleSettings
from spanmeter.console.web.tokens import Tokens
from spanmeter.storage.connection import connect
from spanmeter.storage.console_access import signing_secrets
from spanmeter.storage.migrations import migrate
from spanmeter.storage.plans import read_plan_book

ENOUGH: Final = 300.0
"""Milliseconds."""

WORKED_OUT: Final = 900.0
"""Seconds that margins of thousands of tenants may take, before pages are asked for."""


class Timed(NamedTuple):
    """Milliseconds, the first time and the median after that, and bytes."""

    first: float
    median: float
    size: int


def pages(client: httpx.Client, tenant: str, token: str) -> Mapping[str, str]:
    """Every page by its name, and where it is."""
    alert = client.get("/v1/alerts?open=true").json()["data"][0]["alert_id"]
    event = client.get("/v1/events?limit=1").json()["data"][0]["event"]
    return {
        "overview": "/",
        "overview, 7 days": "/?since=7d",
        "tenants": "/tenants",
        "one tenant": f"/tenants/{tenant}",
        "margin": "/margin",
        "margin by plan": "/margin?by=plan",
        "statement": f"/statements/{tenant}",
        "features": "/by/feature",
        "models": "/by/model",
        "budgets": "/budgets",
        "one budget": "/budgets/each-tenant",
        "alerts": "/alerts",
        "one alert": f"/alerts/{alert}",
        "unattributed": "/unattributed",
        "events": "/events?since=30d",
        "events of a tenant": f"/events?since=30d&tenant={tenant}",
        "one event": f"/events/{event}",
        "reconciliations": "/reconciliations",
        "waterfall": f"/reconciliations/{RECONCILED}",
        "plans": "/plans",
        "rates": "/rates",
        "rules": "/rules",
        "keys": "/keys",
        "health": "/health",
        "a tenant's own": f"/embed?token={token}",
    }


def asked(client: httpx.Client, path: str, rounds: int) -> Timed:
    """Ask several times."""
    took: list[float] = []
    size = 0
    for _ in range(rounds + 1):
        started = time.perf_counter()
        answer = client.get(path)
        took.append((time.perf_counter() - started) * 1000)
        answer.raise_for_status()
        size = len(answer.content)
    return Timed(took[0], statistics.median(took[1:] or took), size)


def settle(client: httpx.Client, paths: Iterator[str]) -> float:
    """Wait until what is worked out beside the requests is there; the seconds it took."""
    started = time.monotonic()
    for path in paths:
        while client.get(path).status_code == HTTPStatus.SERVICE_UNAVAILABLE:
            if time.monotonic() - started > WORKED_OUT:
                raise SystemExit(f"{path} is not worked out after {WORKED_OUT:.0f} s")
            time.sleep(1)
    return time.monotonic() - started


def prepare(dsn: str, tenant: str) -> None:
    """Migrate, and lay down what is not there."""
    migrate(dsn)
    with closing(connect(dsn)) as connection:
        known = read_plan_book(connection).versions
    if not known:
        look_after(dsn, tenant=tenant, limit="20", fee="1", price="0.4/1M")


def token_of(dsn: str, tenant: str) -> str:
    """A token for the tenant's own page."""
    with closing(connect(dsn)) as connection:
        secrets = dict(signing_secrets(connection))
    return Tokens(lambda: secrets).for_tenant(tenant, timedelta(hours=1))


def main() -> None:
    """Reads the flags and runs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dsn", required=True, help="a ledger of `make bench-queries`")
    parser.add_argument("--tenant", default="tenant-0", help="whose pages are asked for")
    parser.add_argument("--rounds", type=int, default=5, help="times each page is asked for")
    parser.add_argument("--only", default="", help="pages whose name contains this")
    flags = parser.parse_args()
    prepare(flags.dsn, flags.tenant)
    key = make_key(flags.dsn, scopes=("admin",), name="bench-pages").token
    headers = {"Authorization": f"Bearer {key}"}
    with (
        serving(ConsoleSettings(dsn=flags.dsn)) as url,
        httpx.Client(base_url=url, headers=headers, timeout=120, trust_env=False) as client,
    ):
        beside = ("/v1/margin", "/v1/margin?by=plan", f"/v1/statements?tenant={flags.tenant}")
        print(f"margins and a statement worked out in {settle(client, iter(beside)):.1f} s")
        print(f"{'page':22}{'first ms':>10}{'ms':>8}{'kB':>8}")
        slow = 0
        for name, path in pages(client, flags.tenant, token_of(flags.dsn, flags.tenant)).items():
            if flags.only not in name:
                continue
            took = asked(client, path, flags.rounds)
            late = took.median > ENOUGH
            slow += late
            figures = f"{took.first:10.0f}{took.median:8.0f}{took.size / 1000:8.0f}"
            print(f"{name:22}{figures}{'  slow' if late else ''}", flush=True)
    print(f"{slow} pages take longer than {ENOUGH:.0f} ms")


if __name__ == "__main__":
    main()
