"""What holds for every target: nothing is sent twice, nothing is lost, and what was told is what the ledger has."""

from __future__ import annotations

from collections.abc import Generator
from decimal import Decimal

import psycopg
import pytest

from billing.cloudevents import CloudEventsServer
from billing.server import Fault, Reply, When, served
from booking import adjust, query
from exports_fixtures import HOUR, START, Exports, book, fill, ledger_totals, values
from spanmeter.metering.costing import EXACT

TARGET = """
[billing]
kind = "cloudevents"
address = "{url}"
key_env = "BILLING_KEY"
since = {since}
wait = "0m"

[[billing.meters]]
name = "input"
measure = "input_tokens"

[[billing.meters]]
name = "money"
measure = "cost"
"""


@pytest.fixture
def receiver(exports: Exports) -> Generator[CloudEventsServer]:
    server = CloudEventsServer()
    with served(server):
        exports.configure(TARGET.format(url=server.url, since=f"{START:%Y-%m-%d}"))
        yield server


def assert_told(exports: Exports, receiver: CloudEventsServer) -> None:
    """The target has what the ledger has, exactly, and `status` says so."""
    assert values(receiver.totals(), "input") == ledger_totals(exports.dsn)
    assert values(receiver.totals(), "money") == ledger_totals(exports.dsn, "cost")
    for row in exports.status().values():
        assert row["ledger"] == EXACT.add(row["told"], row["unattributed"])
        assert row["value"] == row["told"]
    assert "to the last digit" in exports("status").stdout


def test_what_is_due_is_told_once_and_nothing_else(
    exports: Exports, receiver: CloudEventsServer
) -> None:
    assert exports.ran() == "billing: 12 planned, 12 confirmed, 0 refused, 0 open\n"
    assert exports.ran() == "billing: 0 planned, 0 confirmed, 0 refused, 0 open\n"

    assert_told(exports, receiver)
    assert len(receiver.requests) == 1
    assert set(exports.status()) == {"input", "money"}
    assert exports.status()["input"]["unattributed"] == 77


def test_sums_of_more_digits_than_python_keeps_are_told_exactly(
    exports: Exports, receiver: CloudEventsServer
) -> None:
    book(exports.dsn, "acme", 1, cost=Decimal("12345678901234567890.000000000000000000000001"))
    exports.ran()
    book(exports.dsn, "acme", 1, cost=Decimal("0.000000000000000000000003"))
    exports.ran()

    assert_told(exports, receiver)
    told = [Decimal(each["data"]["value"]) for each in receiver.events.values()]
    assert Decimal("0.000000000000000000000003") in told


def test_on_timescaledb_as_on_plain_postgresql(
    timescale_dsn: str, exports: Exports, receiver: CloudEventsServer
) -> None:
    fill(timescale_dsn)
    on_timescale = Exports(timescale_dsn, exports.file)

    on_timescale.ran()
    book(timescale_dsn, "acme", 0, input_tokens=50)
    on_timescale.ran()

    assert_told(on_timescale, receiver)


def test_what_comes_late_and_what_is_corrected_is_told_as_the_difference(
    exports: Exports, receiver: CloudEventsServer
) -> None:
    exports.ran()
    book(exports.dsn, "acme", 0, input_tokens=50)
    adjust(exports.dsn, time=START + HOUR, input_tokens=-300, cost=Decimal("-0.000000000000000001"))

    assert exports.ran().startswith("billing: 4 planned, 4 confirmed")

    assert_told(exports, receiver)
    told = sorted(Decimal(each["data"]["value"]) for each in receiver.events.values())
    assert told[0] == -300


def test_usage_without_a_customer_is_named_and_told_once_there_is_one(
    exports: Exports, receiver: CloudEventsServer
) -> None:
    with_one = exports.file.read_text().replace(
        'wait = "0m"', 'wait = "0m"\ncustomers = { acme = "c-1" }'
    )
    exports.configure(with_one)
    exports.ran()

    assert exports.status()["input"]["no_customer"] == ledger_totals(exports.dsn)["globex"]

    exports.configure(with_one.replace('"c-1"', '"c-1", globex = "c-2"'))
    exports.ran()
    assert values(receiver.totals(), "input") == {
        "c-1": ledger_totals(exports.dsn)["acme"],
        "c-2": ledger_totals(exports.dsn)["globex"],
    }
    assert exports.status()["input"]["no_customer"] == 0


