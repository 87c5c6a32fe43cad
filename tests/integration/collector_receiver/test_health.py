"""The standard gRPC health service, asked by its standard client."""

from __future__ import annotations

import threading
import time

import grpc
import pytest
from grpc_health.v1.health_pb2 import HealthCheckResponse

from otlp import Client
from spanmeter.collector_receiver import Collector, CollectorSettings


@pytest.mark.parametrize("service", ["", "opentelemetry.proto.collector.trace.v1.TraceService"])
def test_the_server_and_the_trace_service_are_serving(plain_dsn: str, service: str) -> None:
    with (
        Collector(CollectorSettings(dsn=plain_dsn, grpc="127.0.0.1:0")) as collector,
        Client(collector.grpc_address) as client,
    ):
        assert client.health(service) == HealthCheckResponse.SERVING


def test_a_service_that_is_not_here_is_not_found(plain_dsn: str) -> None:
    with (
        Collector(CollectorSettings(dsn=plain_dsn, grpc="127.0.0.1:0")) as collector,
        Client(collector.grpc_address) as client,
        pytest.raises(grpc.RpcError) as caught,
    ):
        client.health("logs")

    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


def test_a_watcher_is_told_of_the_drain_and_does_not_delay_it(plain_dsn: str) -> None:
    collector = Collector(CollectorSettings(dsn=plain_dsn, grpc="127.0.0.1:0"))
    collector.start()
    seen: list[int] = []
    with Client(collector.grpc_address) as client:
        watcher = threading.Thread(target=seen.extend, args=(client.watch_health(),))
        watcher.start()
        while not seen:
            time.sleep(0.01)

        started = time.monotonic()
        collector.stop(grace=10)

        assert time.monotonic() - started < 2
        watcher.join()
    assert seen == [HealthCheckResponse.SERVING, HealthCheckResponse.NOT_SERVING]
