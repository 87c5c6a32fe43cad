"""The database goes away and comes back under a collector that keeps running."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator

import grpc
import pytest
from google.rpc.error_details_pb2 import RetryInfo  # type: ignore[import-untyped]
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]
from grpc_health.v1.health_pb2 import HealthCheckResponse

import otlp
from collecting import Ledger
from databases.cluster import Cluster
from otlp import Client
from spanmeter.collector_receiver import Collector, CollectorSettings
from spanmeter.collector_receiver.submission import ROW_BYTES
from spanmeter.storage.migrations import migrate

NOWHERE = "postgresql://nobody@127.0.0.1:1/nothing"


@pytest.fixture
def server(own_timescale: Cluster) -> Cluster:
    migrate(own_timescale.dsn())
    return own_timescale


@pytest.fixture
def collector(server: Cluster) -> Generator[Collector]:
    settings = CollectorSettings(dsn=server.dsn(), grpc="127.0.0.1:0")
    with Collector(settings) as running:
        yield running


def test_a_short_absence_is_not_seen_by_any_client(server: Cluster, collector: Collector) -> None:
    with Client(collector.grpc_address) as client:
        client.export(otlp.llm_request(3))
        server.stop("fast")
        back = threading.Thread(target=server.start)
        back.start()

        client.export(otlp.llm_request(3))

        back.join()
    assert len(Ledger(server.dsn()).spans()) == 6


def test_a_killed_server_is_waited_for_and_nothing_acknowledged_is_lost(
    server: Cluster, collector: Collector
) -> None:
    with Client(collector.grpc_address) as client:
        client.export(otlp.llm_request(100))
        server.kill()
        back = threading.Thread(target=server.start)
        back.start()

        client.deliver(otlp.llm_request(100))

        back.join()
    assert len(set(Ledger(server.dsn()).spans())) == len(Ledger(server.dsn()).spans()) == 200


def test_a_long_absence_is_unavailable_in_time_and_ends_without_a_restart(
    server: Cluster, collector: Collector
) -> None:
    body = otlp.llm_request(3)
    with Client(collector.grpc_address) as client:
        server.stop("fast")
        started = time.monotonic()
        error = client.error_of(body, timeout=3.0)
        waited = time.monotonic() - started
        server.start()
        client.deliver(body)

    assert error.code() is grpc.StatusCode.UNAVAILABLE
    assert 1.5 < waited < 3.0, "a second before the deadline of its client"
    assert len(Ledger(server.dsn()).spans()) == 3


def test_spans_of_a_client_that_never_tries_again_are_stored_when_the_database_is_back(
    server: Cluster, collector: Collector
) -> None:
    with Client(collector.grpc_address) as client:
        server.stop("fast")
        client.error_of(otlp.llm_request(5), timeout=1.5)
        server.start()

    deadline = time.monotonic() + 10
    while collector.counts.stored < 5 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert len(Ledger(server.dsn()).spans()) == 5


def test_a_refusal_asks_to_try_again_soon_in_both_trailers() -> None:
    with (
        Collector(CollectorSettings(dsn=NOWHERE, grpc="127.0.0.1:0", hold=0.2, grace=0)) as running,
        Client(running.grpc_address) as client,
    ):
        error = client.error_of(otlp.llm_request(1))

    assert error.code() is grpc.StatusCode.UNAVAILABLE
    trailers = {trailer.key: trailer.value for trailer in error.trailing_metadata()}
    status = Status.FromString(trailers["grpc-status-details-bin"])
    assert (status.code, status.message) == (14, error.details())
    standard = RetryInfo()
    assert status.details[0].Unpack(standard)
    python = RetryInfo.FromString(trailers["google.rpc.retryinfo-bin"])
    assert python == standard
    assert 0.5 <= standard.retry_delay.ToTimedelta().total_seconds() <= 2.0


def test_what_waits_is_bounded_and_more_is_refused_at_once() -> None:
    body, *others = (otlp.llm_request(10) for _ in range(3))
    settings = CollectorSettings(
        dsn=NOWHERE,
        grpc="127.0.0.1:0",
        hold=3.0,
        grace=0,
        queue_bytes=3 * (len(body) + 10 * ROW_BYTES),
    )
    with Collector(settings) as running, Client(running.grpc_address) as client:
        held = [threading.Thread(target=client.error_of, args=(each,)) for each in others]
        for thread in held:
            thread.start()
        time.sleep(0.3)
        started = time.monotonic()
        error = client.error_of(body)
        waited = time.monotonic() - started
        for thread in held:
            thread.join()

    assert error.code() is grpc.StatusCode.UNAVAILABLE
    assert "bytes of requests wait" in (error.details() or "")
    assert waited < 1.5


def test_health_is_answered_while_every_handler_waits_for_the_database() -> None:
    settings = CollectorSettings(dsn=NOWHERE, grpc="127.0.0.1:0", hold=2.0, grace=0, handlers=2)
    with Collector(settings) as running, Client(running.grpc_address) as client:
        held = [
            threading.Thread(target=client.error_of, args=(otlp.llm_request(1),)) for _ in range(4)
        ]
        for thread in held:
            thread.start()
        time.sleep(0.3)

        answer = client.health(timeout=1)

        for thread in held:
            thread.join()
    assert answer == HealthCheckResponse.SERVING


def test_a_database_without_our_schema_is_waited_for_like_one_that_is_away(
    empty_dsn: str,
) -> None:
    with (
        Collector(CollectorSettings(dsn=empty_dsn, grpc="127.0.0.1:0")) as running,
        Client(running.grpc_address) as client,
    ):
        error = client.error_of(otlp.llm_request(1), timeout=1.5)
        migrate(empty_dsn)
        client.deliver(otlp.llm_request(1))

    assert error.code() is grpc.StatusCode.UNAVAILABLE
    assert len(Ledger(empty_dsn).spans()) == 2