TAKEN_BUT = [
    Fault("after"),
    Fault("after", Reply(500)),
    Fault("after", Reply(504, {"message": "too long"})),
]
NOT_TAKEN = [
    Fault("before"),
    Fault("before", Reply(429, headers={"retry-after": "0"})),
    Fault("before", Reply(503, headers={"retry-after": "0"})),
    Fault("before", Reply(409)),
    Fault("before", Reply(500)),
]


@pytest.mark.usefixtures("no_waiting")
@pytest.mark.parametrize("fault", [*TAKEN_BUT, *NOT_TAKEN], ids=str)
def test_a_fault_of_the_network_or_the_target_is_made_good(
    exports: Exports,
    receiver: CloudEventsServer,
    fault: Fault,
) -> None:
    receiver.faults.append(fault)

    exports.ran()

    assert_told(exports, receiver)
    assert receiver.duplicates == (12 if fault in TAKEN_BUT else 0)


def test_what_is_refused_waits_for_somebody_and_is_then_told(
    exports: Exports, receiver: CloudEventsServer
) -> None:
    receiver.faults.append(Fault("before", Reply(422, {"message": "no such meter"})))
    assert exports("run").exit_code == 1
    assert exports("run").exit_code == 0
    assert receiver.events == {}
    refused = exports.listed("show", "billing", "--state", "failed")["rows"]
    assert {row["reason"] for row in refused} == {"status 422: no such meter"}

    assert exports("retry", "billing").stdout == "12 to be planned anew\n"
    exports.ran()

    assert_told(exports, receiver)


def test_a_key_that_is_refused_or_missing_leaves_all_as_it_was(
    exports: Exports, receiver: CloudEventsServer
) -> None:
    text = exports.file.read_text()
    exports.configure(text.replace("BILLING_KEY", "NO_SUCH_KEY"))
    assert "NO_SUCH_KEY does not hold a key" in exports("run").output
    exports.configure(text.replace("BILLING_KEY", "SPANMETER_EXPORTS"))
    done = exports("run")
    assert "refuses the key: status 401" in done.output
    assert str(exports.file) not in done.output
    assert set(exports.states()) == {"pending"}

    exports.configure(text)
    exports.ran()
    assert_told(exports, receiver)


# What a run is killed at: the statement that it waits in, and what it then is about to do.
STEPS = {
    "planning": "INSERT ON export_intents FOR EACH ROW",
    "about to send": "UPDATE ON export_intents FOR EACH ROW WHEN (NEW.state = 'sent')",
    "taken": "UPDATE ON export_intents FOR EACH ROW WHEN (NEW.state = 'confirmed')",
    "planned": "INSERT OR UPDATE ON export_targets FOR EACH ROW",
}


@pytest.mark.parametrize("step", STEPS)
def test_a_run_that_is_killed_at_any_step_is_gone_on_with(
    exports: Exports, receiver: CloudEventsServer, step: str
) -> None:
    exports.run_killed_at(STEPS[step])
    already = len(receiver.events)
    assert bool(already) == (step == "taken")

    exports.ran()

    assert_told(exports, receiver)
    assert receiver.duplicates == already
    assert set(exports.states()) == {"confirmed"}


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_run_that_is_killed_while_the_target_answers_is_gone_on_with(
    exports: Exports, receiver: CloudEventsServer, when: When
) -> None:
    exports.run_killed_by(receiver, when)
    assert set(exports.states()) == {"sent"}

    exports.ran()

    assert_told(exports, receiver)


def test_two_runs_at_once_do_not_send_the_same(
    exports: Exports, receiver: CloudEventsServer
) -> None:
    with psycopg.connect(exports.dsn, autocommit=True) as other:
        other.execute(
            "SELECT pg_advisory_lock(hashtextextended('spanmeter export ' || 'billing', 0))"
        )
        done = exports("run")
    assert done.stdout == "billing: another one is exporting\n"
    assert done.exit_code == 1
    exports.ran()
    assert_told(exports, receiver)


@pytest.mark.usefixtures("no_waiting")
def test_what_was_kept_to_be_sent_cannot_be_changed(
    exports: Exports, receiver: CloudEventsServer
) -> None:
    receiver.faults.extend([Fault("before", Reply(500))] * 5)
    exports("run")
    for change in ("payload = '{}'", "value = 0", "tenant_id = 'other'"):
        with pytest.raises(psycopg.errors.RestrictViolation):
            query(exports.dsn, f"UPDATE export_intents SET {change}")  # noqa: S608
    with pytest.raises(psycopg.errors.RestrictViolation):
        query(exports.dsn, "DELETE FROM export_intents")
