"""Export requests over real gRPC into a real database: what is stored, and what the sender is told."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import grpc
import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

import otlp
from collecting import Ledger
from otlp import Client
from spanmeter.collector_receiver import CannotListen, Collector, CollectorSettings


def test_an_llm_call_is_one_costed_row_when_the_answer_arrives(
    client: Client, ledger: Ledger
) -> None:
    response = client.export(otlp.llm_request(1))

    assert response == ExportTraceServiceResponse()
    assert not response.HasField("partial_success")
    assert ledger.column("tenant_id") == ["acme"]
    assert ledger.column("service_name") == ["answers"]
    assert ledger.column("input_tokens") == [1000]
    # 1000 tokens at 2.50 USD and 100 at 10 USD per million.
    assert ledger.column("cost") == [Decimal("0.0035")]


def test_spans_that_are_no_llm_calls_are_accepted_and_not_stored(
    client: Client, collector: Collector, ledger: Ledger
) -> None:
    web = otlp.span({"http.request.method": "GET", "url.path": "/"})

    response = client.export(otlp.request([web, otlp.llm_span()]))

    assert not response.HasField("partial_success")
    assert len(ledger.spans()) == 1
    assert collector.counts.not_llm == 1


def test_an_empty_request_is_ok(client: Client) -> None:
    assert not client.export(b"").HasField("partial_success")


def test_a_request_delivered_five_times_by_two_clients_at_once_is_one_row_per_span(
    collector: Collector, ledger: Ledger
) -> None:
    body = otlp.llm_request(512)
    with (
        Client(collector.grpc_address) as one,
        Client(collector.grpc_address) as other,
        ThreadPoolExecutor(10) as threads,
    ):
        answers = list(threads.map(Client.export, [one, other] * 5, [body] * 10))

    assert not any(answer.HasField("partial_success") for answer in answers)
    assert len(ledger.spans()) == len(set(ledger.spans())) == 512
    counts = collector.counts
    again = counts.joined + counts.answered_again
    assert (counts.stored, counts.duplicates) == (512, (9 - again) * 512)


def test_a_span_that_cannot_be_metered_is_named_and_kept_and_its_neighbours_are_stored(
    client: Client, collector: Collector, ledger: Ledger
) -> None:
    bad_count = otlp.llm_span({"gen_ai.usage.input_tokens": -1})
    bad_time = otlp.llm_span(age=3 * 365 * 86_400)

    response = client.export(otlp.request([otlp.llm_span(), bad_count, bad_time, otlp.llm_span()]))

    assert response.partial_success.rejected_spans == 2
    message = response.partial_success.error_message
    assert "2 of 4 spans" in message
    assert "rejected_spans" in message
    assert "bad_count" in message
    assert "gen_ai.usage.input_tokens" in message
    assert "bad_time" in message
    assert len(ledger.spans()) == 2
    kept = {row.span_id: (row.reason, row.tenant_id) for row in ledger.rejected()}
    assert kept == {
        bad_count.span_id: ("bad_count", "acme"),
        bad_time.span_id: ("bad_time", "acme"),
    }
    assert collector.counts.rejected == 2


def test_a_rejected_span_delivered_again_is_kept_once(client: Client, ledger: Ledger) -> None:
    body = otlp.request([otlp.llm_span({"gen_ai.usage.output_tokens": -1})])

    for _ in range(3):
        assert client.export(body).partial_success.rejected_spans == 1

    assert len(ledger.rejected()) == 1


def test_a_row_that_the_database_refuses_is_rejected_alone_and_can_be_sent_again_later(
    client: Client, ledger: Ledger
) -> None:
    ledger.execute("ALTER TABLE usage_events ADD CONSTRAINT x CHECK (tenant_id <> 'poison')")
    poison = otlp.llm_span({"tenant.id": "poison"})

    response = client.export(otlp.request([otlp.llm_span(), poison, otlp.llm_span()]))

    assert response.partial_success.rejected_spans == 1
    assert "refused_by_database" in response.partial_success.error_message
    assert len(ledger.spans()) == 2
    (rejected,) = ledger.rejected()
    assert rejected.span_id == poison.span_id

    ledger.execute("ALTER TABLE usage_events DROP CONSTRAINT x")
    assert not client.export(bytes(rejected.payload)).HasField("partial_success")
    assert poison.span_id in ledger.spans()


def test_one_clients_poison_is_not_told_to_another_in_the_same_commit(
    collector: Collector, ledger: Ledger
) -> None:
    ledger.execute("ALTER TABLE usage_events ADD CONSTRAINT x CHECK (tenant_id <> 'poison')")
    poison = otlp.request([otlp.llm_span({"tenant.id": "poison"}), otlp.llm_span()])
    good = [otlp.llm_request(20) for _ in range(7)]
    with Client(collector.grpc_address) as client, ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(client.export, [*good[:3], poison, *good[3:]]))

    rejected = [answer.partial_success.rejected_spans for answer in answers]
    assert rejected == [0, 0, 0, 1, 0, 0, 0, 0]
    assert len(ledger.spans()) == 141


def test_malformed_bytes_are_invalid_and_never_to_be_sent_again(
    client: Client, ledger: Ledger
) -> None:
    error = client.error_of(otlp.llm_request(3)[:-5])

    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "ExportTraceServiceRequest" in (error.details() or "")
    assert ledger.spans() == []


def test_fault_11_logs_sent_to_the_trace_service_are_invalid(client: Client) -> None:
    logs = ExportLogsServiceRequest()
    logs.resource_logs.add().scope_logs.add().log_records.add(time_unix_nano=1)

    error = client.error_of(logs.SerializeToString())

    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_other_services_are_unimplemented(client: Client) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        client.call("/opentelemetry.proto.collector.metrics.v1.MetricsService/Export", b"")

    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


def test_fault_09_limits_on_bytes_and_spans_are_kept(plain_dsn: str) -> None:
    settings = CollectorSettings(
        dsn=plain_dsn, grpc="127.0.0.1:0", max_request_bytes=100_000, max_request_spans=10
    )
    with Collector(settings) as collector, Client(collector.grpc_address) as client:
        too_many = client.error_of(otlp.llm_request(11))
        too_large = client.error_of(otlp.request([otlp.llm_span({"text": "x" * 100_000})]))

    assert too_many.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert too_large.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


def test_a_client_that_gave_up_has_its_spans_committed_all_the_same(plain_dsn: str) -> None:
    settings = CollectorSettings(dsn=plain_dsn, grpc="127.0.0.1:0", commit_linger=0.5)
    with Collector(settings) as collector, Client(collector.grpc_address) as client:
        error = client.error_of(otlp.llm_request(4), timeout=0.2)

    assert error.code() in {grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.UNAVAILABLE}
    assert len(Ledger(plain_dsn).spans()) == 4


def test_two_collectors_do_not_share_a_port(plain_dsn: str) -> None:
    with Collector(CollectorSettings(dsn=plain_dsn, grpc="127.0.0.1:0")) as first:
        second = Collector(CollectorSettings(dsn=plain_dsn, grpc=first.grpc_address))

        with pytest.raises(CannotListen, match="the port is taken"):
            second.start()
