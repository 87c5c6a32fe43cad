"""Rate cards in the database: recorded once, approved by name, never changed, read as of any moment."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from booking import query
from card_rates import override
from spanmeter.metering.card_rate import CATALOGUE_CARD, ORGANISATION_CARD, CardRate
from spanmeter.metering.installed_catalogue import installed_catalogue, installed_version
from spanmeter.metering.rates import Rates
from spanmeter.storage import rates as cards
from spanmeter.storage.connection import Connection, connect
from spanmeter.storage.migrations import migrate
from spanmeter.storage.rates import AlreadyRecorded, CardVersion, Opinion

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
PINNED = Rates.pinned()
CHANGES = ("UPDATE {} SET {} = 'other'", "DELETE FROM {}", "TRUNCATE {} CASCADE")


@pytest.fixture
def connection(dsn: str) -> Iterator[Connection]:
    with closing(connect(dsn)) as opened:
        yield opened


def record(connection: Connection, *rates: CardRate, complete: bool = False) -> CardVersion:
    """Record the rates as a version of their card, which they share."""
    first = rates[0]
    version = CardVersion(
        card=first.card,
        version=first.version,
        scope=first.scope,
        tenant_id=first.tenant_id,
        recorded_by="tester",
        source="a test",
        complete=complete,
    )
    cards.record(connection, version, rates)
    return version


def test_a_new_ledger_has_the_installed_catalogue_approved(connection: Connection) -> None:
    book = cards.read_book(connection)
    assert len(book) == len(installed_catalogue().rates)
    read = {rate.name: rate for rate in book.in_force()}
    for rate in installed_catalogue().rates:
        assert read[rate.name] == rate, rate.name
    assert not cards.record_installed(connection)


def test_the_rates_that_are_read_are_those_of_the_installed_catalogue(
    connection: Connection,
) -> None:
    rates = cards.read_book(connection).rates()
    for provider, model, tier in (
        ("openai", "o3", None),
        ("openai", "gpt-4o-mini", "batch"),
        ("azure.ai.openai", "gpt-4o-mini", "batch"),
        ("deepseek", "deepseek-chat", None),
        ("gcp.gemini", "claude-sonnet-4-5", None),
    ):
        found = rates.find(provider, model, tier, NOW)
        assert found is not None
        assert found == PINNED.find(provider, model, tier, NOW)


def test_migrating_again_records_nothing(dsn: str) -> None:
    before = query(dsn, "SELECT count(*) FROM rates")
    assert migrate(dsn) == []
    assert query(dsn, "SELECT count(*) FROM rates") == before
    assert query(dsn, "SELECT card, version, complete FROM rate_card_versions") == [
        (CATALOGUE_CARD, installed_version(), True)
    ]


def test_what_is_recorded_waits_for_its_approval(connection: Connection) -> None:
    record(connection, override(input_tokens="1/1M"))
    assert [
        rate for rate in cards.read_book(connection).in_force() if rate.scope != "catalogue"
    ] == []
    (waiting,) = cards.pending(connection)
    state = cards.read_state(connection)
    assert cards.approve(connection, [waiting], "tester") == 1
    assert cards.approve(connection, [waiting], "tester") == 0
    assert cards.pending(connection) == []
    assert cards.read_state(connection) != state
    found = cards.read_book(connection).rates().find("openai", "gpt-4o-mini", None, NOW)
    assert found is not None
    assert found.rate_version == "organisation/1#openai/gpt-4o-mini"


def test_a_version_is_recorded_once(connection: Connection) -> None:
    record(connection, override(input_tokens="1/1M"))
    with pytest.raises(AlreadyRecorded, match="organisation 1 is recorded already"):
        record(connection, override(input_tokens="2/1M"))
    assert cards.next_version(connection, ORGANISATION_CARD) == "2"


def test_a_row_keeps_the_rate_that_priced_it_whatever_comes_later(connection: Connection) -> None:
    for version, price in (("1", "1/1M"), ("2", "2/1M")):
        record(connection, override(version=version, input_tokens=price))
        cards.approve(connection, cards.pending(connection), "tester")
    record(connection, replace(override(version="3"), withdrawn=True))
    cards.approve(connection, cards.pending(connection), "tester")
    rates = cards.read_book(connection).rates()
    for version in ("1", "2"):
        named = rates.rate_named(f"organisation/{version}#openai/gpt-4o-mini")
        assert named.units[0].price == Decimal(version)
    found = rates.find("openai", "gpt-4o-mini", None, NOW)
    assert found is not None
    assert found.rate_version.startswith(CATALOGUE_CARD)


def test_the_book_knows_what_was_in_force_at_any_moment(connection: Connection) -> None:
    record(connection, override(input_tokens="1/1M"))
    before = datetime.now(UTC) - timedelta(hours=1)
    cards.approve(connection, cards.pending(connection), "tester")
    book = cards.read_book(connection)
    approved_at = cards.read_state(connection).last_at
    assert approved_at is not None
    assert book.rates(before).find("openai", "gpt-4o-mini", None, NOW) is None
    just_before = book.rates(approved_at - timedelta(microseconds=1))
    catalogue = just_before.find("openai", "gpt-4o-mini", None, NOW)
    own = book.rates(approved_at).find("openai", "gpt-4o-mini", None, NOW)
    assert catalogue is not None
    assert own is not None
    assert (catalogue.rate_version, own.rate_version) == (
        f"{CATALOGUE_CARD}/{installed_version()}#openai/gpt-4o-mini",
        "organisation/1#openai/gpt-4o-mini",
    )


def test_a_later_version_of_the_whole_card_overtakes_what_waits(connection: Connection) -> None:
    catalogue = override(card=CATALOGUE_CARD, version="9.1", input_tokens="1/1M")
    record(connection, catalogue, complete=True)
    later = replace(catalogue, version="9.2", model="other", matches={"equals": "other"})
    record(connection, later, complete=True)
    assert [each.rate.model for each in cards.pending(connection)] == ["other"]


def test_the_last_opinion_counts(connection: Connection) -> None:
    record(connection, override(input_tokens="1/1M"))
    (waiting,) = cards.pending(connection)
    assert waiting.opinion is None
    for agrees in (True, False):
        opinion = Opinion(agrees, {} if agrees else {"input_tokens": "2"}, source="second.json")
        cards.give_opinions(connection, {waiting.rate_id: opinion})
    (waiting,) = cards.pending(connection)
    assert waiting.opinion == Opinion(
        agrees=False, differences={"input_tokens": "2"}, source="second.json"
    )


@pytest.mark.parametrize(
    "table", ["rate_cards", "rate_card_versions", "rates", "rate_approvals", "rate_opinions"]
)
def test_cards_are_append_only(dsn: str, connection: Connection, table: str) -> None:
    record(connection, override(input_tokens="1/1M"))
    (waiting,) = cards.pending(connection)
    cards.give_opinions(
        connection, {waiting.rate_id: Opinion(agrees=True, differences={}, source="second.json")}
    )
    column = {"rate_opinions": "source", "rate_approvals": "approved_by"}.get(table, "card")
    for change in CHANGES:
        with pytest.raises(psycopg.errors.RestrictViolation, match="append-only") as raised:
            query(dsn, change.format(table, column))
        assert raised.value.diag.message_hint == "Record another version with `spanmeter rates`."


def test_the_collectors_role_reads_what_is_approved_and_approves_nothing(dsn: str) -> None:
    own = make_conninfo(dsn, options="-c role=spanmeter_writer")
    with closing(connect(own)) as connection:
        assert len(cards.read_book(connection)) > 2000
    for change in (
        "INSERT INTO rate_approvals (rate_id, approved_by) VALUES (1, 'me')",
        "INSERT INTO rate_cards (card, scope) VALUES ('mine', 'organisation')",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            query(own, change)
