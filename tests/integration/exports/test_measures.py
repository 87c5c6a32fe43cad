"""What can be measured: actions that count once, units of any kind, and tokens by kind."""

from __future__ import annotations

from collections.abc import Generator
from decimal import Decimal

import pytest

from billing.cloudevents import CloudEventsServer
from billing.server import served
from exports_fixtures import START, Exports, book, values

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
