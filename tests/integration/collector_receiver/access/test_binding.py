"""A key that is bound to tenants cannot write as another, whichever way its spans take into the ledger."""

from __future__ import annotations

import time
from contextlib import closing
from pathlib import Path

import pytest

import otlp
from booking import query
from collecting import Ledger
from keys import bearer, make_key, send
from spanmeter.collector_receiver import Collector, CollectorSettings
from spanmeter.collector_receiver.redrive import redrive
from spanmeter.storage.api_keys import bind_key
from spanmeter.storage.connection import connect

ANYWHERE = "127.0.0.1:0"
NOBODYS = {"tenant.id": ""}


def guarded(dsn: str, journal: Path | None = None) -> Collector:
    # What cannot be booked while it ends stays in the journal, for which nobody has to wait.
    return Collector(CollectorSettings(dsn=dsn, grpc=ANYWHERE, auth=True, journal=journal, grace=1))


def tenants(dsn: str) -> list[tuple[str | None, str | None]]:
    return query(dsn, "SELECT tenant_id, attributed_by FROM usage_events ORDER BY 1, 2")


def test_fault_17_another_tenants_span_is_refused_and_its_neighbours_are_stored(dsn: str) -> None:
    key = make_key(dsn, "acme", "bolt")
    spans = [otlp.llm_span({"tenant.id": each}) for each in ("acme", "mallory", "bolt")]
    with guarded(dsn) as collector:
        answer = send(collector.grpc_address, otlp.request(spans), *bearer(key.token))
    assert answer.partial_success.rejected_spans == 1
    assert "mallory" not in answer.partial_success.error_message
    assert tenants(dsn) == [("acme", "tenant.id"), ("bolt", "tenant.id")]
    (rejected,) = Ledger(dsn).rejected()
    assert (rejected.reason, rejected.tenant_id, rejected.key_id) == (
        *("wrong_tenant", "mallory"),
        key.key_id,
    )
    assert query(dsn, "SELECT key_id, attempts FROM access_log WHERE reason = 'wrong_tenant'") == [
        (key.key_id, 1)
    ]


def test_a_span_of_nobodys_is_its_keys_if_that_is_bound_to_one(dsn: str) -> None:
    one, two, unbound = make_key(dsn, "acme"), make_key(dsn, "acme", "bolt"), make_key(dsn)
    with guarded(dsn) as collector:
        for key in (one, two, unbound):
            body = otlp.request([otlp.llm_span(NOBODYS)])
            send(collector.grpc_address, body, *bearer(key.token))
    assert tenants(dsn) == [("acme", "key"), (None, None), (None, None)]
    unattributed = query(dsn, "SELECT key_id FROM usage_events WHERE tenant_id IS NULL")
    assert {key_id for (key_id,) in unattributed} == {two.key_id, unbound.key_id}


def test_a_resource_or_baggage_names_no_other_tenant_either(dsn: str) -> None:
    key = make_key(dsn, "acme")
    body = otlp.request([otlp.llm_span(NOBODYS)], {"tenant.id": "mallory"})
    with guarded(dsn) as collector:
        answer = send(collector.grpc_address, body, *bearer(key.token))
    assert answer.partial_success.rejected_spans == 1
    assert tenants(dsn) == []


def test_what_was_journaled_is_bound_when_it_is_replayed(
    timescale_dsn: str, tmp_path: Path
) -> None:
    """By another process, and though the key is bound to others by now: it was decided at receipt."""
    dsn, key = timescale_dsn, make_key(timescale_dsn, "acme")
    spans = [otlp.llm_span(NOBODYS), otlp.llm_span({"tenant.id": "mallory"})]
    with guarded(dsn, tmp_path) as collector:
        send(collector.grpc_address, otlp.llm_request(1), *bearer(key.token))
        # Only booking fails; keys can be looked up.
        query(dsn, "ALTER TABLE usage_events RENAME TO elsewhere")
        answer = send(collector.grpc_address, otlp.request(spans), *bearer(key.token))
        assert answer.partial_success.rejected_spans == 1
        assert collector.counts.journaled == 2
    with closing(connect(dsn)) as connection:
        bind_key(connection, key.key_id, ["mallory"])
    query(dsn, "ALTER TABLE elsewhere RENAME TO usage_events")
    with guarded(dsn, tmp_path) as collector:
        deadline = time.monotonic() + 60
        while len(tenants(dsn)) < 2:
            assert time.monotonic() < deadline
            time.sleep(0.05)
    assert tenants(dsn) == [("acme", "key"), ("acme", "tenant.id")]
    assert [each.reason for each in Ledger(dsn).rejected()] == ["wrong_tenant"]


@pytest.mark.parametrize("mended", [False, True])
def test_redriving_takes_the_key_into_account(dsn: str, *, mended: bool) -> None:
    """A span that was rejected does not get past its key by being redriven, until the key is bound to its tenant."""
    key = make_key(dsn, "acme")
    settings = CollectorSettings(dsn=dsn, grpc=ANYWHERE, auth=True)
    with Collector(settings) as collector:
        body = otlp.request([otlp.llm_span({"tenant.id": "bolt"})])
        send(collector.grpc_address, body, *bearer(key.token))
    if mended:
        with closing(connect(dsn)) as connection:
            bind_key(connection, key.key_id, ["acme", "bolt"])
    redriven = redrive(settings)
    assert redriven.booked == mended
    assert tenants(dsn) == ([("bolt", "tenant.id")] if mended else [])
