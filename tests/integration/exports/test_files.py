"""Files of usage and of cost: whole or not at all, the same sums as the ledger, FOCUS as it is specified."""

from __future__ import annotations

import csv
import json
import subprocess
from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from booking import adjust, query
from exports_fixtures import HOUR, START, Exports, book
from golden.environments import python_of

TARGET = """
[billing]
kind = "{kind}"
directory = "{directory}"
period = "hour"
since = {since}
wait = "0m"
{more}
"""

FOCUS = 'billing_account = "acme-inc"\nformat = "{}"'

Configure = Callable[..., Path]


@pytest.fixture
def configure(exports: Exports, tmp_path: Path) -> Configure:
    """Configure a kind of file; the directory of its files."""

    def configure(kind: str, more: str = "", since: datetime = START) -> Path:
        directory = tmp_path / "files"
        exports.configure(
            TARGET.format(kind=kind, directory=directory, since=since.isoformat(), more=more)
        )
        return directory

    return configure


def lines(directory: Path) -> list[dict[str, str]]:
    return [
        line
        for path in sorted(directory.glob("*.csv"))
        for line in csv.DictReader(path.read_text().splitlines())
    ]


def total(found: list[dict[str, str]], column: str) -> Decimal:
    return sum((Decimal(line[column] or 0) for line in found), Decimal())


def of_ledger(dsn: str, column: str) -> Decimal:
    ((found,),) = query(dsn, f"SELECT sum({column}) FROM ledger")  # noqa: S608
    return Decimal(found)


def test_the_files_have_what_the_ledger_has(exports: Exports, configure: Configure) -> None:
    directory = configure("csv")
    book(exports.dsn, "acme", 2, cost=Decimal("0.000000000000000000000001"))

    exports.ran()

    found = lines(directory)
    assert total(found, "cost") == of_ledger(exports.dsn, "cost")
    assert total(found, "input_tokens") == of_ledger(exports.dsn, "input_tokens")
    assert {line["tenant_id"] for line in found} == {"acme", "globex", ""}
    status = exports.status()
    assert status["cost USD"]["ledger"] == status["cost USD"]["told"]
    assert status["requests"]["told"] == 9
    assert "to the last digit" in exports("status").stdout


def test_a_file_is_written_anew_when_its_hour_changed_and_only_then(
    exports: Exports, configure: Configure
) -> None:
    directory = configure("csv")
    exports.ran()
    before = {path.name: path.stat().st_mtime_ns for path in directory.iterdir()}
    book(exports.dsn, "acme", 1, input_tokens=5)

    assert exports.ran().startswith("billing: 1 planned, 1 confirmed")

    after = {path.name: path.stat().st_mtime_ns for path in directory.iterdir()}
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {f"billing-{START + HOUR:%Y-%m-%dT%H}.csv"}
    assert total(lines(directory), "input_tokens") == of_ledger(exports.dsn, "input_tokens")


def test_parquet_has_the_same_rows_exactly(exports: Exports, configure: Configure) -> None:
    book(exports.dsn, "acme", 2, cost=Decimal("0.000000000000000000000001"))
    directory = configure("parquet", 'by = ["tenant", "model"]')

    exports.ran()

    parquet: Any = import_module("pyarrow.parquet")
    rows: list[dict[str, Any]] = [
        row
        for path in sorted(directory.glob("*.parquet"))
        for row in parquet.read_table(path).to_pylist()
    ]
    assert sum((row["cost"] for row in rows), Decimal()) == of_ledger(exports.dsn, "cost")
    assert {type(row["window_start"]) for row in rows} == {datetime}
    assert set(rows[0]) > {"tenant_id", "model", "input_tokens", "currency"}


STEPS = {
    "planning": "INSERT ON export_intents FOR EACH ROW",
    "about to write": "UPDATE ON export_intents FOR EACH ROW WHEN (NEW.state = 'sent')",
    "written": "UPDATE ON export_intents FOR EACH ROW WHEN (NEW.state = 'confirmed')",
}


@pytest.mark.parametrize("changed", [False, True], ids=["same", "changed"])
@pytest.mark.parametrize("step", STEPS)
def test_killed_at_any_step_the_files_are_right_afterwards(
    exports: Exports, configure: Configure, step: str, *, changed: bool
) -> None:
    directory = configure("csv")
    exports.run_killed_at(STEPS[step])
    if changed:
        book(exports.dsn, "acme", 0, input_tokens=5)

    exports.ran()

    assert total(lines(directory), "input_tokens") == of_ledger(exports.dsn, "input_tokens")
    assert "to the last digit" in exports("status").stdout


def test_a_directory_that_cannot_be_written_to_is_said(
    exports: Exports, configure: Configure, tmp_path: Path
) -> None:
    (tmp_path / "files").write_text("no directory")
    configure("csv")

    done = exports("run")

    assert done.exit_code == 1
    assert "cannot be written to" in done.output
    (tmp_path / "files").unlink()
    exports.ran()
    assert "to the last digit" in exports("status").stdout


