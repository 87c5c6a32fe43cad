"""`spanmeter plan`, `grant`, `statement` and `margin`, as people run them."""

from __future__ import annotations

import csv
import io
import json
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from booking import event, metered, query
from spanmeter.metering.usage_event import UsageEvent
from spanmeter.storage.ledger import LedgerWriter

Run = Callable[..., subprocess.CompletedProcess[str]]

# Several processes a test.
pytestmark = pytest.mark.timeout(300)

PRO = """\
plan = "pro"
currency = "USD"
time_zone = "Europe/Berlin"
fee = 100

[[charge]]
name = "llm"
markup = "0%"
when = { model = { glob = "gpt-4*" } }
"""


def booked(dsn: str, *events: UsageEvent) -> None:
    with LedgerWriter(dsn) as writer:
        assert writer.write(metered(*events)).inserted == len(events)


def call(day: int, cost: str, **told: object) -> UsageEvent:
    return event(time=datetime(2026, 9, day, 12, tzinfo=UTC), cost=Decimal(cost), **told)


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "pro.toml"
    path.write_text(PRO)
    return str(path)


@pytest.fixture
def run(plain_dsn: str, spanmeter: Run) -> Callable[..., str]:
    def done(*arguments: str) -> str:
        found = spanmeter(*arguments, "--dsn", plain_dsn)
        assert found.returncode == 0, found.stderr
        return found.stdout

    return done


