"""The collector follows what is approved, and meters what it kept in its journal as of when it came."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

import otlp
from booking import query
from card_rates import override
from otlp import Client
from spanmeter.collector_receiver import Collector, CollectorSettings
from spanmeter.collector_receiver.meter_in_force import MeterInForce
from spanmeter.metering.card_rate import CardRate
from spanmeter.metering.meter import Meter
from spanmeter.metering.rates import Rates
from spanmeter.metering.usage_event import UsageEvent
from spanmeter.storage import rates as cards
from spanmeter.storage.connection import Connection, connect
from spanmeter.storage.rates import CardVersion
from unit.metering.spans import NOW, span

PATIENCE = 60
UNREACHABLE = "postgresql://nobody@127.0.0.1:1/none"
LISTED = Decimal("0.00027")
"""What the chat of `span()` costs by the catalogue: 1000 tokens in and 200 out."""


@pytest.fixture
def connection(dsn: str) -> Iterator[Connection]:
    with closing(connect(dsn)) as opened:
        yield opened


def approve(connection: Connection, rate: CardRate) -> None:
    version = CardVersion(
        card=rate.card,
        version=rate.version,
        scope=rate.scope,
        tenant_id=rate.tenant_id,
        recorded_by="tester",
        source="a test",
    )
    cards.record(connection, version, [rate])
    cards.approve(connection, cards.pending(connection), "tester")


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def chat(meter: Meter, tenant: str | None = None) -> UsageEvent:
    event = meter.meter(span({} if tenant is None else {"tenant.id": tenant}), NOW)
    assert event is not None
    return event


def test_a_collector_meters_at_what_is_approved_within_seconds(
    dsn: str, connection: Connection
) -> None:
    one = CollectorSettings(dsn=dsn, grpc="127.0.0.1:0")
    with Collector(one) as collector, Client(collector.grpc_address) as client:
        client.export(otlp.request([otlp.llm_span()]), timeout=PATIENCE)
        before = query(dsn, "SELECT rate_version FROM usage_events")
        approve(connection, override(model="*", input_tokens="1/1M", output_tokens="2/1M"))

        def follows() -> bool:
            client.export(otlp.request([otlp.llm_span()]), timeout=PATIENCE)
            versions = query(dsn, "SELECT DISTINCT rate_version FROM usage_events")
            return ("organisation/1#openai/*",) in versions

        wait_for(follows)
    assert before[0][0].startswith("genai-prices/")


def test_a_contract_changes_nothing_for_other_tenants(dsn: str, connection: Connection) -> None:
    approve(connection, override(tenant_id="acme", input_tokens="1/1M", output_tokens="1/1M"))
    meters = MeterInForce(CollectorSettings(dsn=dsn))
    meters.start()
    meters.stop()
    assert chat(meters.now, "acme").cost == Decimal("0.0012")
    assert chat(meters.now, "acme").rate_version == "contract:acme/1#openai/gpt-4o-mini"
    assert chat(meters.now, "globex").cost == LISTED
    assert chat(meters.now).cost == LISTED


def test_what_was_received_before_an_approval_is_metered_without_it(
    dsn: str, connection: Connection
) -> None:
    approve(connection, override(input_tokens="1/1M", output_tokens="1/1M"))
    approved_at = cards.read_state(connection).last_at
    assert approved_at is not None
    meters = MeterInForce(CollectorSettings(dsn=dsn))
    meters.start()
    meters.stop()
    assert chat(meters.at(approved_at - timedelta(seconds=1))).cost == LISTED
    assert chat(meters.at(approved_at)).cost == Decimal("0.0012")
    # A journal that is older than the ledger's first rates is metered at those.
    assert chat(meters.at(datetime(2020, 1, 1, tzinfo=UTC))).cost == LISTED


def test_a_database_that_is_away_leaves_the_installed_catalogue() -> None:
    meters = MeterInForce(CollectorSettings(dsn=UNREACHABLE))
    meters.start()
    meters.stop()
    assert chat(meters.now).rate_version == f"{Rates.pinned().version}#openai/gpt-4o-mini"
    assert chat(meters.at(NOW)).cost == LISTED


def test_the_last_rates_stay_in_use_while_the_database_is_away(
    dsn: str, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    approve(connection, override(input_tokens="1/1M", output_tokens="1/1M"))
    meters = MeterInForce(CollectorSettings(dsn=dsn))
    meters.look()
    monkeypatch.setattr(meters, "_settings", CollectorSettings(dsn=UNREACHABLE))
    meters.look()
    assert chat(meters.now).cost == Decimal("0.0012")


def test_the_journal_is_replayed_at_what_was_in_force_at_receipt(
    dsn: str, connection: Connection, tmp_path: Path
) -> None:
    """Received and acknowledged while the database was away; approved meanwhile; replayed."""
    away = CollectorSettings(dsn=UNREACHABLE, grpc="127.0.0.1:0", journal=tmp_path, hold=0.1)
    with Collector(away) as collector, Client(collector.grpc_address) as client:
        client.export(otlp.request([otlp.llm_span()]), timeout=PATIENCE)
        assert query(dsn, "SELECT count(*) FROM usage_events") == [(0,)]
    approve(connection, override(model="*", input_tokens="1/1M", output_tokens="2/1M"))
    back = CollectorSettings(dsn=dsn, grpc="127.0.0.1:0", journal=tmp_path)
    with Collector(back):
        wait_for(lambda: query(dsn, "SELECT count(*) FROM usage_events") == [(1,)])
    ((version,),) = query(dsn, "SELECT rate_version FROM usage_events")
    assert version.startswith("genai-prices/")
