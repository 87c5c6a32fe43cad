"""`spanmeter budget`, as people run it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from booking import event, metered
from spanmeter.storage.budget_approvals import ask_for_approval
from spanmeter.storage.connection import connect
from spanmeter.storage.ledger import LedgerWriter

Run = Callable[..., subprocess.CompletedProcess[str]]

# Several processes a test.
pytestmark = pytest.mark.timeout(300)

FILE = """
[budgets.each-tenant]
scope = { tenant = "*" }
limit = "0.002"
timezone = "tenant"

[timezones]
acme = "Europe/Berlin"
"""


@pytest.fixture
def run(plain_dsn: str, spanmeter: Run) -> Callable[..., str]:
    """Run `spanmeter budget ...`, which has to succeed, on a ledger with one row of 0.001525; what it says."""
    with LedgerWriter(plain_dsn) as writer:
        writer.write(metered(event(time=datetime.now(UTC))))

    def run(*arguments: str) -> str:
        done = spanmeter("budget", *arguments, "--dsn", plain_dsn)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def rows(printed: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(printed)["rows"]
    return found


def test_a_budget_is_set_shown_raised_and_removed(run: Callable[..., str]) -> None:
    given = ("--scope", "tenant=acme", "--limit", "0.002", "--unpriced", "3,15", "--window", "day")
    assert run("set", "acme", *given) == "acme is in force\n"
    assert run("set", "acme", "--limit", "0.002") == "acme is in force already\n"
    (row,) = rows(run("list", "--format", "json"))
    assert (row["spent"], row["left"], row["reached"]) == ("0.001525", "0.000475", "50")
    assert (row["scope"], row["currency"]) == ("tenant.id=acme", "USD")
    assert "acme has 5 more until" in run("increase", "acme", "5", "--for", "1h", "--reason", "why")
    shown = json.loads(run("show", "acme", "--format", "json"))
    assert shown["rows"][0]["limit"] == "5.002"
    assert json.loads(shown["unpriced"])["output_per_million"] == "15"
    assert run("rm", "acme") == "acme holds no more\n"
    assert "No budget holds" in run("list")


def test_a_file_is_shown_and_applied(run: Callable[..., str], tmp_path: Path) -> None:
    file = tmp_path / "budgets.toml"
    file.write_text(FILE)
    run("set", "gone", "--scope", "tenant=x", "--limit", "1")
    tried = rows(run("apply", str(file), "--dry-run", "--prune", "--format", "json"))
    assert [(row["budget"], row["member"]) for row in tried] == [
        *(("each-tenant", None), ("gone", None), ("acme", "timezone of tenant")),
    ]
    assert rows(run("apply", str(file), "--prune", "--format", "json")) == tried
    assert "Nothing changes." in run("apply", str(file), "--prune")
    file.write_text(FILE.replace("0.002", "0.003"))
    assert rows(run("apply", str(file), "--format", "json")) == [
        {"budget": "each-tenant", "member": "limit", "before": "0.002", "after": "0.003"}
    ]
    (row,) = rows(run("list", "--format", "json"))
    assert (row["scope"], row["spent"]) == ("tenant.id=acme", "0.001525")


def test_what_waits_for_approval_is_decided(run: Callable[..., str], plain_dsn: str) -> None:
    run("set", "acme", "--scope", "tenant=acme", "--limit", "0", "--action", "approve")
    with connect(plain_dsn) as connection:
        for amount in ("0.01", "0.03", "0.02"):
            ask_for_approval(connection, "acme", "{}", Decimal(amount), "assistant")
        ask_for_approval(connection, "acme", '{"user.id":"u"}', Decimal(1), "assistant")
    waiting = rows(run("approvals", "--format", "json"))
    assert {(row["counter"], row["amount"]) for row in waiting} == {
        ("{}", "0.03"),
        ('{"user.id":"u"}', "1"),
    }
    (smaller,) = [row for row in waiting if row["counter"] == "{}"]
    (other,) = [row for row in waiting if row is not smaller]
    assert "has 0.03 more" in run("approve", str(smaller["approval_id"]), "--by", "ann")
    run("deny", str(other["approval_id"]), "--by", "ann")
    assert rows(run("approvals", "--format", "json")) == []
    decided = rows(run("approvals", "--all", "--format", "json"))
    assert {row["decision"] for row in decided} == {"approved", "denied"}
    assert {row["decided_by"] for row in decided} == {"ann"}


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("set", "b", "--limit", "1"), 2, "budget 'b' has no scope"),
        (("set", "b", "--scope", "tenant", "--limit", "1"), 2, "is no NAME=VALUE"),
        (("set", "b", "--scope", "tenant=a", "--limit", "much"), 2, "limit is 'much'"),
        (("increase", "b", "1"), 1, "no budget 'b'"),
        (("increase", "b", "1", "--for", "ever"), 2, "is no period"),
        (("show", "b"), 1, "no budget 'b'"),
        (("rm", "b"), 1, "no budget 'b'"),
        (("approve", "7"), 1, "no request 7 is open"),
        (("zone", "acme", "Mars/Olympus"), 2, "is no time zone"),
    ],
)
def test_what_cannot_be_done_is_told_in_a_sentence(
    plain_dsn: str, spanmeter: Run, arguments: tuple[str, ...], code: int, told: str
) -> None:
    done = spanmeter("budget", *arguments, "--dsn", plain_dsn)
    assert done.returncode == code
    assert told in done.stderr
    assert "Traceback" not in done.stderr


def test_a_plan_that_a_budget_on_price_cannot_be_counted_by_is_refused(
    run: Callable[..., str], spanmeter: Run, plain_dsn: str, tmp_path: Path
) -> None:
    run("set", "paid", "--scope", "tenant=acme", "--limit", "5", "--metric", "price")
    file = tmp_path / "pro.toml"
    price = '[[charge]]\nname = "calls"\nunit = "requests"\nprice = 0.5\n'
    file.write_text(f'plan = "pro"\ncurrency = "USD"\n{price}')
    for arguments in (["set", str(file), "--from", "2026-01-01"], ["assign", "acme", "pro"]):
        assert spanmeter("plan", *arguments, "--dsn", plain_dsn).returncode == 0
    file.write_text(f'plan = "pro"\ncurrency = "USD"\n{price}included = 10\n')
    refused = spanmeter("plan", "set", str(file), "--dsn", plain_dsn)
    assert refused.returncode == 1
    assert "budget 'paid' is on price" in refused.stderr
    assert "charge 'calls' includes some of each period" in refused.stderr
