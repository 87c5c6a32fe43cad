"""Lago: batches that are refused with what they have, and sent again without it."""

from __future__ import annotations

from collections.abc import Generator
from decimal import Decimal

import pytest

from billing.lago import KEY, LagoServer
from billing.server import Fault, Reply, served
from booking import adjust
from exports_fixtures import START, Exports, book, ledger_totals, values

TARGET = """
[billing]
kind = "lago"
address = "{url}"
key_env = "LAGO_KEY"
since = {since}
wait = "0m"

[[billing.meters]]
name = "tokens"
measure = "input_tokens"
by = ["model"]

[[billing.meters]]
name = "{second}"
measure = "cost"
"""


pytestmark = pytest.mark.usefixtures("no_waiting")


@pytest.fixture
def server(exports: Exports, monkeypatch: pytest.MonkeyPatch) -> Generator[LagoServer]:
    monkeypatch.setenv("LAGO_KEY", KEY)
    found = LagoServer()
    with served(found):
        configure(exports, found)
        yield found


def configure(exports: Exports, server: LagoServer, second: str = "money") -> None:
    exports.configure(TARGET.format(url=server.url, since=f"{START:%Y-%m-%d}", second=second))


def assert_told(exports: Exports, server: LagoServer) -> None:
    assert values(server.totals(), "tokens") == ledger_totals(exports.dsn)
    assert values(server.totals(), "money") == ledger_totals(exports.dsn, "cost")
    assert "to the last digit" in exports("status").stdout


@pytest.mark.parametrize("fault", [Fault("after"), Fault("after", Reply(502)), Fault("before")])
def test_a_batch_without_an_answer_is_made_good(
    exports: Exports, server: LagoServer, fault: Fault
) -> None:
    server.faults.append(fault)

    exports.ran()

    assert_told(exports, server)


def test_what_lago_has_does_not_hold_up_the_rest(exports: Exports, server: LagoServer) -> None:
    server.faults.append(Fault("after"))
    server.faults.extend([Fault("before", Reply(500))] * 4)
    assert exports("run").exit_code == 1
    book(exports.dsn, "acme", 3, input_tokens=40)
    adjust(exports.dsn, time=START, input_tokens=-7, cost=Decimal("-0.1"))

    exports.ran()

    assert_told(exports, server)


def test_a_metric_that_lago_does_not_have_is_refused_and_the_others_are_taken(
    exports: Exports, server: LagoServer
) -> None:
    configure(exports, server, second="bogus")

    assert exports("run").exit_code == 1

    assert values(server.totals(), "tokens") == ledger_totals(exports.dsn)
    refused = exports.listed("show", "billing", "--state", "failed")["rows"]
    assert {row["meter"] for row in refused} == {"bogus"}
    assert all("billable_metric_not_found" in row["reason"] for row in refused)


def test_the_dimensions_of_a_meter_are_properties(exports: Exports, server: LagoServer) -> None:
    exports.ran()

    models = {each["properties"].get("model") for each in server.events.values()}
    assert models == {"gpt-5-2025-08-07", None}
