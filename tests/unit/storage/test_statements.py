"""The .sql files: statements by name, each with a sentence, none that nobody uses."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import spanmeter.storage
from spanmeter.storage import statements
from spanmeter.storage.migrations import migrations

(PACKAGE,) = map(Path, spanmeter.storage.__path__)
CHOSEN = {
    *("hour", "day", "insert_events", "insert_rejected", "commit_later", "commit_all"),
    *("own_links", "same_identity", "same_shared", "related_foreign", "related_booked"),
    *("by_span", "by_call", "by_response", "by_keys", "superseded"),
    *("drop_sealed", "drop_unsealed", "drop_rejected", "fit_chunks", "compress_old"),
    *("gaps", "uneven_reversals", "counting_duplicates"),
    *("period", "of_model", "of_bookings", "rows", "month", "hours", "unit", "clock"),
    *(
        "changed_windows",
        "changed_actions",
        "whole",
        "uncached",
        "in_windows",
        "in_states",
        "named",
        "of_target",
    ),
    *("used", "hourly", "by_model", "pattern", "by_tenant", "reported", "missing"),
}
"""Statements whose name is an argument."""
PUT_TOGETHER = {
    "day_of_hour": "_of_{",
    "unit_sum": "unit{suffix}",
    "quantity_sum": "quantity{suffix}",
}
"""Statements whose name is made of parts, and one of these."""
FILES = sorted(path.stem for path in (PACKAGE / "sql").glob("*.sql"))


def test_a_statement_is_what_stands_under_its_name() -> None:
    loaded = statements.load("schema")
    assert loaded["lock"].as_string() == "SELECT pg_advisory_lock(%s)"


@pytest.mark.parametrize("file", FILES)
def test_every_statement_has_a_sentence(file: str) -> None:
    text = (PACKAGE / "sql" / f"{file}.sql").read_text()
    headed = re.findall(r"^-- (\w+) --\n-- [A-Z].+", text, re.MULTILINE)
    assert headed == list(statements.load(file))


@pytest.mark.parametrize("file", FILES)
def test_every_statement_is_used(file: str) -> None:
    users = (PACKAGE, PACKAGE.parents[2] / "console")
    code = "".join(path.read_text() for root in users for path in root.rglob("*.py"))
    for name in statements.load(file):
        chosen = name in CHOSEN and f'"{name}"' in code
        assert f'["{name}"]' in code or chosen or PUT_TOGETHER.get(name, "\0") in code, name


def test_migrations_are_numbered_without_a_gap_and_say_why() -> None:
    names = [migration.name for migration in migrations()]
    assert [int(name[:4]) for name in names] == list(range(1, len(names) + 1))
    for migration in migrations():
        assert re.match(r"-- [A-Z].+\.\n", migration.text), migration.name
