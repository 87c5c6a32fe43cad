"""`spanmeter adjust`: by hand and by what tells whose usage is, each shown first, booked once, and taken back."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from booking import event, metered, query
from spanmeter.console.cli import main
from spanmeter.storage.ledger import LedgerWriter

Run = Callable[..., Result]

LATELY = datetime.now(UTC).replace(microsecond=0) - timedelta(days=2)

TRACE, TORN = b"t" * 16, b"u" * 16

COST = Decimal("0.001525")


@pytest.fixture
def ledger(dsn: str) -> str:
    """Calls of two tenants, and calls of nobody: in their traces, with their session, from a place, and of no hint."""
    calls = [
        event(time=LATELY, trace_id=TRACE, tenant_id="acme"),
        event(time=LATELY, trace_id=TRACE, tenant_id=None, callsite="app/a.py:1"),
        event(time=LATELY, trace_id=TORN, tenant_id="acme"),
        event(time=LATELY, trace_id=TORN, tenant_id="globex"),
        event(time=LATELY, trace_id=TORN, tenant_id=None, callsite="app/b.py:2"),
        event(time=LATELY, tenant_id="globex", dimensions={"session": "s1"}),
        event(time=LATELY, tenant_id=None, dimensions={"session": "s1"}, callsite="app/c.py:3"),
        event(time=LATELY, tenant_id=None, callsite="app/d.py:4", service_name="reports"),
        event(
            time=LATELY,
            tenant_id=None,
            callsite="app/d.py:4",
            service_name="search",
            cost=None,
            cost_quality="unpriced",
            rate_version=None,
        ),
    ]
    with LedgerWriter(dsn) as writer:
        assert writer.write(metered(*calls)).inserted == len(calls)
    return dsn


@pytest.fixture
def spanmeter(ledger: str) -> Run:
    """Run `spanmeter ARGUMENTS` in this process."""

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(main, arguments, env={"SPANMETER_DSN": ledger})

    return run


@pytest.fixture
def shown(spanmeter: Run) -> Callable[..., Any]:
    """What a command prints, as JSON."""

    def shown(*arguments: str) -> Any:
        done = spanmeter(*arguments, "--format", "json")
        assert done.exit_code == 0, done.output
        return json.loads(done.stdout)

    return shown


def by_tenant(dsn: str, table: str = "ledger") -> dict[str | None, tuple[int, int, Decimal]]:
    """Requests, input tokens and cost that count, by tenant."""
    sums = "SELECT tenant_id, sum(requests), sum(input_tokens), sum(cost)"
    statement = sums + " FROM {} GROUP BY 1 HAVING sum(requests) <> 0"
    return {tenant: tuple(sums) for tenant, *sums in query(dsn, statement.format(table))}


def test_a_trace_of_one_tenant_tells_whose_the_rest_of_it_is(
    shown: Callable[..., Any], ledger: str
) -> None:
    before = by_tenant(ledger)

    asked = shown("adjust", "attribute")
    assert by_tenant(ledger) == before
    document = shown("adjust", "attribute", "--apply")

    assert [(row["tenant_id"], row["callsite"], row["requests"]) for row in asked["rows"]] == [
        ("acme", "app/a.py:1", 1)
    ]
    assert document["rows"] == asked["rows"]
    assert document["rows"][0]["reason"].startswith("attributed: trace span ")
    assert by_tenant(ledger) == {
        "acme": (3, 3000, 3 * COST),
        "globex": (2, 2000, 2 * COST),
        None: (4, 4000, 3 * COST),
    }
    assert by_tenant(ledger, "usage_hourly") == by_tenant(ledger)
    assert shown("adjust", "attribute", "--apply")["rows"] == []


def test_attribution_is_taken_back_and_can_be_made_again(
    shown: Callable[..., Any], spanmeter: Run, ledger: str
) -> None:
    before = by_tenant(ledger)
    first = shown("adjust", "attribute", "--apply")

    assert spanmeter("adjust", "undo", first["reference"]).output == "2 adjustments taken back\n"
    assert spanmeter("adjust", "undo", first["reference"]).output == "0 adjustments taken back\n"
    assert by_tenant(ledger) == before == by_tenant(ledger, "usage_hourly")

    second = shown("adjust", "attribute", "--apply")
    assert [row["callsite"] for row in second["rows"]] == ["app/a.py:1"]
    listed = shown("adjust", "list")["rows"]
    assert {first["reference"], second["reference"]} <= {row["reference"] for row in listed}


def test_a_dimension_that_is_one_tenant_s_elsewhere_tells_whose_it_is(
    shown: Callable[..., Any], ledger: str
) -> None:
    document = shown("adjust", "attribute", "--by", "dimension:session", "--by", "user", "--apply")

    (row,) = document["rows"]
    assert (row["tenant_id"], row["callsite"]) == ("globex", "app/c.py:3")
    assert row["reason"] == "attributed: dimension:session s1"
    assert by_tenant(ledger)["globex"] == (3, 3000, 3 * COST)


@pytest.mark.parametrize("form", ["toml", "csv"])
def test_somebody_says_whose_it_is_and_what_they_say_twice_is_left(
    shown: Callable[..., Any], tmp_path: Path, ledger: str, form: str
) -> None:
    mapping = tmp_path / f"tenants.{form}"
    if form == "csv":
        mapping.write_text(
            "tenant,callsite,service\nacme,app/d.py:4,reports\nacme,app/b.py:2,\nglobex,app/b.py:2,\n"
        )
    else:
        mapping.write_text(
            '[[map]]\ntenant = "acme"\ncallsite = "app/d.py:4"\nservice = "reports"\n'
            '[[map]]\ntenant = "acme"\ncallsite = "app/b.py:2"\n'
            '[[map]]\ntenant = "globex"\ncallsite = "app/b.py:2"\n'
        )

    document = shown("adjust", "attribute", "--map", str(mapping), "--apply")

    (row,) = document["rows"]
    assert (row["tenant_id"], row["callsite"], row["cost"]) == ("acme", "app/d.py:4", str(COST))
    assert document["notes"][1] == (
        "Left without a tenant, since the mapping says two: 1 calls, acme or globex."
    )
    assert by_tenant(ledger)["acme"] == (3, 3000, 3 * COST)


def test_a_call_is_named_and_what_is_unpriced_moves_as_such(
    shown: Callable[..., Any], ledger: str
) -> None:
    ((trace, span),) = query(
        ledger,
        "SELECT encode(trace_id, 'hex'), encode(span_id, 'hex') FROM usage_events WHERE cost IS NULL",
    )

    shown("adjust", "attribute", "--event", f"{trace}:{span}", "--tenant", "initech", "--apply")

    rows = query(
        ledger,
        "SELECT tenant_id, sum(requests), sum(unpriced_requests), sum(cost) FROM ledger"
        " WHERE service_name = 'search' GROUP BY 1 ORDER BY 1",
    )
    assert rows == [("initech", 1, 1, None), (None, 0, 0, None)]


def test_report_says_how_many_places_have_no_tenant_and_what_they_cost(
    shown: Callable[..., Any],
) -> None:
    shown("adjust", "attribute", "--apply")

    document = shown("report", "--unattributed")

    assert document["notes"] == [
        "4 of 5 call sites that had no tenant have none yet: 0.004575 USD."
    ]
    assert [(row["callsite"], row["cost"], row["share"]) for row in document["rows"]] == [
        ("app/b.py:2", str(COST), "12.50%"),
        ("app/c.py:3", str(COST), "12.50%"),
        ("app/d.py:4", str(COST), "12.50%"),
        ("app/d.py:4", "0", "0.00%"),
    ]


BY_HAND = ("adjust", "add", "--reason", "goodwill", "--reference", "ticket 7", "--tenant", "acme")


def test_an_amount_is_booked_by_hand_once_and_taken_back(
    shown: Callable[..., Any], spanmeter: Run, ledger: str
) -> None:
    arguments = (
        *BY_HAND,
        "--time",
        f"{LATELY:%Y-%m-%d}",
        "--provider",
        "openai",
        "--cost",
        "-0.0005",
    )
    before = by_tenant(ledger)

    assert shown(*arguments)["notes"] == ["Nothing is booked yet: --apply does it."]
    assert by_tenant(ledger) == before
    assert shown(*arguments, "--apply")["notes"][0].startswith("Booked.")
    assert shown(*arguments, "--apply")["notes"] == ["It is booked already: nothing was added."]
    assert by_tenant(ledger)["acme"] == (2, 2000, 2 * COST - Decimal("0.0005"))

    assert spanmeter("adjust", "undo", "ticket 7").output == "1 adjustments taken back\n"
    assert by_tenant(ledger) == before


@pytest.mark.parametrize(
    ("arguments", "told", "code"),
    [
        ((*BY_HAND, "--event", "nothing", "--cost", "1"), "no call is booked under 'nothing'", 1),
        ((*BY_HAND, "--cost", "1"), "name the call with --event", 2),
        ((*BY_HAND, "--event", "x"), "say what to add", 2),
        ((*BY_HAND, "--cost", "a lot"), "'a lot' is no amount", 2),
        (("adjust", "undo", "nothing"), "nothing is booked for the reference 'nothing'", 1),
        (("adjust", "attribute", "--by", "moon"), "there is no dimension 'moon'", 2),
        (("adjust", "attribute", "--event", "x"), "--event and --tenant go together", 2),
        (("adjust", "attribute", "--map", "nowhere.csv"), "nowhere.csv cannot be read", 1),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence(
    spanmeter: Run, arguments: tuple[str, ...], told: str, code: int
) -> None:
    refused = spanmeter(*arguments)

    assert told in " ".join(refused.output.split())
    assert refused.exit_code == code


@pytest.mark.parametrize(
    "text",
    ["tenant,callsite\n,app/a.py:1\n", "tenant,callsite\nacme,\n", "callsite\nx\n"],
)
def test_a_mapping_without_a_tenant_or_a_dimension_is_refused(
    spanmeter: Run, tmp_path: Path, text: str
) -> None:
    mapping = tmp_path / "tenants.csv"
    mapping.write_text(text)

    refused = spanmeter("adjust", "attribute", "--map", str(mapping))

    assert refused.exit_code == 1
    assert "tenants.csv:2" in refused.output
