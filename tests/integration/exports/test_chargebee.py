"""Chargebee: one usage for each day, deleted and added again to be corrected."""

from __future__ import annotations

from collections.abc import Generator
from datetime import timedelta

import pytest

from billing.chargebee import KEY, ChargebeeServer
from billing.server import Fault, Reply, When, served
from booking import adjust
from exports_fixtures import START, Exports, book

TARGET = """
[billing]
kind = "chargebee"
site = "acme-test"
address = "{url}"
key_env = "CHARGEBEE_KEY"
since = {since}
wait = "0m"
customers = {{ acme = "sub-acme", globex = "sub-globex" }}

[[billing.meters]]
name = "tokens-USD"
measure = "input_tokens"
"""

DAYS = -48
"""Hours: the day before yesterday, which is over whatever time it is."""


pytestmark = pytest.mark.usefixtures("no_waiting")


@pytest.fixture
def server(exports: Exports, monkeypatch: pytest.MonkeyPatch) -> Generator[ChargebeeServer]:
    monkeypatch.setenv("CHARGEBEE_KEY", KEY)
    for hour in (DAYS, DAYS - 24):
        book(exports.dsn, "acme", hour, input_tokens=1000)
        book(exports.dsn, "globex", hour, input_tokens=2000)
    found = ChargebeeServer()
    with served(found):
        since = f"{START - timedelta(days=7):%Y-%m-%d}"
        exports.configure(TARGET.format(url=found.url, since=since))
        yield found


def assert_told(exports: Exports, server: ChargebeeServer) -> None:
    """All days that are over: what is left of the ledger is today's."""
    status = exports.status()["tokens-USD"]
    assert sum(server.totals().values()) == status["told"]
    assert status["ledger"] == status["told"] + status["unattributed"]
    assert status["told"] >= 5600
    assert "to the last digit" in exports("status").stdout


FAULTS = [Fault("after"), Fault("after", Reply(500)), Fault("before"), Fault("before", Reply(429))]


@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_a_fault_is_made_good(exports: Exports, server: ChargebeeServer, fault: Fault) -> None:
    server.faults.append(fault)

    exports.ran()

    assert_told(exports, server)


@pytest.mark.parametrize("fault", [None, *FAULTS], ids=str)
@pytest.mark.parametrize("tokens", [-400, 25])
def test_a_day_is_deleted_and_added_again_to_be_corrected(
    exports: Exports, server: ChargebeeServer, tokens: int, fault: Fault | None
) -> None:
    exports.ran()
    adjust(exports.dsn, time=START + timedelta(hours=DAYS), input_tokens=tokens)
    server.faults.append(fault)

    exports.ran()

    assert_told(exports, server)
    assert server.deleted == 1


@pytest.mark.parametrize("request_number", [0, 1])
@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_between_deleting_and_adding_nothing_is_lost(
    exports: Exports, server: ChargebeeServer, request_number: int, when: When
) -> None:
    exports.ran()
    adjust(exports.dsn, time=START + timedelta(hours=DAYS), input_tokens=-400)
    exports.run_killed_by(server, when, after=request_number)

    exports.ran()

    assert_told(exports, server)


def test_killed_before_what_was_deleted_is_planned_anew_nothing_is_lost(
    exports: Exports, server: ChargebeeServer
) -> None:
    exports.ran()
    adjust(exports.dsn, time=START + timedelta(hours=DAYS), input_tokens=-400)
    exports.run_killed_at("INSERT ON export_intents FOR EACH ROW WHEN (NEW.kind = 'usage')")
    assert server.deleted == 1

    exports.ran()

    assert_told(exports, server)


def test_meters_by_dimensions_are_refused(exports: Exports, server: ChargebeeServer) -> None:
    exports.configure(exports.file.read_text() + 'by = ["model"]')

    done = exports("run")

    assert done.exit_code == 1
    assert "its meters can be by nothing" in done.output
    assert server.requests == []


def test_a_usage_that_somebody_else_added_is_not_taken_for_ours(
    exports: Exports, server: ChargebeeServer
) -> None:
    exports.ran()
    (ours, *_) = server.usages
    theirs = {**server.usages.pop(ours), "id": "theirs"}
    server.usages["theirs"] = theirs
    adjust(exports.dsn, time=START + timedelta(hours=DAYS), input_tokens=25)
    adjust(exports.dsn, time=START + timedelta(hours=DAYS - 24), input_tokens=25)

    done = exports("run")

    assert done.exit_code == 1
    assert server.usages["theirs"] == theirs
