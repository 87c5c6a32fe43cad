"""`spanmeter db` on real servers of each edition."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from databases.editions import Edition
from spanmeter.storage import migrations as schema

Run = Callable[..., subprocess.CompletedProcess[str]]


def test_init_makes_the_ledger_once(spanmeter: Run, empty_dsn: str) -> None:
    first = spanmeter("db", "init", "--dsn", empty_dsn)
    assert (first.returncode, first.stderr) == (0, "")
    assert first.stdout.startswith("the ledger is ready, in ")
    second = spanmeter("db", "init", "--dsn", empty_dsn)
    assert second.returncode == 0
    assert second.stdout.startswith("the ledger is already there, in ")


def test_status_names_the_edition_and_the_hypertables(
    spanmeter: Run, edition: Edition, dsn: str
) -> None:
    status = json.loads(spanmeter("db", "status", "--format", "json", SPANMETER_DSN=dsn).stdout)
    hypertables = {row["table"] for row in status["rows"] if row["hypertable"] == "yes"}
    if edition == "plain":
        assert (status["edition"], status["timescaledb"], hypertables) == ("plain", None, set())
    else:
        assert status["edition"] in {"apache", "community"}
        assert hypertables == {"usage_events", "adjustments"}
    assert status["decoder"] in {"compiled", "python"}
    assert status["pending_migrations"] is None
    assert [row["rows"] for row in status["rows"]] == [0] * 6
    assert all(row["bytes"] > 0 for row in status["rows"])


def test_status_counts_rows_and_grows_with_them(spanmeter: Run, dsn: str) -> None:
    def usage() -> dict[str, int]:
        shown = spanmeter("db", "status", "--format", "json", "--dsn", dsn).stdout
        line: dict[str, int] = json.loads(shown)["rows"][0]
        return line

    before = usage()
    with psycopg.connect(dsn) as connection:
        connection.execute(_ROWS)
    after = usage()
    assert after["rows"] == 1000
    assert after["bytes"] > before["bytes"] + 50_000


def test_status_tells_of_the_last_day(spanmeter: Run, ledger: str, tmp_path: Path) -> None:
    (tmp_path / "journal").mkdir()
    shown = spanmeter("db", "status", "--format", "json", "--dsn", ledger)
    status = json.loads(shown.stdout)
    assert status["rows_last_day"] == 8
    assert status["same_call_last_day"] == 0
    assert (status["unpriced_last_day"], status["unpriced_percent_last_day"]) == (1, "12.50")
    assert (status["unattributed_last_day"], status["unattributed_percent_last_day"]) == (
        2,
        "25.00",
    )
    assert status["rejected_last_day"] == status["open_rejected_spans"] == "1 bad_count"
    assert (status["producers"], status["producers_with_gaps"]) == (0, 0)
    assert status["journal"] is None
    redriven = "UPDATE rejected_spans SET redriven_at = now(), redriven_as = 'booked'"
    with psycopg.connect(ledger) as connection:
        connection.execute(redriven)
    in_words = spanmeter("db", "status", "--dsn", ledger).stdout
    words = [" ".join(line.split()) for line in in_words.splitlines()]
    assert "rejected last day 1 bad_count (1 redriven)" in words
    assert "open rejected spans none" in words


def test_status_estimates_the_rows_of_large_tables(spanmeter: Run, dsn: str) -> None:
    """What a table of millions would take is told by PostgreSQL's own statistics, here as if it had them."""
    with psycopg.connect(dsn) as connection:
        connection.execute(_ROWS)
        connection.execute(_MILLIONS)
    status = json.loads(spanmeter("db", "status", "--format", "json", "--dsn", dsn).stdout)
    rows = {row["table"]: row["rows"] for row in status["rows"]}
    assert rows["usage_events"] == 5_000_000
    assert rows["adjustments"] == 0
    assert status["notes"] == ["Rows of tables with more than a million are PostgreSQL's estimate."]


def test_migrate_refuses_a_database_that_has_no_ledger(spanmeter: Run, empty_dsn: str) -> None:
    for command in ("migrate", "status"):
        refused = spanmeter("db", command, "--dsn", empty_dsn)
        assert refused.returncode == 1
        assert refused.stderr == (
            "Error: there is no ledger in this database: make one with `spanmeter db init`\n"
        )


def test_a_ledger_of_an_earlier_release_is_named_then_migrated(
    spanmeter: Run, empty_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    *earlier, last = schema.migrations()
    with monkeypatch.context() as before_the_last:
        before_the_last.setattr(schema, "migrations", lambda: earlier)
        schema.migrate(empty_dsn)
    status = spanmeter("db", "status", "--dsn", empty_dsn)
    assert f"pending migrations  {last.name}" in status.stdout
    outdated = spanmeter("report", "--dsn", empty_dsn)
    assert outdated.returncode == 1
    assert outdated.stderr == f"Error: the ledger lacks {last.name}: run `spanmeter db migrate`\n"
    migrated = spanmeter("db", "migrate", "--dsn", empty_dsn)
    assert migrated.stdout == f"applied {last.name}\nthe ledger is up to date\n"


_MILLIONS = """
WITH parts AS (
    SELECT coalesce(
        (SELECT array_agg(inhrelid) FROM pg_inherits WHERE inhparent = 'usage_events'::regclass),
        ARRAY['usage_events'::regclass::oid]
    ) AS oids
)
UPDATE pg_class SET reltuples = 5000000 / cardinality(oids) FROM parts WHERE oid = ANY (oids)
"""

_ROWS = """
INSERT INTO usage_events (
    time, trace_id, span_id, dimensions, provider, operation, byok, attempt, status, duration,
    cache_write_by_ttl, quantities, usage_source, billable_state, billable_reason, currency,
    cost_quality, dialect, scope_name, scope_version
)
SELECT
    now() - n * interval '1 second', decode(lpad(to_hex(n), 32, '0'), 'hex'), '\\x0100000000000000',
    '{}', 'openai', 'chat', false, 1, 'ok', '1 s', '{}', '{}', 'provider', 'billable', '', 'USD',
    'unpriced', '', '', ''
FROM generate_series(1, 1000) AS n
"""
