"""Stripe: whole numbers, once, within its windows; what it cannot take is named."""

from __future__ import annotations

from collections.abc import Generator
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
import stripe
from stripe import StripeClient

from billing.server import Fault, Reply, When, served
from billing.stripe import KEY, StripeServer
from booking import adjust, query
from exports_fixtures import HOUR, START, Exports, book, ledger_totals

TARGET = """
[billing]
kind = "stripe"
api = "{api}"
address = "{url}"
key_env = "STRIPE_KEY"
since = {since}
wait = "0m"
late = "{late}"
customers = {{ acme = "cus_acme", globex = "cus_globex" }}

[[billing.meters]]
name = "llm_tokens"
measure = "{measure}"
scale = {scale}
"""

APIS = ("v1", "v2")
CUSTOMERS = {"cus_acme": "acme", "cus_globex": "globex"}


@pytest.fixture(params=APIS)
def api(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Generator[StripeServer]:
    monkeypatch.setenv("STRIPE_KEY", KEY)
    found = StripeServer()
    with served(found):
        yield found


def configure(exports: Exports, server: StripeServer, **told: str) -> None:
    defaults = {"api": "v1", "measure": "tokens", "scale": "1", "late": "list"}
    since = f"{START - timedelta(days=60):%Y-%m-%d}"
    exports.configure(TARGET.format(**{**defaults, "url": server.url, "since": since, **told}))


def tokens(exports: Exports) -> dict[str, Decimal]:
    told = ledger_totals(exports.dsn, "coalesce(input_tokens, 0) + coalesce(output_tokens, 0)")
    return {customer: told[tenant] for customer, tenant in CUSTOMERS.items()}


def test_each_hour_is_one_event_and_adds_up(
    exports: Exports, server: StripeServer, api: str
) -> None:
    configure(exports, server, api=api)

    exports.ran()
    exports.ran()

    assert server.totals() == tokens(exports)
    assert len(server.events) == 6
    assert len(server.requests) == (6 if api == "v1" else 2)
    assert "to the last digit" in exports("status").stdout


@pytest.mark.usefixtures("no_waiting")
def test_a_limit_that_is_met_again_and_again_is_kept_to(
    exports: Exports, server: StripeServer
) -> None:
    """Each event is taken at its second try: that is more tries than a run makes without any success."""
    configure(exports, server)
    limited = Fault("before", Reply(429, {"error": {"message": "Too many requests"}}))
    server.faults.extend([limited, None] * 6)

    exports.ran()

    assert server.totals() == tokens(exports)
    assert len(server.requests) == 12


@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_while_stripe_answers_it_is_told_once(
    exports: Exports, server: StripeServer, api: str, when: When
) -> None:
    configure(exports, server, api=api)
    exports.run_killed_by(server, when, after=2 if api == "v1" else 1)

    exports.ran()

    assert server.totals() == tokens(exports)
    # v1 says of a duplicate that it is one; v2 drops it without a word.
    assert server.duplicates == (0 if when == "before" else 1 if api == "v1" else 6)


def test_the_part_of_a_whole_number_goes_along_with_the_next(
    exports: Exports, server: StripeServer
) -> None:
    """0.0015 three times and 0.0007 three times, in thousandths."""
    configure(exports, server, measure="cost", scale="1000")

    exports.ran()

    assert server.totals() == {"cus_acme": 4, "cus_globex": 2}
    status = exports.status()["llm_tokens"]
    assert status["told"] == sum(ledger_totals(exports.dsn, "cost").values())
    assert status["value"] + status["remainder"] == status["told"] * 1000
    book(exports.dsn, "acme", 3, cost=Decimal("0.0005"))
    exports.ran()
    assert server.totals()["cus_acme"] == 5


def test_more_is_added_and_less_is_cancelled_and_told_anew(
    exports: Exports, server: StripeServer, api: str
) -> None:
    configure(exports, server, api=api)
    exports.ran()
    book(exports.dsn, "acme", 0, input_tokens=5)
    exports.ran()
    adjust(exports.dsn, time=START, input_tokens=-400)

    exports.ran()

    assert server.totals() == tokens(exports)
    assert sum(each.cancelled for each in server.events) == 2
    assert "to the last digit" in exports("status").stdout


@pytest.mark.usefixtures("no_waiting")
def test_a_cancellation_that_stripe_took_without_an_answer_is_made_good(
    exports: Exports, server: StripeServer
) -> None:
    configure(exports, server)
    exports.ran()
    adjust(exports.dsn, time=START, input_tokens=-400)
    server.faults.append(Fault("after", Reply(500)))

    exports.ran()

    assert server.totals() == tokens(exports)


def age(exports: Exports, hours: int) -> None:
    """Make it that long ago that all was sent."""
    query(exports.dsn, "ALTER TABLE export_intents DISABLE TRIGGER unchanged")
    query(
        exports.dsn,
        "UPDATE export_intents SET first_sent_at = first_sent_at - %s",
        timedelta(hours=hours),
    )
    query(exports.dsn, "ALTER TABLE export_intents ENABLE TRIGGER unchanged")


def test_less_after_24_hours_is_listed_with_the_reason(
    exports: Exports, server: StripeServer
) -> None:
    configure(exports, server)
    exports.ran()
    before = server.totals()
    age(exports, 25)
    adjust(exports.dsn, time=START, input_tokens=-400)

    exports.ran()

    assert server.totals() == before
    (listed,) = exports.listed("show", "billing", "--state", "not_exportable")["rows"]
    assert (listed["tenant_id"], listed["quantity"]) == ("acme", "-400")
    assert "24 hours" in listed["reason"]
    assert exports.status()["llm_tokens"]["not_exportable"] == -400
    assert "not exportable" in exports("status").stdout


def test_less_after_24_hours_is_taken_off_the_next_hours_where_that_is_wanted(
    exports: Exports, server: StripeServer
) -> None:
    configure(exports, server, late="carry")
    exports.ran()
    age(exports, 25)
    adjust(exports.dsn, time=START, input_tokens=-1500)
    exports.ran()
    book(exports.dsn, "acme", 3, input_tokens=1000, output_tokens=0, reasoning_output_tokens=0)
    book(exports.dsn, "acme", 4, input_tokens=1000, output_tokens=0, reasoning_output_tokens=0)

    exports.ran()

    assert server.totals() == tokens(exports)


def test_what_is_older_than_35_days_is_listed(exports: Exports, server: StripeServer) -> None:
    configure(exports, server)
    book(exports.dsn, "acme", -24 * 40, input_tokens=123)

    exports.ran()

    (listed,) = exports.listed("show", "billing", "--state", "not_exportable")["rows"]
    assert listed["quantity"] == "173"
    assert "35 days" in listed["reason"]
    assert all(each.time > datetime.now(UTC) - timedelta(days=35) for each in server.events)


@pytest.mark.parametrize("taken", [True, False])
def test_what_is_not_known_after_24_hours_is_looked_for(
    exports: Exports, server: StripeServer, *, taken: bool
) -> None:
    configure(exports, server)
    exports.run_killed_by(server, "after" if taken else "before")
    age(exports, 30)
    server.offset = timedelta(hours=30).total_seconds()

    exports.ran()

    assert server.totals() == tokens(exports)
    assert server.duplicates == 0


def test_a_customer_whom_stripe_does_not_know_is_refused_and_can_be_mended(
    exports: Exports, server: StripeServer
) -> None:
    configure(exports, server)
    right = exports.file.read_text()
    exports.configure(right.replace("cus_globex", "cus_nobody"))
    assert exports("run").exit_code == 1
    assert exports.states().count("failed") == 3
    assert exports.status()["llm_tokens"]["refused"] == tokens(exports)["cus_globex"]

    exports.configure(right)
    exports("retry", "billing")
    exports.ran()

    assert server.totals() == tokens(exports)


def test_stripes_own_client_is_answered_as_it_expects(server: StripeServer) -> None:
    """What enforces Stripe's rules here speaks Stripe's wire."""
    client = StripeClient(
        KEY, base_addresses={"api": server.url, "meter_events": server.url}, max_network_retries=0
    )
    event = {
        "event_name": "llm_tokens",
        "identifier": "one",
        "timestamp": int(START.timestamp()),
        "payload": {"stripe_customer_id": "cus_acme", "value": "3"},
    }
    made = client.v1.billing.meter_events.create(event)  # type: ignore[arg-type]
    assert made.identifier == "one"
    with pytest.raises(stripe.InvalidRequestError, match="already exists with identifier"):
        client.v1.billing.meter_events.create(event)  # type: ignore[arg-type]
    found = client.v1.billing.meters.event_summaries.list(
        "mtr_1",
        {
            "customer": "cus_acme",
            "start_time": int(START.timestamp()),
            "end_time": int((START + HOUR).timestamp()),
        },
    )
    assert [each.aggregated_value for each in found.data] == [3]
