"""`spanmeter report`: the ledger's sums, exact in every form, on every edition."""

import csv
import io
import json
import re
import subprocess
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest

from booking import event, metered
from calls_described import an_estimate_and_a_count
from spanmeter.storage.ledger import LedgerWriter

DOCS = Path(__file__).parents[3] / "docs" / "commands.md"

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def report(spanmeter: Run, ledger: str) -> Callable[..., str]:
    """What `spanmeter report ARGUMENTS` prints of the seeded ledger."""

    def report(*arguments: str) -> str:
        done = spanmeter("report", "--since", "2w", *arguments, SPANMETER_DSN=ledger)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    return report


@pytest.fixture
def expected(ledger: str) -> dict[Any, tuple[Any, ...]]:
    """Requests, input tokens and cost per tenant of two weeks, summed here and not in a view."""
    sums: dict[Any, tuple[Any, ...]] = {}
    with psycopg.connect(ledger) as connection:
        rows = connection.execute(
            "SELECT tenant_id, input_tokens, cost FROM usage_events"
            " WHERE time >= now() - interval '14 days'"
        )
        for tenant, tokens, cost in rows:
            requests, total, spent = sums.get(tenant, (0, 0, Decimal(0)))
            sums[tenant] = (requests + 1, total + tokens, spent + (cost or 0))
    assert len(sums) == 4
    return sums


def test_json_is_exact_and_knows_no_tenant_that_is_not_one(
    report: Callable[..., str], expected: dict[Any, tuple[Any, ...]]
) -> None:
    document = json.loads(report("--format", "json"))
    rows = {row["tenant_id"]: row for row in document["rows"]}
    assert {
        tenant: (row["requests"], row["input_tokens"], Decimal(row["cost"]))
        for tenant, row in rows.items()
    } == expected
    [total] = document["totals"]
    assert Decimal(total["cost"]) == sum(cost for _, _, cost in expected.values())
    assert total["requests"] == sum(requests for requests, _, _ in expected.values())
    assert rows["acme"]["cost"].endswith("00000000000000028")


def test_csv_has_the_same_sums(
    report: Callable[..., str], expected: dict[Any, tuple[Any, ...]]
) -> None:
    rows = list(csv.DictReader(io.StringIO(report("--format", "csv"))))
    assert {row["tenant_id"] or None: Decimal(row["cost"]) for row in rows} == {
        tenant: cost for tenant, (_, _, cost) in expected.items()
    }


def test_a_table_says_what_is_not_in_the_sums(report: Callable[..., str]) -> None:
    table = report()
    assert "(unattributed)" in table
    assert "\ntotal " in table
    assert "Requests without a known rate: 3. Their cost is in no sum." in table
    assert "Requests without a tenant: 28. Where they come from: --by callsite." in table


def test_estimates_are_told_of(spanmeter: Run, plain_dsn: str) -> None:
    """Not those that the provider's own count has replaced."""
    ours, other = an_estimate_and_a_count().spans
    with LedgerWriter(plain_dsn) as writer:
        for each in (ours, other, event(usage_source="tokenizer")):
            writer.write(metered(each))
    arguments = ("report", "--since", "2026-11-01", "--dsn", plain_dsn)
    note = "Requests whose tokens the provider did not count: 1. They are estimated in every sum."
    assert note in spanmeter(*arguments).stdout
    assert note in json.loads(spanmeter(*arguments, "--format", "json").stdout)["notes"]
    assert "did not count" not in spanmeter(*arguments, "--tenant", "globex").stdout


def test_what_a_report_can_be_by_is_what_the_docs_say(spanmeter: Run, plain_dsn: str) -> None:
    refused = spanmeter("report", "--by", "tenant,nosuch", "--dsn", plain_dsn)
    assert refused.returncode == 2
    assert "there is no dimension 'nosuch'" in refused.stderr
    told = refused.stderr.partition("there are ")[2].split(", ")
    section = DOCS.read_text().partition("## report")[2]
    line = next(line for line in section.splitlines() if line.startswith("| `--by`"))
    assert [each.strip() for each in told] == re.findall(r"`([\w:]+)`", line.partition(". ")[2])


def test_any_dimensions_short_or_long_or_of_ones_own(report: Callable[..., str]) -> None:
    by = "day,tenant_id,feature,model,service,dimension:department"
    document = json.loads(report("--by", by, "--format", "json"))
    row = document["rows"][0]
    assert list(row)[:6] == [
        "day",
        "tenant_id",
        "feature",
        "model",
        "service_name",
        "dimension:department",
    ]
    days = [row["day"] for row in document["rows"]]
    assert days == sorted(days)
    assert len(set(days)) in {14, 15}
    assert sum(row["requests"] for row in document["rows"]) == 112


def test_the_total_is_nobodys(report: Callable[..., str]) -> None:
    lines = report("--by", "day,tenant").splitlines()
    (total,) = [line for line in lines if line.startswith("total ")]
    assert total.split()[:2] == ["total", "112"]


def test_only_one_tenant_and_only_a_while(report: Callable[..., str]) -> None:
    document = json.loads(report("--tenant", "acme", "--until", "7d", "--format", "json"))
    assert [row["tenant_id"] for row in document["rows"]] == ["acme"]
    assert document["rows"][0]["requests"] == 14
    assert document["tenant_id"] == "acme"


def test_an_empty_period_is_said_to_be_empty(report: Callable[..., str]) -> None:
    assert report("--tenant", "hooli").endswith("\n\nNothing is booked in this period.\n")


def test_a_moment_that_cannot_be_read_is_bad_usage(spanmeter: Run) -> None:
    refused = spanmeter("report", "--since", "soon")
    assert refused.returncode == 2
    assert "'soon' is neither a date (2026-11-20)" in refused.stderr
