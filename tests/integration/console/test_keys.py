"""`spanmeter keys` and `spanmeter db retention` as people run them."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable

import pytest

from booking import query

Run = Callable[..., subprocess.CompletedProcess[str]]


def test_a_key_is_made_shown_once_rotated_and_revoked(spanmeter: Run, plain_dsn: str) -> None:
    def keys(*arguments: str) -> subprocess.CompletedProcess[str]:
        return spanmeter("keys", *arguments, SPANMETER_DSN=plain_dsn)

    made = keys("create", "app", "--tenant", "acme", "--expires", "90d")
    token = made.stdout.strip()
    assert re.fullmatch(r"smk_[0-9a-f]{12}_[0-9a-f]{64}", token), made.stderr
    key_id = token.rpartition("_")[0]
    assert key_id in made.stderr
    rotated = keys("rotate", token, "--overlap", "2h")
    assert rotated.stdout.startswith("smk_")
    assert keys("bind", key_id, "--tenant", "acme", "--tenant", "bolt").returncode == 0
    assert keys("revoke", key_id).stdout == f"{key_id} is revoked\n"
    shown = keys("list", "--format", "json")
    old, new = sorted(json.loads(shown.stdout)["rows"], key=lambda row: row["replaces"] or "")
    assert (old["key"], old["state"], old["tenants"]) == (key_id, "revoked", "acme, bolt")
    assert (new["name"], new["state"], new["replaces"]) == ("app", "works", key_id)
    log = json.loads(keys("log", "--key", token, "--format", "json").stdout)["rows"]
    assert [entry["event"] for entry in log] == ["revoked", "changed", "changed", "created"]
    assert token.removeprefix(key_id) not in shown.stdout + str(log)


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("revoke", "smk_000000000000"), 1, "there is no key smk_000000000000"),
        (("rotate", "secret"), 1, "there is no key that name"),
        (("create", "app", "--scope", "admin", "--tenant", "acme"), 1, "cannot be bound"),
        (("create", "app", "--expires", "soon"), 2, "no length of time"),
        (("create", "app", "--scope", "write"), 2, "'write' is not one of"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence(
    spanmeter: Run, plain_dsn: str, arguments: tuple[str, ...], code: int, told: str
) -> None:
    done = spanmeter("keys", *arguments, SPANMETER_DSN=plain_dsn)
    assert (done.returncode, done.stdout) == (code, "")
    assert told in done.stderr
    assert query(plain_dsn, "SELECT count(*) FROM api_keys") == [(0,)]


def test_retention_is_laid_down_shown_and_applied(spanmeter: Run, dsn: str) -> None:
    def retention(*arguments: str) -> str:
        done = spanmeter("db", "retention", *arguments, SPANMETER_DSN=dsn)
        assert done.returncode == 0, done.stderr
        return done.stdout

    retention("set", "--ledger", "400d", "--rejected-spans", "12w")
    shown = json.loads(retention("show", "--format", "json"))
    assert [(row["what"], row["keep"]) for row in shown["rows"]] == [
        ("ledger", "400d"),
        ("rejected_spans", "84d"),
        ("rowstore", None),
    ]
    assert "rejected_spans: 0 have left" in retention("run")
    retention("set", "--ledger", "forever")
    assert "usage_events stays: it is kept for ever" in retention("run", "--unsealed")


def test_status_tells_of_keys_and_chunks(spanmeter: Run, dsn: str) -> None:
    spanmeter("keys", "create", "app", SPANMETER_DSN=dsn)
    shown = spanmeter("db", "status", "--format", "json", SPANMETER_DSN=dsn)
    status = json.loads(shown.stdout)
    assert status["keys"] == 1
    if status["edition"] != "plain":
        assert status["chunks_of_usage_events"] == 0
        assert status["new_chunks_of_usage_events_span"] == "7d"


def test_a_collector_does_not_serve_where_a_tenant_can_peek(spanmeter: Run, dsn: str) -> None:
    query(dsn, "GRANT SELECT ON ledger TO PUBLIC")
    for command in ("collector", "up"):
        done = spanmeter(command, "--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0", "--dsn", dsn)
        assert done.returncode == 1
        assert "of a tenant can reach" in done.stderr
        assert "READY" not in done.stdout
