"""`spanmeter verify` and `spanmeter seal`: what is changed behind the ledger's back is found, and the day is named."""

import json
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from booking import query
from spanmeter.storage.ledger import LedgerWriter
from spanmeter.storage.metered import Metered
from spanmeter.storage.producers import Producer
from unit.metering.spans import event_of

Run = Callable[..., subprocess.CompletedProcess[str]]

# Several processes a test.
pytestmark = pytest.mark.timeout(300)

TODAY = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
DAY = (TODAY - timedelta(days=3)).date().isoformat()

ONE_ROW = (
    " WHERE span_id = '\\x0101010101010101' AND trace_id = '\\x03030303030303030303030303030303'"
)
"""One of the two of that day."""


@pytest.fixture
def sealed(dsn: str, spanmeter: Run) -> str:
    """A ledger of six rows on three days, all of them sealed."""
    book(dsn, days=(2, 3, 4), each=2)
    made = spanmeter("seal", "--through", "today", "--dsn", dsn)
    assert made.returncode == 0, made.stderr
    return dsn


def book(dsn: str, days: tuple[int, ...], each: int = 1) -> None:
    """Rows as the meter makes them, at one in the morning so many days ago."""
    events = [
        event_of({"tenant.id": "acme"})._replace(
            time=TODAY - timedelta(days=ago) + timedelta(hours=1, seconds=n),
            trace_id=bytes([ago]) * 16,
            span_id=bytes([n + 1]) * 8,
        )
        for ago in days
        for n in range(each)
    ]
    with LedgerWriter(dsn) as writer:
        assert writer.write([Metered(event, bytes) for event in events]).inserted == len(events)


def verify(spanmeter: Run, dsn: str, *flags: str, **variables: str) -> list[dict[str, Any]]:
    """What differs; the exit code says whether anything does."""
    done = spanmeter("verify", "--format", "json", "--dsn", dsn, *flags, **variables)
    assert done.returncode in {0, 1}, done.stderr
    rows: list[dict[str, Any]] = json.loads(done.stdout)["rows"]
    assert done.returncode == bool(rows), done.stdout
    return rows


def beside_sums(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What differs but for sums, which were taken when the rows were booked."""
    assert any(row["what"] == "rollup" for row in rows)
    return [row for row in rows if row["what"] != "rollup"]


def behind_its_back(dsn: str, *statements: str) -> None:
    """As a superuser who switches the ledger's guards off, and on again."""
    with psycopg.connect(dsn) as connection:
        connection.execute("SET session_replication_role = replica")
        for statement in statements:
            changed = connection.execute(statement.encode()).rowcount
            assert changed != 0, statement


def test_an_untouched_ledger_agrees(sealed: str, spanmeter: Run) -> None:
    assert verify(spanmeter, sealed) == []
    shown = spanmeter("verify", "--dsn", sealed).stdout
    assert "All of it agrees." in shown
    again = spanmeter("seal", "--through", "yesterday", "--dsn", sealed)
    assert "is sealed already" in again.stdout


def test_several_processes_find_what_one_does(sealed: str, spanmeter: Run, installed: Run) -> None:
    assert verify(installed, sealed, "--jobs", "2") == []
    behind_its_back(
        sealed,
        "UPDATE usage_events SET cost = cost * 2 WHERE span_id = '\\x0101010101010101'",
        "DELETE FROM unfolded_usage",
    )
    found = verify(spanmeter, sealed)
    assert len({each["day"] for each in found}) == 3
    assert verify(installed, sealed, "--jobs", "2") == found


def test_late_rows_are_legal_and_in_a_later_seal(sealed: str, spanmeter: Run) -> None:
    book(sealed, (7,))
    assert verify(spanmeter, sealed) == []
    assert spanmeter("seal", "--through", "today", "--dsn", sealed).stdout.startswith("seal 2: ")
    assert verify(spanmeter, sealed) == []
    listed = json.loads(spanmeter("seal", "list", "--format", "json", "--dsn", sealed).stdout)
    assert [(row["seal"], row["signed"]) for row in listed["rows"]] == [(1, False), (2, False)]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (
            "UPDATE usage_events SET tenant_id = 'globex'",
            "rows in USD were changed, of 2: no sum differs",
        ),
        (
            "UPDATE usage_events SET input_tokens = 900, cost = 0.000255",
            "input tokens 2000 is 1900 now; cost 0.00054 is 0.000525 now",
        ),
        (
            "DELETE FROM usage_events",
            "1 rows in USD are gone: 2 were sealed, 1 are there",
        ),
    ],
)
def test_a_sealed_row_that_is_changed_is_found(
    sealed: str, spanmeter: Run, change: str, told: str
) -> None:
    behind_its_back(sealed, change + ONE_ROW)
    (found,) = beside_sums(verify(spanmeter, sealed))
    assert (found["what"], found["day"]) == ("sealed day", DAY)
    assert found["where"] == "usage_events, seal 1"
    assert told in found["detail"]
    # Other days are as they were.
    assert verify(spanmeter, sealed, "--to", DAY) == []