MANDATORY = {
    *(
        "BilledCost",
        "BillingAccountId",
        "BillingAccountName",
        "BillingCurrency",
        "BillingPeriodEnd",
    ),
    *(
        "BillingPeriodStart",
        "ChargeCategory",
        "ChargeClass",
        "ChargeDescription",
        "ChargePeriodEnd",
    ),
    *("ChargePeriodStart", "ContractedCost", "EffectiveCost", "InvoiceIssuerName", "ListCost"),
    *("PricingQuantity", "PricingUnit", "ProviderName", "PublisherName", "ServiceCategory"),
    *("ServiceName", "HostProviderName", "ServiceProviderName"),
}
"""Of 1.2, and the two that 1.4 has instead of ProviderName and PublisherName."""

MAY_BE_NULL = {"ChargeClass", "BillingAccountName"}


@pytest.fixture
def focus_files(exports: Exports, configure: Configure) -> Path:
    """FOCUS files of this month and the one before, with a correction and a charge of which no rate is known."""
    last_month = (START.replace(day=1) - timedelta(days=3)).replace(hour=5)
    book(exports.dsn, "acme", 0, time=last_month)
    adjust(exports.dsn, time=last_month, cost=Decimal("-0.0001"), requests=0)
    unpriced: dict[str, Any] = {"cost": None, "rate_version": None, "cost_quality": "unpriced"}
    book(exports.dsn, "globex", 1, **unpriced, request_model="new", response_model=None)
    book(exports.dsn, "globex", 1, byok=True, cost=Decimal(5))
    directory = configure("focus", FOCUS.format("csv"), last_month.replace(hour=0))
    exports.ran()
    return directory


def test_focus_has_every_mandatory_column_and_the_costs_of_the_ledger(
    exports: Exports, focus_files: Path
) -> None:
    found = lines(focus_files)

    assert found[0].keys() >= MANDATORY
    for line in found:
        assert all(line[name] for name in MANDATORY - MAY_BE_NULL)
        unknown = [name for name in line if name.startswith("x") != name.startswith("x_")]
        assert unknown == []
        assert line["ChargeCategory"] == "Usage"
        assert line["BillingPeriodStart"] <= line["ChargePeriodStart"] < line["BillingPeriodEnd"]
        assert line["ConsumedUnit"] == "Tokens"
        json.loads(line["Tags"])
        if not line["ChargeClass"]:
            price, quantity = Decimal(line["ListUnitPrice"]), Decimal(line["PricingQuantity"])
            assert price * quantity == Decimal(line["ListCost"])
    ((cost,),) = query(exports.dsn, "SELECT sum(cost) FROM ledger WHERE NOT byok")
    for name in ("BilledCost", "EffectiveCost", "ContractedCost", "ListCost"):
        assert total(found, name) == cost
    tokens = total(found, "ConsumedQuantity")
    assert tokens == total(found, "x_InputTokens") + total(found, "x_OutputTokens")
    assert {line["x_ConsumerId"] for line in found} == {"acme", "globex", ""}


DRAFT_NAMES = {
    "InvoiceIssuer": "InvoiceIssuerName",
    "Provider": "ProviderName",
    "Publisher": "PublisherName",
    "ResourceID": "ResourceId",
    "ChargeType": "ChargeCategory",
}
"""What the validator's rules of 1.0 call columns by, which 1.0 calls by other names since it is final."""


def test_the_public_validator_finds_nothing_wrong(focus_files: Path, tmp_path: Path) -> None:
    """It knows FOCUS 1.0, by some names of drafts; and takes a whole number for no decimal."""
    found = [
        {
            **line,
            **{draft: line[name] for draft, name in DRAFT_NAMES.items()},
            "ConsumedQuantity": f"{line['ConsumedQuantity']}.0",
        }
        for line in lines(focus_files)
    ]
    file = tmp_path / "focus.csv"
    with file.open("w", newline="") as opened:
        writer = csv.DictWriter(opened, list(found[0]))
        writer.writeheader()
        writer.writerows(found)
    python = python_of("focus")
    (package,) = python.parents[1].glob("lib/python*/site-packages")

    done = subprocess.run(
        [python.with_name("focus-validator"), "--data-file", file, "--validate-version", "1.0"],
        # It reads its list of currencies from where it is run.
        cwd=package,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )

    assert "Validation succeeded" in done.stdout, done.stdout + done.stderr


def test_what_corrects_a_month_that_is_over_says_so(focus_files: Path) -> None:
    found = [line for line in lines(focus_files) if line["ChargeClass"] == "Correction"]

    # The call of last month was booked now, and so was its adjustment.
    assert {line["ChargeClass"] for line in found} == {"Correction"}
    assert total(found, "BilledCost") == Decimal("0.001525") - Decimal("0.0001")
    assert {line["PricingCategory"] for line in found} == {""}


def test_a_charge_without_a_rate_is_named_and_not_told_as_nothing(
    exports: Exports, focus_files: Path
) -> None:
    assert all("new" not in line["SkuId"] for line in lines(focus_files))
    status = exports.status()["requests"]
    assert status["not_exportable"] == 1
    assert status["ledger"] == status["told"] + 1
    assert "not exportable" in exports("status").stdout
