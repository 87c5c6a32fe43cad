"""The dashboard for Grafana: every panel's and every variable's SQL runs, as the role it is meant for, and is true."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.rows import DictRow, dict_row

from booking import NOON, event, metered, query
from spanmeter.storage.ledger import LedgerWriter
from spanmeter.storage.rollups import fold

DASHBOARD = json.loads(
    (
        Path(__file__).parents[3] / "examples/deployment/grafana/dashboards/spanmeter.json"
    ).read_text()
)
PANELS: dict[str, dict[str, Any]] = {
    each["title"]: each for each in DASHBOARD["panels"] if each["type"] != "row"
}
VARIABLES = {each["name"]: each["query"] for each in DASHBOARD["templating"]["list"]}
FROM, TO = f"{NOON:%Y-%m-%d}T00:00:00Z", f"{NOON:%Y-%m-%d}T23:59:59Z"


def expanded(sql: str, values: Mapping[str, list[str]]) -> str:
    """The SQL as Grafana's data source for PostgreSQL sends it."""
    sql = re.sub(r"\$__timeFilter\((\w+)\)", rf"\1 BETWEEN '{FROM}' AND '{TO}'", sql)
    sql = sql.replace("$__timeFrom()", f"'{FROM}'").replace("$__timeTo()", f"'{TO}'")
    sql = re.sub(
        r"\$__timeGroupAlias\((\w+), \$__interval\)",
        r"""floor(extract(epoch from \1)/300)*300 AS "time" """,
        sql,
    )
    (currency,) = values["currency"]
    sql = sql.replace("$currency", currency)
    sql = sql.replace("$tenant", ",".join(f"'{each}'" for each in values["tenant"]))
    assert "$" not in sql
    return sql


@pytest.fixture
def asked(dsn: str) -> psycopg.Connection[DictRow]:
    """A reader of a ledger with two tenants, two models and a call of nobody's, one failed and one unpriced."""
    with LedgerWriter(dsn) as writer:
        writer.write(
            metered(
                event(tenant_id="acme", feature="chat", cost=Decimal("0.25")),
                event(tenant_id="acme", feature="chat", cost=Decimal("0.50"), status="error"),
                event(tenant_id="o'hara", feature=None, cost=Decimal("1.25")),
                event(tenant_id=None, callsite="app.py:7", cost=Decimal("2.00")),
            )
        )
    with psycopg.connect(dsn) as folding:
        fold(folding)
    connection = psycopg.Connection[DictRow].connect(dsn, row_factory=dict_row, autocommit=True)
    connection.execute("SET ROLE spanmeter_reader")
    return connection


def values_of(asked: psycopg.Connection[DictRow]) -> dict[str, list[str]]:
    """What Grafana offers for each variable, quoted as it quotes."""
    return {
        name: [str(*row.values()).replace("'", "''") for row in asked.execute(sql.encode())]
        for name, sql in VARIABLES.items()
    }


def answer(asked: psycopg.Connection[DictRow], title: str) -> list[DictRow]:
    (target,) = PANELS[title]["targets"]
    return asked.execute(expanded(target["rawSql"], values_of(asked)).encode()).fetchall()


@pytest.mark.parametrize("title", PANELS)
def test_a_panel_has_an_answer_of_the_form_that_it_shows(
    asked: psycopg.Connection[DictRow], title: str
) -> None:
    with asked:
        rows = answer(asked, title)
        (target,) = PANELS[title]["targets"]
        if target["format"] == "time_series":
            assert all({"time", "metric"} < row.keys() for row in rows)
        named = [each["matcher"]["options"] for each in PANELS[title]["fieldConfig"]["overrides"]]
        assert all(name in row for name in named for row in rows)


def test_what_the_panels_show_is_in_the_ledger(asked: psycopg.Connection[DictRow]) -> None:
    with asked:
        total = Decimal("4.00")
        assert answer(asked, "Cost") == [{"cost": total}]
        assert answer(asked, "Requests") == [{"requests": 4}]
        assert answer(asked, "Cost of requests without a tenant") == [{"share": Decimal("0.5")}]
        for title in ("Cost by feature and day", "Cost by model and day"):
            assert sum(row["cost"] for row in answer(asked, title)) == total
        assert [(row["tenant"], row["cost"]) for row in answer(asked, "Tenants by cost")] == [
            ("(none)", Decimal("2.00")),
            ("o'hara", Decimal("1.25")),
            ("acme", Decimal("0.75")),
        ]
        (place,) = answer(asked, "Calls without a tenant, by place in your code")
        assert (place["callsite"], place["cost"]) == ("app.py:7", Decimal("2.00"))
        (failed,) = answer(asked, "Failed requests by model")
        assert failed["failed"] == 1


def test_all_panels_and_the_provisioned_data_source_are_one(dsn: str) -> None:
    assert query(dsn, "SELECT 1") == [(1,)]
    provisioned = (
        Path(__file__).parents[3]
        / "examples/deployment/grafana/provisioning/datasources/spanmeter.yaml"
    ).read_text()
    for panel in PANELS.values():
        assert f"uid: {panel['datasource']['uid']}\n" in provisioned
        assert f"type: {panel['datasource']['type']}\n" in provisioned