def test_a_row_that_is_slipped_in_with_an_old_date_is_found(sealed: str, spanmeter: Run) -> None:
    columns = query(
        sealed,
        "SELECT attname FROM pg_attribute WHERE attrelid = 'usage_events'::regclass AND attnum > 0"
        " AND NOT attisdropped AND attname <> 'span_id'",
    )
    copied = "INSERT INTO usage_events (span_id, ALL) SELECT '\\x0909090909090909', ALL FROM usage_events"
    names = ", ".join(name for (name,) in columns)
    behind_its_back(sealed, copied.replace("ALL", names) + ONE_ROW)
    (found,) = beside_sums(verify(spanmeter, sealed))
    assert found["day"] == DAY
    assert "1 rows in USD were added: 2 were sealed, 3 are there" in found["detail"]


def test_a_cost_that_does_not_follow_from_its_row_is_found_unsealed_too(
    dsn: str, spanmeter: Run
) -> None:
    book(dsn, (3,))
    behind_its_back(dsn, "UPDATE usage_events SET cost = 1, account_type = 'trial'")
    cost, state = beside_sums(verify(spanmeter, dsn))
    assert (cost["what"], cost["day"], state["what"]) == ("row", DAY, "row")
    assert cost["detail"] == "its cost is 1, and computed again 0.00027"
    assert state["detail"].endswith("decided again included by defaults-1/trial")


def test_a_seal_that_is_written_anew_is_found(sealed: str, spanmeter: Run, tmp_path: Path) -> None:
    anchor = tmp_path / "seals.json"
    anchor.write_text(spanmeter("seal", "export", "--dsn", sealed).stdout)
    assert verify(spanmeter, sealed, "--anchor", str(anchor)) == []
    behind_its_back(sealed, "UPDATE sealed_days SET rows = rows + 1")
    details = {row["detail"] for row in verify(spanmeter, sealed)}
    assert "its digest is not that of what it says" in details


def test_a_chain_that_is_written_anew_as_a_whole_is_found_by_an_export_and_by_its_key(
    sealed: str, spanmeter: Run, tmp_path: Path
) -> None:
    """Whoever may do anything in the database changes a row, and then seals it all again."""
    anchor = tmp_path / "seals.json"
    anchor.write_text(spanmeter("seal", "export", "--dsn", sealed).stdout)
    behind_its_back(
        sealed,
        "DELETE FROM sealed_days",
        "DELETE FROM seals",
        "UPDATE usage_events SET tenant_id = 'globex' WHERE tenant_id = 'acme'",
        "UPDATE unfolded_usage SET tenant_id = 'globex' WHERE tenant_id = 'acme'",
    )
    assert spanmeter("seal", "--through", "today", "--dsn", sealed).returncode == 0
    assert verify(spanmeter, sealed) == []
    (found,) = verify(spanmeter, sealed, "--anchor", str(anchor))
    assert (found["where"], found["detail"]) == (
        "seal 1",
        "its digest is not the one that was exported before",
    )


def test_signed_seals_are_checked_with_their_key(dsn: str, spanmeter: Run) -> None:
    book(dsn, (3,))
    key = {"SPANMETER_SEAL_KEY": "a secret"}
    spanmeter("seal", "--through", "today", "--dsn", dsn, **key)
    assert verify(spanmeter, dsn, **key) == []
    (found,) = verify(spanmeter, dsn, SPANMETER_SEAL_KEY="another")
    assert found["detail"] == "its signature is not by this key"


def test_guards_that_are_off_and_records_that_are_missing_are_told(
    dsn: str, spanmeter: Run
) -> None:
    with LedgerWriter(dsn) as writer:
        writer.write([], producers={"p": Producer("answers", 1, [1, 2, 5])})
    query(dsn, "DROP TRIGGER append_only ON adjustments")
    trigger, producer = verify(spanmeter, dsn)
    assert (trigger["what"], trigger["where"]) == ("trigger", "adjustments.append_only")
    assert producer["detail"] == "2 records of answers did not arrive, 1 of them given up"


def test_what_left_by_age_is_no_loss(sealed: str, spanmeter: Run) -> None:
    dropped = (
        "INSERT INTO retention_log (dropped_from, before, rows) VALUES ('usage_events', 'DAY', 2)"
    )
    behind_its_back(
        sealed,
        "DELETE FROM usage_events WHERE time < 'DAY'".replace("DAY", f"{DAY}T00:00Z"),
        dropped.replace("DAY", f"{DAY}T00:00Z"),
    )
    assert verify(spanmeter, sealed) == []
    behind_its_back(sealed, "DELETE FROM usage_events")
    assert {row["day"] for row in verify(spanmeter, sealed)} == {
        DAY,
        (TODAY - timedelta(days=2)).date().isoformat(),
    }


@pytest.mark.parametrize("flags", [("--from", "2026-11-20T08:30"), ("--to", "whenever")])
def test_days_are_whole(plain_dsn: str, spanmeter: Run, flags: tuple[str, str]) -> None:
    assert spanmeter("verify", "--dsn", plain_dsn, *flags).returncode == 2


def test_an_anchor_that_is_none_is_refused(plain_dsn: str, spanmeter: Run, tmp_path: Path) -> None:
    (tmp_path / "no.json").write_text('{"seal": 1}')
    refused = spanmeter("verify", "--dsn", plain_dsn, "--anchor", str(tmp_path / "no.json"))
    assert refused.returncode == 2
    assert "is no export of seals" in refused.stderr


def test_an_empty_ledger_agrees(plain_dsn: str, spanmeter: Run) -> None:
    assert verify(spanmeter, plain_dsn) == []
    assert "Nothing is sealed yet" in spanmeter("verify", "--dsn", plain_dsn).stdout
