"""The API's answers: the ledger's sums by any dimensions, page by page, tagged, and refused in one form."""

from __future__ import annotations

import csv
import itertools
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from booking import adjust, query
from consoles import Client
from keys import make_key
from looked_after import look_after
from spanmeter.console.web import attempts
from spanmeter.console.web.attempts import WINDOW
from spanmeter.console.web.middleware import MAX_BODY
from spanmeter.storage.connection import connect
from spanmeter.storage.reports import usage_report

BY = (
    "",
    "tenant",
    "feature,model",
    "day",
    "hour,tenant",
    "month,feature",
    "user",
    "status,provider",
    "dimension:department",
)


@pytest.mark.parametrize("by", BY)
def test_sums_are_the_ledgers_whatever_they_are_read_from(
    operator: Client, ledger: str, by: str
) -> None:
    """Rollups by day and hour, and the rows: for whole days, whole hours and any moment."""
    adjust(
        ledger, time=datetime.now(UTC) - timedelta(days=3), cost=Decimal("-0.000000000000000001")
    )
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    names = [
        {"tenant": "tenant_id", "user": "user_id"}.get(each, each) for each in by.split(",") if each
    ]
    for back in (timedelta(), timedelta(hours=5), timedelta(minutes=7, microseconds=3)):
        since, until = midnight - timedelta(days=20) - back, midnight - timedelta(days=1) - back
        asked = f"/v1/usage?by={by}&limit=7&since={iso(since)}&until={iso(until)}"
        told = [
            (
                tuple(row["dimensions"].values()),
                row["requests"],
                Decimal(row["cost"] or 0),
                row["failed_requests"],
            )
            for row in operator.data(asked)
        ]
        assert len(told) == len(set(told))
        if "month" not in names:
            with connect(ledger) as connection:
                expected = usage_report(connection, names, since, until)
            assert sorted(told, key=repr) == sorted(
                (
                    (
                        tuple(map(as_text, row.dimensions.values())),
                        row.requests,
                        row.cost or Decimal(0),
                        row.failed_requests,
                    )
                    for row in expected
                ),
                key=repr,
            )


def test_pages_begin_after_the_last_row_whatever_comes_in_meanwhile(
    operator: Client, ledger: str
) -> None:
    first = operator.get("/v1/events?limit=50").json()
    adjust(ledger)
    rest = operator.data(first["next"])
    names = [row["event"] for row in (*first["data"], *rest)]
    assert len(names) == len(set(names))
    since = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(
        days=29
    )
    assert [(len(names),)] == query(
        ledger, "SELECT count(*) FROM usage_events WHERE time >= %s", since
    )
    told = operator.get(f"/v1/events/{names[0]}").json()
    assert told["event"].startswith(names[0])


def test_an_answer_that_is_known_is_not_sent_again(operator: Client) -> None:
    first = operator.get("/v1/usage?by=tenant&since=2026-01-01")
    again = operator.get(
        "/v1/usage?by=tenant&since=2026-01-01", **{"If-None-Match": first.headers["etag"]}
    )
    assert (again.status_code, again.content) == (304, b"")
    assert operator.get("/v1/usage?by=tenant", **{"If-None-Match": '"other"'}).status_code == 200


@pytest.mark.parametrize(
    ("path", "status", "told"),
    [
        ("/v1/usage?by=nonsense", 400, "there is no dimension 'nonsense'"),
        ("/v1/usage?since=never", 400, "'never' is neither a date"),
        ("/v1/usage?since=2026-02-01&until=2026-01-01", 400, "since has to be before until"),
        ("/v1/usage?since=1990-01-01", 400, "three years"),
        ("/v1/usage?cursor=nonsense", 400, "the cursor is none of ours"),
        ("/v1/usage?limit=0", 422, "query.limit"),
        ("/v1/usage?by=month,day,hour,tenant,user,model,feature", 400, "6 different dimensions"),
        ("/v1/events/nobody", 404, "no row of the ledger"),
        ("/v1/reconciliations/6f2b0f6e-6b0a-4b8e-9c41-0d7c5f6a1b2c", 404, "no reconciliation"),
        ("/v1/nothing", 404, "Nothing matches"),
    ],
)
def test_a_refusal_says_what_is_wrong(operator: Client, path: str, status: int, told: str) -> None:
    answer = operator.get(path)
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert (answer.status_code, problem["status"]) == (status, status)
    assert told in problem["detail"]
    assert problem["instance"] == path.partition("?")[0]


def test_bodies_are_bounded(operator: Client) -> None:
    answer = operator.send("POST", "/v1/keys", {"name": "x" * MAX_BODY})
    assert (answer.status_code, answer.json()["status"]) == (413, 413)


def test_every_answer_keeps_a_browser_safe(operator: Client, url: str) -> None:
    for client, path in ((operator, "/v1/usage"), (Client(url), "/login"), (Client(url), "/none")):
        headers = client.get(path).headers
        assert "script-src 'self';" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["content-security-policy"].endswith("frame-ancestors 'none'")
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "same-origin"
    framed = Client(url).get("/embed?token=x").headers["content-security-policy"]
    assert framed.endswith("frame-ancestors http://localhost:*")


def test_a_file_for_a_spreadsheet_is_exact_and_runs_nothing(
    url: str, operator: Client, ledger: str
) -> None:
    adjust(ledger, time=datetime.now(UTC), tenant_id="=cmd()", requests=1)
    rows = list(csv.DictReader(operator.get("/usage.csv?by=tenant").text.splitlines()))
    assert {row["tenant_id"] for row in rows} == {"acme", "globex", "initech", "", "'=cmd()"}
    expected = {
        row["dimensions"]["tenant"] or "": row["cost"]
        for row in operator.data("/v1/usage?by=tenant")
    }
    assert {row["tenant_id"].lstrip("'"): row["cost"] or None for row in rows} == expected


class _SlowClock:
    """Between two attempts that fail a minute goes by: who tries often is told to wait, which is tested elsewhere."""

    def __init__(self) -> None:
        self._ticks = itertools.count(0, 2 * WINDOW)

    def monotonic(self) -> float:
        """Seconds."""
        return next(self._ticks)


# What the document allows is never refused for its form (422). That it means nothing (400: the end before the
# beginning), that something is not there, or not so (404, 409), no document says.
_CONFIGURATION = """\
[checks]
positive_data_acceptance.expected-statuses = ["2xx", 400, 401, 403, 404, 409]
"""


@pytest.mark.timeout(300)
def test_schemathesis_finds_nothing(
    url: str, ledger: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every check, every method: what the document allows is answered as it says, and nothing without a key."""
    monkeypatch.setattr(attempts, "time", _SlowClock())
    look_after(ledger)
    key = make_key(ledger, scopes=("admin",)).token
    configuration = tmp_path / "schemathesis.toml"
    configuration.write_text(_CONFIGURATION)
    done = subprocess.run(
        [
            Path(sys.executable).with_name("st"),
            *("--config-file", configuration),
            *("run", f"{url}/v1/openapi.json", "-H", f"Authorization: Bearer {key}"),
            *("--max-examples", "8", "--seed", "7"),
            *("--suppress-health-check", "all", "--no-color"),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-6000:]
    assert "Rate limited" not in done.stdout
    # It has not locked itself out on the way.
    assert Client(url, key).get("/v1/keys").status_code == 200


def iso(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


def as_text(value: object) -> str | None:
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%dT%H:%M:%SZ}"
    return None if value is None else str(value)
