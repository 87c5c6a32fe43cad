"""`spanmeter rates`, as a person uses it: import, look, approve, set, reprice."""

from __future__ import annotations

import csv
import io
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from booking import query
from spanmeter.metering.installed_catalogue import installed_version

Run = Callable[..., subprocess.CompletedProcess[str]]

CATALOGUE: list[dict[str, Any]] = [
    {
        "id": "openai",
        "models": [
            {
                "id": "gpt-4o-mini",
                "match": {"starts_with": "gpt-4o-mini"},
                "prices": {"input_mtok": 0.30, "output_mtok": 0.60},
            },
            {
                "id": "house-model",
                "match": {"equals": "house-model"},
                "prices": [
                    {"prices": {"input_mtok": 1, "output_mtok": 2}},
                    {
                        "constraint": {"start_date": "2026-12-01"},
                        "prices": {"input_mtok": 0.5, "output_mtok": 1},
                    },
                ],
            },
        ],
    }
]
SECOND = {
    "gpt-4o-mini": {
        "litellm_provider": "openai",
        "input_cost_per_token": 1.5e-07,
        "output_cost_per_token": 6e-07,
    },
    "house-model": {
        "litellm_provider": "openai",
        "input_cost_per_token": 1.004e-06,
        "output_cost_per_token": 2e-06,
    },
}


@pytest.fixture
def ok(spanmeter: Run, ledger: str) -> Callable[..., str]:
    """Run `spanmeter rates ARGUMENTS` on the ledger; what it prints."""

    def run(*arguments: str) -> str:
        done = spanmeter("rates", *arguments, "--dsn", ledger)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


@pytest.fixture
def catalogue(tmp_path: Path) -> Path:
    path = tmp_path / "data.json"
    path.write_text(json.dumps(CATALOGUE))
    return path


@pytest.fixture
def second(tmp_path: Path) -> Path:
    path = tmp_path / "model_prices.json"
    path.write_text(json.dumps(SECOND))
    return path


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_an_import_waits_and_nothing_disputed_is_approved_silently(
    ok: Callable[..., str], catalogue: Path, second: Path
) -> None:
    """gpt-4o-mini doubles its input price, which the second catalogue does not know of."""
    ok("import", str(catalogue), "--second", str(second))
    changes = rows(ok("diff", "--format", "csv"))
    (doubled,) = [
        row
        for row in changes
        if (row["name"], row["unit"]) == ("openai/gpt-4o-mini", "input_tokens")
    ]
    assert (doubled["before"], doubled["after"], doubled["percent"]) == ("0.15", "0.3", "+100.0")
    assert doubled["second"] == "0.15"
    assert {row["change"] for row in changes} == {"added", "changed", "removed"}
    assert ok("approve", "--auto").startswith("1 rates approved")
    in_force = rows(ok("list", "--provider", "openai", "--model", "house-model", "--format", "csv"))
    assert {row["price"] for row in in_force} == {"1/1M", "2/1M"}
    assert "disputed" in ok("approve")
    still = rows(ok("list", "--model", "gpt-4o-mini", "--provider", "openai", "--format", "csv"))
    assert "0.15/1M" in {row["price"] for row in still}
    assert ok("approve", "--accept", "openai/gpt-4o-mini").startswith("1 rates approved; 0 wait")
    assert "No rate waits" in ok("diff")


def test_where_two_catalogues_differ_is_listed(ok: Callable[..., str], tmp_path: Path) -> None:
    """The file is the user's own; house-model is no model of the catalogue, gpt-4o-mini agrees, gpt-4o does not."""
    dearer = {
        "gpt-4o": {
            "litellm_provider": "openai",
            "input_cost_per_token": 3e-06,
            "output_cost_per_token": 1e-05,
        }
    }
    path = tmp_path / "second.json"
    path.write_text(json.dumps({**SECOND, **dearer}))
    (line,) = rows(ok("check", str(path), "--format", "csv"))
    assert (line["name"], line["unit"], line["second"]) == (
        "openai/gpt-4o",
        "input_tokens",
        "0.000003",
    )
    assert "1 differ by more than 1 %" in ok("check", str(path))


def test_the_installed_catalogue_is_recorded_once(spanmeter: Run, ledger: str) -> None:
    again = spanmeter("rates", "import", "--catalogue", "--dsn", ledger)
    assert again.returncode == 1
    assert f"genai-prices {installed_version()} is recorded already" in again.stderr


def test_a_rate_that_is_set_holds_at_once_and_keeps_the_other_prices(
    ok: Callable[..., str],
) -> None:
    said = ok(
        *("set", "input_tokens=0.10/1M", "--provider", "openai", "--model", "gpt-4o-mini"),
        *("--tenant", "acme"),
    )
    assert said == "approved contract:acme/1#openai/gpt-4o-mini\n"
    listed = ok("list", "--tenant", "acme", "--format", "csv")
    prices = {row["unit"]: row["price"] for row in rows(listed)}
    assert prices["input_tokens"] == "0.10/1M"
    assert prices["output_tokens"] == "0.6/1M"
    assert prices["cache_read_tokens"] == "0.075/1M"


def test_what_is_listed_as_csv_can_be_imported(
    ok: Callable[..., str], ledger: str, tmp_path: Path
) -> None:
    for tenant in ("acme", "globex"):
        ok("set", "pages=0.01", "--only", "--provider", "house", "--model", "*", "--tenant", tenant)
    path = tmp_path / "mine.csv"
    path.write_text(ok("list", "--provider", "house", "--format", "csv"))
    assert ok("import", str(path)) == "nothing is new\n"
    path.write_text(path.read_text().replace("0.01", "0.02"))
    assert "contract:acme 2 is recorded" in ok("import", str(path))
    assert query(ledger, "SELECT count(*) FROM rates_in_force WHERE version = '2'") == [(0,)]


def test_repricing_shows_then_books_once(ok: Callable[..., str], ledger: str) -> None:
    ok("set", "input_tokens=1/1M", "output_tokens=1/1M", "--only", "--provider", "openai",
       "--model", "*")  # fmt: skip
    shown = json.loads(ok("reprice", "--since", "60d", "--format", "json"))
    assert query(ledger, "SELECT count(*) FROM adjustments") == [(0,)]
    assert sum(row["calls"] for row in shown["rows"]) == 240
    assert sum(row["newly_priced"] for row in shown["rows"]) == 6
    assert "Adjustments booked: 240." in ok("reprice", "--since", "60d", "--apply")
    again = json.loads(ok("reprice", "--since", "60d", "--apply", "--format", "json"))
    assert (again["rows"], again["notes"][-1]) == ([], "Adjustments booked: 0.")
    expected = "SELECT sum(input_tokens + output_tokens) * 0.000001 FROM usage_events"
    assert query(ledger, "SELECT sum(cost) FROM ledger") == query(ledger, expected)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("import",), "give either FILE or --catalogue"),
        (("set", "--provider", "openai", "--model", "x"), "give prices, --factor, --only"),
        (
            ("set", "input_tokens=2.50", "--provider", "openai", "--model", "x"),
            "the price of input_tokens needs a count",
        ),
        (
            ("set", "a=1", "--currency", "euro", "--provider", "openai", "--model", "x"),
            "'euro' is no currency",
        ),
    ],
)
def test_bad_usage_is_told_in_a_sentence(
    spanmeter: Run, arguments: tuple[str, ...], said: str
) -> None:
    done = spanmeter("rates", *arguments, SPANMETER_DSN="postgresql://127.0.0.1:1/none")
    assert done.returncode == 2
    assert said in done.stderr