@pytest.fixture
def listed(run: Callable[..., str]) -> Callable[..., list[dict[str, Any]]]:
    def rows(*arguments: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(run(*arguments, "--format", "json"))["rows"]
        return found

    return rows


Rows = Callable[..., list[dict[str, Any]]]
Done = Callable[..., str]


def test_a_plan_is_set_shown_and_assigned(file: str, run: Done, listed: Rows) -> None:
    """A date is midnight in the plan's zone: in Berlin 22:00 UTC of the day before."""
    shown = run("plan", "set", file, "--from", "2026-09-01", "--by", "ann")
    assert "+markup" in shown
    assert "pro/1 is recorded, in force from 2026-08-31T22:00:00+00:00" in shown
    assert "recorded already" in run("plan", "set", file)
    Path(file).write_text(PRO.replace("100", "120"))
    dry = run("plan", "set", file, "--dry-run")
    assert ("-fee = 100" in dry, "+fee = 120" in dry, "recorded" in dry) == (True, True, False)
    run("plan", "assign", "acme", "pro", "--from", "2026-09-01", "--by", "ann")
    run("plan", "default", "pro", "--from", "2026-10-01")
    (plan,) = listed("plan", "list")
    assert (plan["version"], plan["tenants"], plan["default"]) == ("pro/1", 1, True)
    assert run("plan", "show", "pro") == PRO
    run("plan", "unassign", "acme", "--from", "2026-10-01")
    whats = [(each["what"], each["tenant_id"], each["plan"]) for each in listed("plan", "history")]
    assert whats == [
        ("assigned", "acme", None),
        ("assigned", None, "pro"),
        ("assigned", "acme", "pro"),
        ("version", "-", "pro/1"),
    ]


def test_a_plan_that_cannot_be_used_names_charge_and_key(
    plain_dsn: str, spanmeter: Run, file: str
) -> None:
    Path(file).write_text(PRO.replace("gpt-4*", "gpt").replace("glob", "golb"))
    refused = spanmeter("plan", "set", file, "--dsn", plain_dsn)
    assert refused.returncode == 2
    assert "charge 'llm', model" in refused.stderr
    unknown = spanmeter("plan", "assign", "acme", "none", "--dsn", plain_dsn)
    assert (unknown.returncode, "there is no plan 'none'" in unknown.stderr) == (1, True)


@pytest.fixture
def september(plain_dsn: str, file: str, run: Done) -> str:
    """acme pays 100.00 and its calls of 140.00 are charged for the 2.00 of gpt-4 among them."""
    booked(
        plain_dsn,
        call(1, "2", request_model="gpt-4o", response_model="gpt-4o", account_type="paid"),
        call(2, "138", account_type="trial"),
    )
    run("plan", "set", file, "--from", "2026-09-01")
    run("plan", "assign", "acme", "pro", "--from", "2026-09-01")
    return plain_dsn


def test_a_statement_is_the_same_to_the_byte_and_has_a_hash(september: str, run: Done) -> None:
    assert september
    asked = ("statement", "acme", "--month", "2026-09", "--format", "json")
    as_of = ("--as-of", (datetime.now(UTC) + timedelta(hours=1)).isoformat())
    first, second = (run(*asked, *as_of) for _ in range(2))
    assert first == second
    told = json.loads(first)
    assert (told["state"], told["statement"]["total"]) == ("open", "102")
    assert told["statement"]["since"] == "2026-08-31T22:00:00+00:00"
    lines = list(csv.DictReader(io.StringIO(run(*asked[:-1], "csv"))))
    assert [(line["kind"], line["rounded"]) for line in lines] == [("usage", "2"), ("fee", "100")]
    table = run(*asked[:-2])
    assert "102.00" in table
    assert "no charge of the plan is for: 1" in table


def test_a_closed_statement_stays_and_tells_what_came_since(
    september: str, run: Done, listed: Rows, spanmeter: Run
) -> None:
    closed = run("statement", "close", "acme", "--month", "2026-09", "--by", "ann")
    assert "acme  2026-09  102.00 USD" in closed
    (row,) = listed("statement", "list", "acme")
    assert (row["month"], row["total"], row["sha256"]) == ("2026-09", "102.00", closed.split()[-1])
    again = spanmeter("statement", "close", "acme", "--month", "2026-09", "--dsn", september)
    assert (again.returncode, "--restate" in again.stderr) == (1, True)
    booked(september, call(3, "5", request_model="gpt-4o", response_model="gpt-4o"))
    shown = run("statement", "acme", "--month", "2026-09")
    assert "Since it was closed, 5 USD came late" in shown
    assert "IT DIFFERS" not in shown
    assert closed.split()[-1] in shown
    october = json.loads(run("statement", "acme", "--month", "2026-10", "--format", "json"))
    late = [line for line in october["statement"]["lines"] if line["kind"] == "late"]
    assert [(line["name"], line["amount"]) for line in late] == [("2026-09: llm", "5")]


def test_everybody_is_closed_at_once(september: str, run: Done, spanmeter: Run) -> None:
    booked(september, call(3, "5", tenant_id="globex"))
    asked = ("statement", "close", "--all", "--month", "2026-09")
    lines = [line.split("  ")[:3] for line in run(*asked).splitlines()]
    assert lines == [["acme", "2026-09", "102.00 USD"], ["globex", "2026-09", "no plan"]]
    again = spanmeter(*asked, "--dsn", september)
    assert (again.returncode, "2 not closed" in again.stderr) == (1, True)


def test_who_pays_100_and_costs_140_is_flagged(
    september: str, run: Done, listed: Rows, tmp_path: Path
) -> None:
    """The statement is 102.00. What was imported, 100.00, counts: 40.00 are lost. Revenue follows cost."""
    (row,) = listed("margin", "--month", "2026-09")
    assert (row["revenue"], row["cost"], row["margin"], row["negative"]) == (
        *("102.00", "140", "-38.00"),
        True,
    )
    revenue = tmp_path / "revenue.csv"
    revenue.write_text("tenant,period,amount,currency\nacme,2026-09,100.00,USD\n")
    assert run("margin", "import", str(revenue)) == "1 of 1 rows are new\n"
    assert run("margin", "import", str(revenue)) == "0 of 1 rows are new\n"
    assert "acme pays 100.00 and costs 140 USD." in run("margin", "--month", "2026-09")
    (row,) = listed("margin", "--month", "2026-09", "--by", "plan")
    assert (row["plan"], row["stated"], row["imported"]) == ("pro", "102.00", "100.00")
    by_type = listed("margin", "--month", "2026-09", "--by", "account_type")
    assert sum(Decimal(each["revenue"]) for each in by_type) == 100
    assert {each["account_type"]: each["cost"] for each in by_type} == {"paid": "2", "trial": "138"}
    assert query(
        september, "SELECT tenant_id, revenue, cost, margin, negative FROM tenant_margin"
    ) == [("acme", Decimal("100.00"), Decimal(140), Decimal("-40.00"), True)]


def test_revenue_that_cannot_be_read_names_the_line(
    plain_dsn: str, spanmeter: Run, tmp_path: Path
) -> None:
    revenue = tmp_path / "revenue.csv"
    revenue.write_text("tenant,period,amount,currency\nacme,2026-09,much,USD\n")
    refused = spanmeter("margin", "import", str(revenue), "--dsn", plain_dsn)
    assert (refused.returncode, "line 2: 'much' is no amount" in refused.stderr) == (1, True)


def test_grants_are_given_listed_voided_and_their_balance_is_shown(
    september: str, run: Done, listed: Rows, spanmeter: Run
) -> None:
    """25.00 of 102.00 in September; nothing is left in October."""
    given = ("grant", "add", "acme", "30 USD", "--from", "2026-08-01", "--id", "welcome")
    assert run(*given) == "welcome is granted\n"
    assert run(*given) == "welcome was granted already\n"
    (left,) = listed("grant", "balance", "acme", "--month", "2026-09")
    assert (left["at_first"], left["used"], left["left"]) == ("30", "30", "0")
    run(
        "grant", "add", "acme", "7 tokens", "--from", "2026-08-01", "--when", '{ feature = "chat" }'
    )
    assert [each["unit"] for each in listed("grant", "list", "--tenant", "acme")] == [
        "USD",
        "tokens",
    ]
    run("grant", "void", "welcome", "--at", "2026-08-15")
    total = json.loads(run("statement", "acme", "--month", "2026-09", "--format", "json"))
    assert total["statement"]["total"] == "102"
    refused = spanmeter("grant", "add", "acme", "lots", "--dsn", september)
    assert (refused.returncode, "write" in refused.stderr) == (2, True)


def test_what_if_changes_nothing_and_shows_both(
    plain_dsn: str, run: Done, listed: Rows, file: str
) -> None:
    """1000 tokens in, 100 out of gpt-4o cost 0.0035 (2.50 and 10.00 a million), of gpt-4o-mini 0.00021."""
    recent = datetime.now(UTC) - timedelta(days=2)
    booked(
        plain_dsn,
        event(
            time=recent,
            request_model="gpt-4o",
            response_model="gpt-4o",
            input_tokens=1000,
            output_tokens=100,
            cache_read_input_tokens=0,
            reasoning_output_tokens=0,
            cost=Decimal("0.0035"),
        ),
    )
    (row,) = listed("plan", "try", "--markup", "50%", "--last", "7d")
    assert (row["price"], row["new_price"], row["new_margin"]) == (None, "0.00525", "0.00175")
    run("plan", "set", file, "--from", "2026-01-01")
    run("plan", "default", "pro", "--from", "2026-01-01")
    (row,) = listed("plan", "try", "--model", "gpt-4o=gpt-4o-mini", "--last", "7d")
    assert (row["cost"], row["new_cost"]) == ("0.0035", "0.00021")
    assert (row["price"], row["new_price"]) == ("100.0035", "100.00021")
    (row,) = listed("plan", "try", file, "--last", "7d", "--tenant", "acme")
    assert Decimal(row["difference"]) == 0
    assert query(plain_dsn, "SELECT count(*) FROM adjustments") == [(0,)]


def test_an_action_is_refunded(plain_dsn: str, run: Done, spanmeter: Run) -> None:
    booked(plain_dsn, call(1, "2", action="report", idempotency_key="a"))
    told = ("statement", "refund", "acme", "report", "a", "--reason", "it was empty")
    assert "is refunded" in run(*told)
    refused = spanmeter(*told, "--dsn", plain_dsn)
    assert (refused.returncode, "was not refunded" in refused.stderr) == (1, True)
