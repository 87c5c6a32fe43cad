"""`spanmeter rules` and `spanmeter explain`, as people run them."""

import json
import subprocess
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from booking import query
from spanmeter.metering.billable_rules import DEFAULTS
from spanmeter.storage.connection import connect
from spanmeter.storage.ledger import LedgerWriter
from spanmeter.storage.metered import Metered
from spanmeter.storage.rules import set_rules
from unit.metering.spans import event_of

Run = Callable[..., subprocess.CompletedProcess[str]]

# Several processes a test.
pytestmark = pytest.mark.timeout(300)

PILOT = """
otherwise = "billable"

[[rule]]
name = "pilot"
state = "included"
when = { tenant = "acme" }
"""
ROW = "000102030405060708090a0b0c0d0e0f:0102030405060708"


@pytest.fixture
def ledger(plain_dsn: str) -> str:
    """One row of 0.00027 US dollars."""
    event = event_of({"tenant.id": "acme", "gen_ai.response.id": "chatcmpl-0123456789abcdef"})
    with LedgerWriter(plain_dsn) as writer:
        writer.write([Metered(event._replace(time=datetime.now(UTC)), bytes)])
    return plain_dsn


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "rules.toml"
    path.write_text(PILOT)
    return str(path)


def test_rules_are_tried_before_they_are_set(ledger: str, spanmeter: Run, file: str) -> None:
    assert "1 rules; what none applies to is billable" in spanmeter("rules", "check", file).stdout
    for tried in (("try", file), ("try", file, ROW)):
        shown = spanmeter("rules", *tried, "--format", "json", "--dsn", ledger)
        (row,) = json.loads(shown.stdout)["rows"]
        assert (row["from"], row["to"], row["by"], row["cost"]) == (
            *("billable", "included", "new/pilot"),
            "0.00027",
        )
    assert spanmeter("rules", "show", "--dsn", ledger).stdout == DEFAULTS.text


def test_rules_that_are_set_are_shown_and_listed(plain_dsn: str, spanmeter: Run, file: str) -> None:
    done = spanmeter("rules", "set", file, "--by", "ann", "--dsn", plain_dsn)
    assert done.stdout == "rules-1 is in force\n"
    assert spanmeter("rules", "show", "--dsn", plain_dsn).stdout == PILOT
    listed = spanmeter("rules", "history", "--format", "json", "--dsn", plain_dsn).stdout
    (version,) = json.loads(listed)["rows"]
    assert (version["version"], version["set_by"]) == ("rules-1", "ann")


def test_what_is_booked_is_decided_again_when_that_is_asked_for(
    ledger: str, spanmeter: Run
) -> None:
    with closing(connect(ledger)) as connection:
        set_rules(connection, PILOT, "ann")
    assert "--apply does" in spanmeter("rules", "reapply", "--dsn", ledger).stdout
    assert query(ledger, "SELECT count(*) FROM adjustments") == [(0,)]
    applied = spanmeter("rules", "reapply", "--apply", "--dsn", ledger).stdout
    assert "Booked 2 adjustments with the reference rules:rules-1." in applied
    assert "Booked 0" in spanmeter("rules", "reapply", "--apply", "--dsn", ledger).stdout
    explained = json.loads(spanmeter("explain", ROW, "--format", "json", "--dsn", ledger).stdout)
    (now,) = explained["now"]
    assert (now["billable_state"], now["requests"], now["cost"]) == ("included", 1, "0.00027")
    assert [each["reason"] for each in explained["adjustments"]] == ["billable rules"] * 2


def test_rules_that_cannot_be_used_are_refused_by_rule_and_key(
    plain_dsn: str, spanmeter: Run, tmp_path: Path
) -> None:
    (tmp_path / "bad.toml").write_text(PILOT.replace("tenant", "tenat"))
    for command in ("check", "set"):
        database = () if command == "check" else ("--dsn", plain_dsn)
        refused = spanmeter("rules", command, "bad.toml", *database)
        assert refused.returncode == 2
        assert "rule 'pilot', tenat: nothing is known by that name" in refused.stderr


@pytest.mark.parametrize("name", [ROW, "chatcmpl-0123456789abcdef"])
def test_a_row_is_explained(ledger: str, spanmeter: Run, name: str) -> None:
    shown = spanmeter("explain", name, "--dsn", ledger)
    assert shown.returncode == 0, shown.stderr
    for told in (
        "1000 * 0.15 / 1,000,000 input_tokens + 200 * 0.6 / 1,000,000 output_tokens = 0.00027",
        "openai/gpt-4o-mini",
        'otherwise = "billable"',
        "spanmeter.openai 0.1.0",
        "attributed by",
        "Computed again, cost and state agree.",
    ):
        assert told in shown.stdout


def test_a_row_that_does_not_agree_is_told_by_the_exit_code(ledger: str, spanmeter: Run) -> None:
    query(ledger, "SET session_replication_role = replica; UPDATE usage_events SET cost = 7")
    shown = spanmeter("explain", ROW, "--dsn", ledger)
    assert shown.returncode == 1
    assert "DIFFERS: its cost is 7, and computed again 0.00027" in shown.stdout


def test_a_name_of_nothing_or_of_several_rows_is_said(ledger: str, spanmeter: Run) -> None:
    nothing = spanmeter("explain", "chatcmpl-9", "--dsn", ledger)
    assert (nothing.returncode, "no row of the ledger" in nothing.stderr) == (1, True)
    query(
        ledger,
        "SET session_replication_role = replica; CREATE TEMP TABLE one AS SELECT * FROM usage_events;"
        " UPDATE one SET time = time - interval '1 hour'; INSERT INTO usage_events SELECT * FROM one",
    )
    several = spanmeter("explain", ROW, "--dsn", ledger)
    assert several.returncode == 1
    listed = [line.strip() for line in several.stderr.splitlines() if line.startswith("  ")]
    assert len(listed) == 2
    assert spanmeter("explain", listed[0], "--dsn", ledger).returncode == 0
