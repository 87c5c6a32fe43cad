"""`spanmeter alerts`, as people run it, and beside `spanmeter up`."""

from __future__ import annotations

import base64
import json
import subprocess
import time
import uuid
from collections.abc import Callable, Generator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from standardwebhooks import Webhook

from booking import event, metered, query
from spanmeter.console.alerts.process import alerts_beside
from spanmeter.console.alerts.round import Round
from spanmeter.console.alerts.running import run_once
from spanmeter.metering.alerts.rule_file import DEFAULTS
from spanmeter.storage.connection import connect
from spanmeter.storage.ledger import LedgerWriter

Run = Callable[..., subprocess.CompletedProcess[str]]

# Several processes a test.
pytestmark = pytest.mark.timeout(300)

SECRET = "whsec_" + base64.b64encode(b"of alerts, for tests only").decode()


def rules(receiver: Any) -> str:
    return f"""
[channel.ops]
type = "webhook"
url = "{receiver.url}/hook"
secret_env = "OPS_SECRET"

[[rule]]
name = "nobodys"
kind = "unattributed_share"
"""


@pytest.fixture
def ledger(plain_dsn: str) -> str:
    """Twenty dollars of an hour ago that have no tenant."""
    lost = event(time=datetime.now(UTC) - timedelta(hours=1), tenant_id=None, cost=Decimal(20))
    with LedgerWriter(plain_dsn) as writer:
        writer.write(metered(lost))
    return plain_dsn


def test_rules_are_set_and_what_they_find_is_told(
    ledger: str, spanmeter: Run, receiver: Any, tmp_path: Path
) -> None:
    at = ("--dsn", ledger)
    assert spanmeter("alerts", "show", *at).stdout == DEFAULTS.text
    file = tmp_path / "alerts.toml"
    file.write_text(rules(receiver))
    checked = spanmeter("alerts", "set", str(file), "--check", *at)
    assert checked.stdout == "1 rules, 1 channels\n"
    done = spanmeter("alerts", "set", str(file), "--by", "ann", *at)
    assert done.stdout == "alerts-1 is in force\n", done.stderr
    assert spanmeter("alerts", "show", *at).stdout == file.read_text()

    ran = spanmeter("alerts", "run", "--once", *at, OPS_SECRET=SECRET)
    assert ran.stdout == "1 fired, 0 resolved\n", ran.stderr
    (posted,) = receiver.received
    assert Webhook(SECRET).verify(posted.body, posted.headers)["type"] == "alert.fired"

    listed = json.loads(spanmeter("alerts", "list", "--format", "json", *at).stdout)
    (alert,) = listed["rows"]
    assert (alert["kind"], alert["resolved_at"]) == ("unattributed_share", None)
    in_full = spanmeter("alerts", "show", alert["alert_id"][:8], *at).stdout
    assert "100.0 % of the cost has no tenant" in in_full
    assert "total cost" in in_full
    sent = json.loads(spanmeter("alerts", "history", "--format", "json", *at).stdout)
    assert [(row["outcome"], row["status"]) for row in sent["rows"]] == [("delivered", 200)]
    versions = spanmeter("alerts", "history", "--rules", "--format", "csv", *at).stdout
    assert versions.splitlines()[1].startswith("alerts-1,")


def test_a_channel_is_tested_and_told_apart(
    ledger: str, spanmeter: Run, receiver: Any, tmp_path: Path
) -> None:
    at = ("--dsn", ledger)
    (tmp_path / "alerts.toml").write_text(rules(receiver))
    spanmeter("alerts", "set", "alerts.toml", *at)
    tested = spanmeter("alerts", "test", "ops", *at, OPS_SECRET=SECRET)
    assert tested.stdout == "channel ops has taken the message\n", tested.stderr
    (posted,) = receiver.received
    assert Webhook(SECRET).verify(posted.body, posted.headers)["type"] == "alert.test"

    secretless = spanmeter("alerts", "test", "ops", *at)
    assert secretless.returncode == 1
    assert "the variable OPS_SECRET is not set" in secretless.stderr
    unknown = spanmeter("alerts", "test", "nobody", *at)
    assert (unknown.returncode, "there are: ops" in unknown.stderr) == (1, True)
    outcomes = query(ledger, "SELECT outcome FROM alert_attempts ORDER BY began_at")
    assert outcomes == [("delivered",), ("given_up",)]


def test_rules_that_cannot_be_used_are_refused(ledger: str, spanmeter: Run, tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_text('[[rule]]\nname = "a"\nkind = "anomalies"')
    refused = spanmeter("alerts", "set", "bad.toml", "--dsn", ledger)
    assert refused.returncode == 2
    assert "rule 'a', kind: it must be one of" in refused.stderr
    missing = spanmeter("alerts", "show", "0123", "--dsn", ledger)
    assert (missing.returncode, "no alert begins" in missing.stderr) == (1, True)


def begin() -> None:
    """Nothing is to be done first."""


def test_they_run_in_a_process_of_their_own_and_end_with_it(ledger: str) -> None:
    with alerts_beside(ledger, begin, after=0):
        deadline = time.monotonic() + 120
        while query(ledger, "SELECT count(*) FROM alerts") != [(1,)]:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        # One works: this one is told so.
        assert run_once(ledger) is None
    assert run_once(ledger) == Round(0, 0, 0)


def test_one_that_is_not_wanted_any_more_never_starts(ledger: str) -> None:
    with alerts_beside(ledger, begin, after=3600):
        pass
    assert query(ledger, "SELECT count(*) FROM alerts") == [(0,)]


@pytest.fixture
def runner(ledger: str) -> Generator[str]:
    """A role that is granted what the page says, and no more."""
    role = f"runner_{uuid.uuid4().hex[:12]}"
    query(ledger, f"CREATE ROLE {role} IN ROLE spanmeter_reader, spanmeter_writer")
    yield make_conninfo(ledger, options=f"-c role={role}")
    query(ledger, f"DROP ROLE {role}")


def test_it_needs_the_rights_of_reader_and_writer_and_can_set_no_rule(runner: str) -> None:
    assert run_once(runner) == Round(1, 0, 0)
    with (
        closing(connect(runner)) as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        connection.execute("INSERT INTO alert_rules (number, rules, set_by) VALUES (1, 'x', 'x')")
