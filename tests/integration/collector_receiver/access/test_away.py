"""While the database is away, known keys work, and none is refused that may be a new one (fault 17)."""

from __future__ import annotations

import time
from pathlib import Path

import grpc
import pytest

import otlp
from booking import query
from databases.cluster import Cluster
from keys import bearer, code_of, make_key, post, send
from spanmeter.collector_receiver import Collector, CollectorSettings, key_ring
from spanmeter.storage.migrations import migrate

ANYWHERE = "127.0.0.1:0"
MADE_UP = f"smk_{'0' * 12}_{'0' * 64}"
UNAVAILABLE = grpc.StatusCode.UNAVAILABLE
UNAUTHENTICATED = grpc.StatusCode.UNAUTHENTICATED


@pytest.fixture
def server(own_timescale: Cluster) -> Cluster:
    migrate(own_timescale.dsn())
    return own_timescale


def guarded(server: Cluster, journal: Path) -> Collector:
    return Collector(
        CollectorSettings(
            dsn=server.dsn(), grpc=ANYWHERE, http=ANYWHERE, auth=True, journal=journal, hold=1
        )
    )


def deliver(address: str, token: str) -> None:
    """As a patient exporter does."""
    deadline = time.monotonic() + 60
    while (code := code_of(address, otlp.llm_request(1), *bearer(token))) != grpc.StatusCode.OK:
        assert code == UNAVAILABLE
        assert time.monotonic() < deadline


def test_fault_17_known_keys_are_taken_and_others_asked_to_come_again(
    server: Cluster, tmp_path: Path
) -> None:
    known = make_key(server.dsn())
    with guarded(server, tmp_path) as collector:
        address = collector.grpc_address
        send(address, otlp.llm_request(1), *bearer(known.token))
        server.stop("fast")
        for _ in range(5):
            send(address, otlp.llm_request(1), *bearer(known.token))
        assert collector.counts.journaled == 5
        for token in (MADE_UP, f"smk_{'1' * 12}_{'1' * 64}"):
            assert code_of(address, otlp.llm_request(1), *bearer(token)) == UNAVAILABLE
        assert collector.addresses.http is not None
        status, headers, _ = post(
            collector.addresses.http, b"", {"authorization": f"Bearer {MADE_UP}"}
        )
        assert status == 503
        assert "retry-after" in headers
        # What is no key at all is none with a database either.
        assert code_of(address, b"", ("authorization", "Bearer no")) == UNAUTHENTICATED
        server.start()
        new = make_key(server.dsn())
        deliver(address, new.token)
        deadline = time.monotonic() + 60
        while code_of(address, b"", *bearer(MADE_UP)) != UNAUTHENTICATED:
            assert time.monotonic() < deadline
        while query(server.dsn(), "SELECT count(*) FROM usage_events") != [(7,)]:
            assert time.monotonic() < deadline
            time.sleep(0.05)


def test_fault_17_before_the_database_ever_answered_no_key_is_wrong(
    server: Cluster, tmp_path: Path
) -> None:
    key = make_key(server.dsn())
    server.stop("fast")
    with guarded(server, tmp_path) as collector:
        address = collector.grpc_address
        assert code_of(address, otlp.llm_request(1), *bearer(key.token)) == UNAVAILABLE
        assert code_of(address, otlp.llm_request(1)) == UNAUTHENTICATED
        server.start()
        deliver(address, key.token)


def test_fault_17_what_was_known_long_ago_is_not_gone_by(
    server: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Staleness is bounded: a key may have been revoked since, where the collector cannot see it."""
    key = make_key(server.dsn())
    with guarded(server, tmp_path) as collector:
        address = collector.grpc_address
        send(address, otlp.llm_request(1), *bearer(key.token))
        server.stop("fast")
        send(address, otlp.llm_request(1), *bearer(key.token))
        monkeypatch.setattr(key_ring, "TRUSTED", 0.0)
        assert code_of(address, otlp.llm_request(1), *bearer(key.token)) == UNAVAILABLE
        server.start()
