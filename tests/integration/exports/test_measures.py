"""What can be measured: actions that count once, units of any kind, and tokens by kind."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator
from decimal import Decimal
from itertools import chain
from typing import Any

import pytest

from billing.cloudevents import CloudEventsServer
from billing.server import served
from exports_fixtures import HOUR, START, Exports, book, values
from spanmeter.storage.connection import connect
from spanmeter.storage.grants import Refund, refund_action
from spanmeter.storage.plans import assign, set_plan
from spanmeter.storage.tenant_statements import Statements

HEAD = """
[billing]
kind = "cloudevents"
address = "{url}"
key_env = "BILLING_KEY"
since = {since}
wait = "0m"
"""

METER = """
[[billing.meters]]
name = "{0}"
measure = "{0}"
where = {{ feature = "measured", billable_state = "any" }}
"""

MEASURES = ("actions", "unit:images", "uncached_input_tokens", "tokens")


@pytest.fixture
def receiver(exports: Exports) -> Generator[CloudEventsServer]:
    server = CloudEventsServer()
    with served(server):
        head = HEAD.format(url=server.url, since=f"{START:%Y-%m-%d}")
        exports.configure(head + "".join(map(METER.format, MEASURES)))
        yield server


def by_hour(receiver: CloudEventsServer) -> dict[str, Decimal]:
    """Actions, by the start of the hour."""
    found: dict[str, Decimal] = {}
    for each in receiver.events.values():
        if each["type"] == "actions":
            found[each["time"]] = found.get(each["time"], Decimal()) + Decimal(
                each["data"]["value"]
            )
    return {time: value for time, value in found.items() if value}


def hour(number: int) -> str:
    return f"{START.replace(hour=(START.hour + number) % 24):%H}"


def test_an_action_counts_once_in_the_hour_of_its_first_success(
    exports: Exports, receiver: CloudEventsServer
) -> None:
    report = {"feature": "measured", "action": "report"}
    book(exports.dsn, "acme", 0, **report, idempotency_key="1", status="error", error_type="500")
    book(exports.dsn, "acme", 1, **report, idempotency_key="1")
    book(exports.dsn, "acme", 2, **report, idempotency_key="1")
    book(exports.dsn, "acme", 2, **report, idempotency_key="2")
    book(exports.dsn, "acme", 2, **report)
    exports.ran()

    assert [value for _, value in sorted(by_hour(receiver).items())] == [1, 2]
    assert exports.status()["actions"]["ledger"] == exports.status()["actions"]["told"] == 3

    book(exports.dsn, "acme", 0, **report, idempotency_key="1")
    exports.ran()

    assert [value for _, value in sorted(by_hour(receiver).items())] == [1, 2]
    assert min(by_hour(receiver))[11:13] == hour(0)
    assert exports.status()["actions"]["ledger"] == exports.status()["actions"]["told"] == 3
    assert "to the last digit" in exports("status").stdout


def test_units_and_tokens_are_summed_as_they_are_named(
    exports: Exports, receiver: CloudEventsServer
) -> None:
    tokens = {"input_tokens": 1000, "cache_read_input_tokens": 300, "output_tokens": 50}
    for _ in range(2):
        book(
            exports.dsn,
            "acme",
            0,
            feature="measured",
            quantities={"images": Decimal("1.25")},
            **tokens,
        )

    exports.ran()

    totals = receiver.totals()
    assert values(totals, "unit:images") == {"acme": Decimal("2.5")}
    assert values(totals, "uncached_input_tokens") == {"acme": 1400}
    assert values(totals, "tokens") == {"acme": 2100}
    assert "to the last digit" in exports("status").stdout


def test_an_action_that_is_refunded_is_told_no_more(
    exports: Exports, receiver: CloudEventsServer
) -> None:
    report = {"feature": "measured", "action": "report"}
    book(exports.dsn, "acme", 0, **report, idempotency_key="1")
    book(exports.dsn, "acme", 1, **report, idempotency_key="2")
    book(exports.dsn, "acme", 1, **report, trace_id=bytes(range(16)))
    exports.ran()
    assert sum(by_hour(receiver).values()) == 3

    refund(exports.dsn, "report", "1")
    exports.ran()
    assert list(by_hour(receiver).values()) == [2]
    assert "to the last digit" in exports("status").stdout

    # The same key since then is another action.
    book(exports.dsn, "acme", 2, **report, idempotency_key="1")
    exports.ran()
    assert [value for _, value in sorted(by_hour(receiver).items())] == [2, 1]
    assert exports.status()["actions"]["ledger"] == exports.status()["actions"]["told"] == 3


PLAN = """
plan = "pro"
currency = "USD"

[[charge]]
name = "reports"
action = "report"
price = 0.50

[[charge]]
name = "tokens"
unit = "tokens"
price = "3/1M"
when = { feature = "measured" }
"""


def test_totals_are_those_of_the_statement(exports: Exports, receiver: CloudEventsServer) -> None:
    report = {"feature": "measured", "action": "report"}
    for number in range(4):
        book(exports.dsn, "acme", number % 3, **report, idempotency_key=str(number % 3))
        book(exports.dsn, "acme", number % 3, feature="measured", input_tokens=10_000 + number)
    refund(exports.dsn, "report", "1")
    with connect(exports.dsn) as connection:
        set_plan(connection, PLAN, START - 400 * HOUR * 24, "test")
        assign(connection, "acme", "pro", START - 400 * HOUR * 24, "test")
        with connection.transaction():
            months = {each.date().replace(day=1) for each in (START, START + 2 * HOUR)}
            said = [Statements(connection).of("acme", month) for month in sorted(months)]
    exports.ran()
    quantities: Counter[str] = Counter()
    for line in chain.from_iterable(each.lines for each in said):
        quantities[line.name] += int(line.quantity or 0)
    told = receiver.totals()
    # 0, 1 and 2 succeeded, however often each was tried; 1 was taken back.
    assert values(told, "actions") == {"acme": quantities["reports"]} == {"acme": 2}
    # The calls of actions with a price, of 1050 tokens each, are charged by that alone.
    of_actions = 4 * 1050
    assert values(told, "tokens")["acme"] - of_actions == quantities["tokens"] == 4 * 10_050 + 6


def refund(dsn: str, action: str, key: str) -> None:
    """Takes an action of acme's back, as of the third hour."""
    with connect(dsn) as connection:
        moment = START + 2 * HOUR
        told: dict[str, Any] = {
            "tenant_id": "acme",
            "action": action,
            "key": key,
            "refunded_at": moment,
        }
        refund_action(connection, Refund(**told, reason="it was wrong"), "test")
