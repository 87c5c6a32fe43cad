"""Every query of the documentation runs, on every edition, and finds something."""

import re
from pathlib import Path

import psycopg
import pytest

PAGE = Path(__file__).parents[3] / "docs" / "query-your-ledger.md"
QUERIES: dict[str, bytes] = {
    title: query.encode()
    for title, query in re.findall(
        r"^## (.+?)$.*?^```sql\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL
    )
}


def test_the_page_has_its_queries() -> None:
    assert len(QUERIES) >= 10
    assert len(QUERIES) == PAGE.read_text().count("```sql")


@pytest.mark.parametrize("query", QUERIES.values(), ids=QUERIES)
def test_a_documented_query_finds_something(query: bytes, ledger: str) -> None:
    with psycopg.connect(ledger) as connection:
        rows = connection.execute(query).fetchall()
    assert rows
    assert any(value for value in rows[0])
