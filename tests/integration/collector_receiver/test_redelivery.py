"""A request that comes again while the database is slow waits with the first, and is answered when that is durable."""

# grpc-stubs leaves the types of messages open.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

from __future__ import annotations

import http.client
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import grpc
import psycopg
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

import otlp
from collecting import Ledger
from load import awaited
from scraping import scrape
from spanmeter.collector_receiver import Collector, CollectorSettings

Send = Callable[[bytes], ExportTraceServiceResponse | None]
"""Sends a request; the answer, or None if it is to be sent again."""


@pytest.fixture
def collector(dsn: str) -> Generator[Collector]:
    settings = CollectorSettings(dsn=dsn, grpc="127.0.0.1:0", http="127.0.0.1:0", hold=0.3)
    with Collector(settings) as running:
        yield running


@pytest.fixture(params=["grpc", "http"])
def send(request: pytest.FixtureRequest, collector: Collector) -> Generator[Send]:
    if request.param == "http":
        yield lambda body: over_http(collector, body)
    else:
        with otlp.Client(collector.grpc_address) as client:
            yield lambda body: over_grpc(client, body)


def over_grpc(client: otlp.Client, body: bytes) -> ExportTraceServiceResponse | None:
    try:
        return client.export(body)
    except grpc.RpcError as error:
        if error.code() is not grpc.StatusCode.UNAVAILABLE:
            raise
        return None


def over_http(collector: Collector, body: bytes) -> ExportTraceServiceResponse | None:
    assert collector.addresses.http is not None
    connection = http.client.HTTPConnection(collector.addresses.http, timeout=30)
    connection.request("POST", "/v1/traces", body, {"content-type": "application/x-protobuf"})
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    assert answer.status in {200, 503}
    return ExportTraceServiceResponse.FromString(content) if answer.status == 200 else None


@contextmanager
def locked(dsn: str) -> Generator[None]:
    """Nothing is committed while the block runs."""
    with psycopg.connect(dsn) as lock:
        lock.execute("LOCK TABLE usage_events IN ACCESS EXCLUSIVE MODE")
        yield


def a_request() -> bytes:
    """Two calls that can be metered, and one that cannot."""
    return otlp.request(
        [otlp.llm_span(), otlp.llm_span({"gen_ai.usage.input_tokens": -1}), otlp.llm_span()]
    )


def test_what_comes_again_joins_what_is_under_way_and_is_answered_when_it_is_durable(
    collector: Collector, dsn: str, send: Send
) -> None:
    body = a_request()
    with locked(dsn):
        assert [send(body) for _ in range(4)] == [None] * 4
        assert collector.counts.received == 3
    awaited(lambda: collector.counts.stored == 2)

    answers = [send(body), send(body)]

    for answer in answers:
        assert answer is not None
        assert answer.partial_success.rejected_spans == 1
        assert "bad_count" in answer.partial_success.error_message
    counts = collector.counts
    assert (counts.received, counts.duplicates, counts.rejected) == (3, 0, 1)
    assert (counts.joined, counts.answered_again, counts.refused) == (3, 2, 4)
    assert collector.addresses.http is not None
    page = scrape(collector.addresses.http)
    assert page.by("request_redelivered_total", "outcome") == {"joined": 3, "answered": 2}
    assert len(Ledger(dsn).spans()) == 2


def test_several_that_wait_for_one_request_are_all_answered(
    dsn: str,
) -> None:
    body = a_request()
    settings = CollectorSettings(dsn=dsn, grpc="127.0.0.1:0", hold=30)
    with (
        Collector(settings) as collector,
        otlp.Client(collector.grpc_address) as client,
        ThreadPoolExecutor(4) as threads,
    ):
        with locked(dsn):
            first = threads.submit(client.export, body)
            awaited(lambda: collector.counts.received)
            others = [threads.submit(client.export, body) for _ in range(3)]
            awaited(lambda: collector.counts.joined == 3)
        answers = [each.result() for each in (first, *others)]

    assert {answer.partial_success.rejected_spans for answer in answers} == {1}
    assert len({answer.SerializeToString() for answer in answers}) == 1
    assert collector.counts.received == 3


def test_what_was_answered_in_time_goes_through_the_ledger_again(
    collector: Collector, dsn: str, send: Send
) -> None:
    body = a_request()

    first, second = send(body), send(body)

    assert first == second
    # Unless this machine is so slow that the first counts as kept waiting.
    counts = collector.counts
    assert counts.received == 3 * (2 - counts.answered_again)
    assert len(Ledger(dsn).spans()) == 2
