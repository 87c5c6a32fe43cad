"""The collector's own metrics, as Prometheus reads them and as they are pushed."""

# grpc-stubs leaves the types of messages open.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

from __future__ import annotations

import http.client
import queue
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)

import otlp
from otlp import Client
from scraping import scrape, scraped_until
from spanmeter.collector_receiver import Collector, CollectorSettings
from spanmeter.collector_receiver.decode import DECODER
from spanmeter.collector_receiver.metrics_push import pushing_readers


def http_of(collector: Collector) -> str:
    assert collector.addresses.http is not None
    return collector.addresses.http


@pytest.fixture
def served(dsn: str) -> Generator[Collector]:
    with Collector(CollectorSettings(dsn=dsn, grpc="127.0.0.1:0", http="127.0.0.1:0")) as collector:
        yield collector


def test_every_span_is_counted_by_what_became_of_it(served: Collector) -> None:
    spans = [
        otlp.llm_span(),
        otlp.llm_span({"gen_ai.request.model": "x", "gen_ai.response.model": "nobody-knows-it"}),
        otlp.span({"http.request.method": "GET"}),
        otlp.llm_span({"gen_ai.usage.input_tokens": -1}),
        otlp.llm_span(age=3 * 365 * 86_400),
    ]
    nobodys = otlp.llm_span()
    del nobodys.attributes[[each.key for each in nobodys.attributes].index("tenant.id")]
    body = otlp.request([*spans, nobodys])
    with Client(served.grpc_address) as client:
        client.export(body)
        client.export(body)
        client.error_of(body[:-3])

    page = scrape(http_of(served))

    assert page.by("span_processed_total", "outcome") == {
        "stored": 3,
        "same_call": 0,
        "duplicate": 3,
        "rejected": 4,
        "not_llm": 2,
        "tracing_copy": 0,
    }
    assert page.sum("span_received_total") == page.sum("span_processed_total") == 12
    assert page.by("span_rejected_total", "reason") == {"bad_count": 2, "bad_time": 2}
    assert page.sum("span_unpriced_total") == page.sum("span_unattributed_total") == 2
    assert page.by("request_refused_total", "reason") == {"unusable": 1}


def test_commits_and_state_are_measured(served: Collector) -> None:
    with Client(served.grpc_address) as client:
        client.export(otlp.llm_request(30))
        client.export(otlp.llm_request(12))

    page = scrape(http_of(served))

    assert page.sum("commit_rows_sum") == 42
    assert page.sum("commit_rows_count") == page.sum("commit_duration_seconds_count") == 2
    assert 0 < page.sum("commit_duration_seconds_sum") < 60
    assert page.sum("queue_rows") == page.sum("queue_size_bytes") == 0
    assert page.of("database_available") == {(): 1}
    assert page.of("decoder_info") == {(("decoder", DECODER),): 1}
    assert page.of("journal_size_bytes") == {}
    assert {"process_resident_memory_bytes", "target_info"} <= {
        family.name for family in page.families
    }


def test_refusals_of_http_are_counted_too(served: Collector) -> None:
    connection = http.client.HTTPConnection(http_of(served), timeout=30)
    connection.request("POST", "/v1/traces", b"", {"content-type": "text/html"})
    assert connection.getresponse().status == 415
    connection.close()

    page = scrape(http_of(served))

    assert page.by("request_refused_total", "reason") == {"not_supported": 1}


