"""`spanmeter reconcile`: a bill with a fault of each cause, found to the last digit, posted, and taken back."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner, Result

from anthropic_reports import IN, OUT, READ, bill
from booking import event, metered, query
from spanmeter.console.cli import main
from spanmeter.metering.usage_event import UsageEvent
from spanmeter.storage.ledger import LedgerWriter

Run = Callable[..., Result]

FIRST = datetime(2026, 10, 1, 10, tzinfo=UTC)

UNPRICED: dict[str, Any] = {"cost": None, "cost_quality": "unpriced", "rate_version": None}


def call(
    day: int, input_: int = 1000, read: int = 0, output: int = 100, **fields: Any
) -> UsageEvent:
    """A call of so many tokens on a day of October; `input_` includes what was read from the cache."""
    cost = (input_ - read) * IN + read * READ + output * OUT
    told: dict[str, Any] = {
        "time": FIRST + timedelta(days=day - 1),
        "provider": "anthropic",
        "request_model": "claude-sonnet-4-5",
        "response_model": "claude-sonnet-4-5",
        "input_tokens": input_,
        "cache_read_input_tokens": read,
        "output_tokens": output,
        "reasoning_output_tokens": None,
        "cost": cost,
        "rate_version": "test-rates",
        "cost_quality": "exact",
    }
    return event(**{**told, **fields})


@pytest.fixture
def books(dsn: str) -> str:
    """A ledger with a day for each cause: what is wrong with it is said beside the bill."""
    response: dict[str, Any] = {"response_id": "msg_018Zy7VZwfzRRsGJvB9QhqN2"}
    events = [
        call(1, tenant_id="acme"),
        call(1, 500, tenant_id="globex"),
        call(2, tenant_id=None),
        call(3, tenant_id="acme", **UNPRICED),
        call(3, 3000, tenant_id="globex", **UNPRICED),
        call(4, tenant_id="acme"),
        call(4, tenant_id="globex"),
        call(5),
        call(6, read=0),
        call(7),
        call(8),
        call(9, tenant_id="acme", **response),
        call(10, 1001, output=101),
        call(11, tenant_id="acme"),
        call(11, tenant_id="globex"),
        call(12, time=datetime(2026, 10, 12, 23, 59, tzinfo=UTC), duration=timedelta(minutes=2)),
        call(13, byok=True),
    ]
    with LedgerWriter(dsn) as writer:
        assert writer.write(metered(*events)).inserted == len(events)
    _behind_the_collector(dsn, call(9, tenant_id="acme", **response))
    return dsn


def _behind_the_collector(dsn: str, twin: UsageEvent) -> None:
    """The same call once more, in a way that the collector would not have let it in."""
    with LedgerWriter(dsn) as writer:
        assert writer.write(metered(twin._replace(response_id=None))).inserted == 1
    with psycopg.connect(dsn) as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute(
            "UPDATE usage_events SET response_id = 'msg_018Zy7VZwfzRRsGJvB9QhqN2' WHERE span_id = %s",
            (twin.span_id,),
        )


DAYS = [
    *bill(1, 1500, 0, 200),
    *bill(2, 1000, 0, 100),
    *bill(3, 4000, 0, 200),
    *bill(4, 2000, 0, 200, times=Decimal("1.1")),
    *bill(5, 1000, 0, 100, tier="batch", times=Decimal("0.5")),
    *bill(6, 400, 600, 100),
    *bill(7, 1000, 0, 100),
    *bill(7, 9000, 0, 900, tier="priority"),
    *bill(9, 1000, 0, 100),
    *bill(10, 1001, 0, 101),
    *bill(11, 3000, 0, 300),
    *bill(13, 1000, 0, 100),
]
"""Day 1 is right. Then: unattributed, unpriced, 10 % dearer, at another tier, cached, more than is booked, less (day
8), once and not twice, rounded, one call of three missing, and a call that passed midnight."""

ONE = 1000 * IN + 100 * OUT

FOUND = {
    "unattributed": ONE,
    "unpriced": 4000 * IN + 200 * OUT,
    "rate_drift": 2 * ONE / 10,
    "tier_mismatch": -ONE / 2,
    "cache_mismatch": -600 * (IN - READ),
    "duplicate": -ONE,
    "missing": 9 * ONE + ONE,
    "not_billed": -ONE,
    "rounding": Decimal("-0.000018"),
}


@pytest.fixture
def report(tmp_path: Path) -> Path:
    """The bill, rounded on the tenth day as a provider rounds it."""
    for day in DAYS:
        for result in day["results"]:
            if day["starting_at"] == "2026-10-10T00:00:00Z" and "amount" in result:
                result["amount"] = str(round(Decimal(result["amount"]), 2))
    path = tmp_path / "anthropic.json"
    path.write_text(json.dumps({"data": DAYS, "has_more": False, "next_page": None}))
    return path


@pytest.fixture
def spanmeter(books: str) -> Run:
    """Run `spanmeter reconcile ARGUMENTS` in this process: a new one for each takes longer than the work."""

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(main, ["reconcile", *arguments], env={"SPANMETER_DSN": books})

    return run


@pytest.fixture
def reconcile(spanmeter: Run) -> Callable[..., Any]:
    """What `spanmeter reconcile ARGUMENTS` prints, as JSON."""

    def reconcile(*arguments: str) -> Any:
        done = spanmeter(*arguments, "--format", "json")
        assert done.exit_code == 0, done.stderr
        return json.loads(done.stdout)

    return reconcile


PERIOD = ("--since", "2026-10-01", "--until", "2026-10-14")


def amounts(document: Mapping[str, Any]) -> dict[str, Decimal]:
    return {row["cause"]: Decimal(row["amount"]) for row in document["rows"]}


def test_each_fault_is_found_to_the_last_digit_and_nothing_is_left(
    reconcile: Callable[..., Any], report: Path
) -> None:
    found = amounts(reconcile("anthropic", str(report), *PERIOD))

    billed, tenants = found.pop("the bill"), found.pop("booked for tenants")
    late = found.pop("late")
    assert found == FOUND
    assert late == 0
    assert tenants + sum(found.values()) == billed
    assert billed == sum(
        Decimal(result["amount"]) / 100
        for day in DAYS
        for result in day["results"]
        if "amount" in result
    )


def test_the_details_name_day_tier_and_quantities(
    reconcile: Callable[..., Any], report: Path
) -> None:
    rows = reconcile("anthropic", str(report), *PERIOD, "--detail")["rows"]

    assert {(row["day"], row["tier"], row["amount"]) for row in rows if row["cause"] == "late"} == {
        ("2026-10-12", "standard", str(-ONE.normalize())),
        ("2026-10-13", "standard", str(ONE.normalize())),
    }
    (cached,) = (row for row in rows if row["cause"] == "cache_mismatch")
    assert cached["day"] == "2026-10-06"
    assert cached["quantities"] == "+600 cache_read_input_tokens, -600 uncached_input_tokens"


def test_what_is_posted_makes_the_ledger_equal_the_bill_and_can_be_taken_back(
    reconcile: Callable[..., Any], report: Path, spanmeter: Run, books: str
) -> None:
    before = sums(books)
    first = reconcile("anthropic", str(report), *PERIOD)
    name = first["reconciliation_id"]
    billed = amounts(first)["the bill"]

    posted = spanmeter("post", name)
    again = spanmeter("post", name)

    assert "adjustments posted" in posted.stdout
    assert again.stdout == "0 adjustments posted\n"
    assert total(books) == billed
    assert_rollups_are_the_ledger(books)
    left = {
        cause: n for cause, n in amounts(reconcile("anthropic", str(report), *PERIOD)).items() if n
    }
    assert left.keys() == {"booked for tenants", "unattributed", "the bill"}
    assert left["booked for tenants"] + left["unattributed"] == billed
    (kept,) = (row for row in reconcile("list")["rows"] if row["reconciliation_id"] == name)
    assert Decimal(kept["posted"]) == billed - sum((cost for *_, cost in before), Decimal())

    for expected in ("adjustments taken back", "0 adjustments taken back"):
        assert expected in spanmeter("undo", name[:8]).stdout
    assert sums(books) == before
    assert_rollups_are_the_ledger(books)
    refused = spanmeter("post", name)
    assert refused.exit_code == 1
    assert "taken back: compare the bill again" in refused.stderr


def test_a_difference_is_posted_to_those_who_share_it_in_proportion(
    reconcile: Callable[..., Any], report: Path, books: str
) -> None:
    reconcile("anthropic", str(report), *PERIOD, "--post")

    def posted(cause: str) -> dict[str | None, Decimal]:
        rows = query(
            books,
            "SELECT tenant_id, cost FROM adjustments WHERE reason = 'reconciliation: ' || %s",
            cause,
        )
        return dict(rows)

    assert posted("rate_drift") == {"acme": ONE / 10, "globex": ONE / 10}
    assert posted("unpriced") == {
        "acme": allocated(FOUND["unpriced"], 1100, 4200),
        "globex": allocated(FOUND["unpriced"], 3100, 4200),
    }
    assert posted("duplicate") == {"acme": -ONE}
    assert set(posted("missing")) == {None}


def test_books_that_are_right_say_so(reconcile: Callable[..., Any], report: Path) -> None:
    document = reconcile("anthropic", str(report), "--since", "2026-10-01", "--until", "2026-10-02")

    assert amounts(document).keys() == {"booked for tenants", "the bill"}
    assert document["notes"] == ["Captured: 100.00 % of the bill. Charged to tenants: 100.00 %."]


def test_what_was_booked_after_the_books_were_closed_is_late(
    reconcile: Callable[..., Any], report: Path
) -> None:
    document = reconcile(
        "anthropic", str(report), *PERIOD[:3], "2026-10-02", "--closed", "2026-10-02"
    )

    assert amounts(document) == {
        "booked for tenants": 0,
        "late": 1500 * IN + 200 * OUT,
        "the bill": 1500 * IN + 200 * OUT,
    }


def allocated(amount: Decimal, part: int, whole: int) -> Decimal:
    """A share to the twelfth decimal; half of the tests' luck is that no remainder is a tie."""
    return round(amount * part / whole, 12)


def total(dsn: str) -> Decimal:
    """All that the ledger has of the provider, but for customers' own keys."""
    ((cost,),) = query(
        dsn, "SELECT sum(cost) FROM ledger WHERE provider = 'anthropic' AND NOT byok"
    )
    return Decimal(cost)


def sums(dsn: str) -> list[tuple[Any, ...]]:
    """What counts, by tenant and day, where there is anything."""
    return query(
        dsn,
        "SELECT tenant_id, time::date, sum(input_tokens), sum(output_tokens), sum(unpriced_requests),"
        " coalesce(sum(cost), 0) FROM ledger WHERE NOT byok GROUP BY 1, 2"
        " HAVING sum(requests) > 0 ORDER BY 2, 1",
    )


def assert_rollups_are_the_ledger(dsn: str) -> None:
    sums = "SELECT tenant_id, model, sum(requests), sum(input_tokens), sum(cost)"
    statement = sums + " FROM {} GROUP BY 1, 2 ORDER BY 1, 2"
    by_hour = query(dsn, statement.format("usage_hourly"))
    assert by_hour == query(dsn, statement.format("ledger"))
