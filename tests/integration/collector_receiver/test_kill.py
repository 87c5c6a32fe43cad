"""The collector dies or is stopped under load: what was acknowledged is there, once."""

from __future__ import annotations

import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import grpc
import psycopg
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

import otlp
from collecting import CollectorProcess, Ledger, StartCollector
from otlp import Client

SPANS = 50_000
BATCH = 500


class Load:
    """Sends requests from several clients at once and keeps account of the spans that were acknowledged."""

    def __init__(self, address: str, spans: int) -> None:
        self._address = address
        self._requests = [otlp.llm_request(BATCH) for _ in range(spans // BATCH)]
        self._lock = threading.Lock()
        self._acknowledged: set[bytes] = set()

    @property
    def acknowledged(self) -> set[bytes]:
        with self._lock:
            return set(self._acknowledged)

    def run(self, *, retry: bool, clients: int = 4) -> None:
        """Send everything. Without `retry` a request that fails is left, as the JavaScript exporter does."""
        with ThreadPoolExecutor(clients) as threads:
            for share in range(clients):
                threads.submit(self._send, self._requests[share::clients], retry=retry)

    def wait_for(self, spans: int) -> None:
        """Wait until so many spans were acknowledged."""
        deadline = time.monotonic() + 60
        while len(self.acknowledged) < spans:
            assert time.monotonic() < deadline, f"{len(self.acknowledged)} spans in a minute"
            time.sleep(0.005)

    def _send(self, bodies: list[bytes], *, retry: bool) -> None:
        with Client(self._address) as client:
            for body in bodies:
                try:
                    client.deliver(body, patience=60 if retry else 0)
                except grpc.RpcError:
                    continue
                with self._lock:
                    self._acknowledged |= span_ids(body)


def span_ids(body: bytes) -> set[bytes]:
    (resource_spans,) = ExportTraceServiceRequest.FromString(body).resource_spans
    return {span.span_id for span in resource_spans.scope_spans[0].spans}


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_killed_twice_under_load_and_every_acknowledged_span_is_there_once(
    timescale_dsn: str, start_collector: StartCollector
) -> None:
    ledger = Ledger(timescale_dsn)
    collector = start_collector(timescale_dsn)
    load = Load(collector.address, SPANS)
    sender = threading.Thread(target=load.run, kwargs={"retry": True})
    sender.start()

    for acknowledged in (SPANS // 4, SPANS // 2):
        load.wait_for(acknowledged)
        collector.kill()
        assert load.acknowledged <= set(ledger.spans())
        collector = start_collector(timescale_dsn, collector.address)
    sender.join()

    assert len(load.acknowledged) == SPANS
    rows = ledger.spans()
    assert len(rows) == SPANS
    assert set(rows) == load.acknowledged


@pytest.mark.slow
def test_sigterm_under_load_stops_cleanly_and_loses_nothing_acknowledged(
    plain_dsn: str, start_collector: StartCollector
) -> None:
    collector = start_collector(plain_dsn)
    load = Load(collector.address, 20_000)
    sender = threading.Thread(target=load.run, kwargs={"retry": False})
    sender.start()

    load.wait_for(5_000)
    collector.terminate()

    assert collector.process.wait(20) == 0
    sender.join()
    rows = Ledger(plain_dsn).spans()
    assert len(rows) == len(set(rows))
    assert load.acknowledged <= set(rows)
    assert len(load.acknowledged) < 20_000, "it was stopped in the middle"


def test_a_request_under_way_at_sigterm_is_answered_ok(
    dsn: str, start_collector: StartCollector
) -> None:
    collector = start_collector(dsn)
    with Client(collector.address) as client, ThreadPoolExecutor(1) as thread, ExitStack() as lock:
        _lock_ledger(lock, dsn)
        answer = thread.submit(client.export, otlp.llm_request(2))
        time.sleep(0.5)
        collector.terminate()
        time.sleep(0.5)
        lock.close()

        assert not answer.result(10).HasField("partial_success")
    assert collector.process.wait(10) == 0
    assert len(Ledger(dsn).spans()) == 2


def test_a_second_signal_stops_without_waiting_for_the_database(
    plain_dsn: str, start_collector: StartCollector
) -> None:
    collector = start_collector(plain_dsn)
    with Client(collector.address) as client, ThreadPoolExecutor(1) as thread, ExitStack() as lock:
        _lock_ledger(lock, plain_dsn)
        answer = thread.submit(client.export, otlp.llm_request(2))
        time.sleep(0.5)
        collector.terminate()
        time.sleep(0.2)
        collector.process.send_signal(signal.SIGINT)

        collector.process.wait(8)
        error = answer.exception(5)
    assert isinstance(error, grpc.RpcError)
    assert Ledger(plain_dsn).spans() == []


def test_a_client_finds_the_restarted_collector_on_the_same_address(
    plain_dsn: str, start_collector: StartCollector
) -> None:
    collector = start_collector(plain_dsn)
    with Client(collector.address) as client:
        client.export(otlp.llm_request(1))
        _stop(collector)
        start_collector(plain_dsn, collector.address)
        client.deliver(otlp.llm_request(1))

    assert len(Ledger(plain_dsn).spans()) == 2


def _stop(collector: CollectorProcess) -> None:
    collector.terminate()
    collector.process.wait(10)


def _lock_ledger(stack: ExitStack, dsn: str) -> None:
    """Keep every commit to the ledger waiting until the stack is closed."""
    connection = stack.enter_context(psycopg.connect(dsn))
    connection.execute("LOCK TABLE usage_events IN ACCESS EXCLUSIVE MODE")