def test_what_producers_lack_is_told(plain_dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("spanmeter.collector_receiver.database_watch.INTERVAL", 0.05)
    settings = CollectorSettings(dsn=plain_dsn, grpc="127.0.0.1:0", http="127.0.0.1:0")
    numbered = [otlp.llm_span({"usage.producer.sequence": number}) for number in (1, 2, 5)]
    resource: dict[str, otlp.Value] = {
        "service.name": "answers",
        "usage.producer.id": "one",
        "usage.producer.dropped": 1,
    }
    with Collector(settings) as collector, Client(collector.grpc_address) as client:
        scraped_until(http_of(collector), lambda page: page.of("producer_missing") == {(): 0})
        client.export(otlp.request(numbered, resource))
        page = scraped_until(http_of(collector), lambda page: page.sum("producer_missing"))

    assert page.of("producer_missing") == {(): 2}
    assert page.of("producer_dropped") == {(): 1}


def test_while_the_database_is_away_the_page_says_so_and_nothing_that_it_cannot_know(
    tmp_path: Path,
) -> None:
    settings = CollectorSettings(
        dsn="host=/nonexistent",
        grpc="127.0.0.1:0",
        http="127.0.0.1:0",
        journal=tmp_path,
        hold=0.2,
        grace=0,
    )
    with Collector(settings) as collector, Client(collector.grpc_address) as client:
        client.export(otlp.llm_request(7))
        page = scraped_until(
            http_of(collector), lambda page: page.of("database_available") == {(): 0}
        )

    assert page.of("producer_missing") == page.of("producer_dropped") == {}
    assert page.sum("span_journaled_total") == 7
    assert page.sum("journal_size_bytes") > 0
    assert page.sum("commit_rows_count") == 0


def test_the_page_is_answered_while_every_handler_waits() -> None:
    settings = CollectorSettings(
        dsn="host=/nonexistent",
        grpc="127.0.0.1:0",
        http="127.0.0.1:0",
        handlers=2,
        hold=20,
        grace=0,
    )
    with (
        Collector(settings) as collector,
        Client(collector.grpc_address) as client,
        ThreadPoolExecutor(2) as threads,
    ):
        waiting = [threads.submit(client.error_of, otlp.llm_request(3)) for _ in range(2)]
        page = scraped_until(http_of(collector), lambda page: page.sum("span_received_total"))
        assert page.sum("queue_size_bytes") > 0
        assert not all(each.done() for each in waiting)
        collector.hurry()


def test_two_scrapes_at_once_are_both_whole(served: Collector) -> None:
    scraped_until(http_of(served), lambda page: page.of("producer_missing"))
    with ThreadPoolExecutor(8) as threads:
        pages = list(threads.map(scrape, [http_of(served)] * 40))

    names = [[family.name for family in page.families] for page in pages]
    assert all(name == names[0] for name in names)


class Sink:
    """A backend for metrics: a real gRPC server."""

    def __init__(self) -> None:
        self.requests: queue.Queue[ExportMetricsServiceRequest] = queue.Queue()
        export = grpc.unary_unary_rpc_method_handler(
            self._export,
            ExportMetricsServiceRequest.FromString,
            ExportMetricsServiceResponse.SerializeToString,
        )
        service = "opentelemetry.proto.collector.metrics.v1.MetricsService"
        handler = grpc.method_handlers_generic_handler(service, {"Export": export})
        self.server = grpc.server(ThreadPoolExecutor(1), handlers=[handler])
        self.address = f"127.0.0.1:{self.server.add_insecure_port('127.0.0.1:0')}"

    def _export(
        self, request: ExportMetricsServiceRequest, context: grpc.ServicerContext
    ) -> ExportMetricsServiceResponse:
        self.requests.put(request)
        return ExportMetricsServiceResponse()


def test_metrics_are_pushed_where_opentelemetrys_variables_say(
    plain_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink = Sink()
    sink.server.start()
    monkeypatch.setenv("OTEL_METRICS_EXPORTER", "otlp")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://{sink.address}")
    settings = CollectorSettings(dsn=plain_dsn, grpc="127.0.0.1:0")
    try:
        with Collector(settings) as collector, Client(collector.grpc_address) as client:
            client.export(otlp.llm_request(5))
        request = sink.requests.get(timeout=30)
    finally:
        sink.server.stop(None)

    (resource_metrics,) = request.resource_metrics
    resource = {each.key: each.value.string_value for each in resource_metrics.resource.attributes}
    assert resource["service.name"] == "spanmeter-collector"
    assert resource["service.instance.id"]
    (scope_metrics,) = resource_metrics.scope_metrics
    metrics = {metric.name: metric for metric in scope_metrics.metrics}
    stored = {
        point.attributes[0].value.string_value: point.as_int
        for point in metrics["spanmeter.collector.span.processed"].sum.data_points
    }
    assert stored["stored"] == 5
    assert metrics["spanmeter.collector.span.processed"].unit == "{span}"
    assert metrics["spanmeter.collector.commit.duration"].unit == "s"
    assert metrics["spanmeter.collector.commit.rows"].histogram.data_points[0].sum == 5


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"OTEL_METRICS_EXPORTER": "none"},
        {"OTEL_METRICS_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_PROTOCOL": "carrier pigeon"},
    ],
)
def test_metrics_are_pushed_nowhere_else(environ: dict[str, str]) -> None:
    assert pushing_readers(environ) == []
