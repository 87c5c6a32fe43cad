"""Scores that come over OTLP: kept once, beside the calls that they are about, and without a word of explanation."""

# grpc-stubs leaves the types of messages open.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

from __future__ import annotations

import time
from collections.abc import Generator
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest
from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter as OverGrpc
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter as OverHttp
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)

import otlp
from booking import query
from databases.cluster import Cluster
from evaluating import EVENT, SECRET, beside, emit, log_record, scored, told
from keys import bearer, make_key, send
from otlp import Client
from spanmeter.collector_receiver import Collector, CollectorSettings
from spanmeter.storage.migrations import migrate

LOGS = "/opentelemetry.proto.collector.logs.v1.LogsService/Export"

SCORES = (
    "SELECT name, score, label, error_type, span_id, response_id FROM evaluations ORDER BY name"
)

COSTS = "SELECT name, score, tenant_id, feature, model, cost FROM evaluated_calls ORDER BY name"


@pytest.fixture
def served(dsn: str) -> Generator[Collector]:
    settings = CollectorSettings(dsn=dsn, grpc="127.0.0.1:0", http="127.0.0.1:0")
    with Collector(settings) as collector:
        yield collector


def nothing_is_told(dsn: str) -> None:
    """The explanation is nowhere in the table."""
    assert SECRET not in repr(query(dsn, "TABLE evaluations"))


def test_events_of_spans_are_kept_once_with_what_the_call_cost(client: Client, dsn: str) -> None:
    call = scored(otlp.llm_span(), told(0.9, "relevance", "relevant"))
    scored(call, told(None, "toxicity", label="pass"))
    scored(call, told(None, "wit", error__type="timeout"))
    body = otlp.request([call, otlp.llm_span()])
    for _ in range(2):
        assert not client.export(body).HasField("partial_success")
    # Another batch with the same span: what is known is known.
    client.export(otlp.request([call, otlp.llm_span()]))
    assert query(dsn, SCORES) == [
        ("relevance", Decimal("0.9"), "relevant", None, call.span_id, None),
        ("toxicity", None, "pass", None, call.span_id, None),
        ("wit", None, None, "timeout", call.span_id, None),
    ]
    cost = Decimal("0.0035")
    model = "gpt-4o-2024-08-06"
    assert query(dsn, COSTS) == [
        ("relevance", Decimal("0.9"), "acme", "search", model, cost),
        ("toxicity", None, "acme", "search", model, cost),
        ("wit", None, "acme", "search", model, cost),
    ]
    nothing_is_told(dsn)


def test_a_span_of_its_own_stands_for_the_event(client: Client, dsn: str) -> None:
    call = otlp.llm_span()
    client.export(otlp.request([beside(call, told(4)), call]))
    assert query(dsn, SCORES) == [("relevance", Decimal(4), None, None, call.span_id, None)]
    assert len(query(dsn, COSTS)) == len(query(dsn, "SELECT 1 FROM usage_events")) == 1


@pytest.mark.parametrize("over", ["grpc", "http"])
def test_log_records_of_the_sdk_are_kept_by_span_or_by_response(
    served: Collector, plain_dsn: str, dsn: str, over: str
) -> None:
    by_span, by_response = (
        otlp.llm_span(),
        otlp.llm_span({"gen_ai.response.id": "chatcmpl-" + "7" * 20}),
    )
    with Client(served.grpc_address) as client:
        client.export(otlp.request([by_span, by_response]))
    exporter = (
        OverGrpc(endpoint=served.grpc_address, insecure=True)
        if over == "grpc"
        else OverHttp(endpoint=f"http://{served.addresses.http}/v1/logs")
    )
    emit(
        exporter,
        log_record(by_span, told(0.25, "correctness")),
        log_record(None, told(0.5, gen_ai__response__id="chatcmpl-" + "7" * 20)),
        log_record(by_span, told(0.75), event="another.event"),
    )
    expected = [(by_span.span_id, Decimal("0.25")), (by_response.span_id, Decimal("0.5"))]
    assert query(dsn, "SELECT span_id, score FROM evaluated_calls ORDER BY name") == expected
    assert served.counts.evaluations == 2
    nothing_is_told(dsn)


def test_log_records_in_json_are_kept(served: Collector, dsn: str) -> None:
    call = otlp.llm_span()
    record = {
        "timeUnixNano": str(time.time_ns()),
        "eventName": EVENT,
        "traceId": call.trace_id.hex(),
        "spanId": call.span_id.hex(),
        "attributes": [
            {"key": "gen_ai.evaluation.name", "value": {"stringValue": "relevance"}},
            {"key": "gen_ai.evaluation.score.value", "value": {"doubleValue": 0.125}},
        ],
    }
    answer = posted(served, {"resourceLogs": [{"scopeLogs": [{"logRecords": [record]}]}]})
    assert answer == {}
    told_of_others = posted(served, {"resourceLogs": []})
    assert EVENT in told_of_others["partialSuccess"]["errorMessage"]
    assert query(dsn, "SELECT span_id, score FROM evaluations") == [
        (call.span_id, Decimal("0.125"))
    ]


def posted(collector: Collector, document: Any) -> Any:
    answer = httpx.post(
        f"http://{collector.addresses.http}/v1/logs", json=document, timeout=30, trust_env=False
    )
    assert answer.status_code == 200
    return answer.json()


def test_other_log_records_are_not_kept_and_their_sender_is_told(client: Client, dsn: str) -> None:
    logs = ExportLogsServiceRequest()
    logs.resource_logs.add().scope_logs.add().log_records.add(time_unix_nano=1)
    response = ExportLogsServiceResponse.FromString(client.call(LOGS, logs.SerializeToString()))
    assert response.partial_success.rejected_log_records == 0
    assert EVENT in response.partial_success.error_message
    assert query(dsn, SCORES) == []


@pytest.mark.parametrize(
    "attributes",
    [
        told(None),
        told(float("nan")),
        told(1e300),
        {"gen_ai.evaluation.score.value": 1.0},
        {"gen_ai.evaluation.name": "x" * 2000, "gen_ai.evaluation.score.value": 1.0},
        {"gen_ai.evaluation.name": "a\0b", "gen_ai.evaluation.score.value": 1.0},
        {"gen_ai.evaluation.name": "truth", "gen_ai.evaluation.score.value": True},
    ],
    ids=["no result", "nan", "beyond", "no name", "long name", "nul", "no number"],
)
def test_an_evaluation_that_is_none_is_counted_and_its_call_is_booked(
    client: Client, collector: Collector, dsn: str, attributes: dict[str, otlp.Value]
) -> None:
    client.export(otlp.request([scored(otlp.llm_span(), attributes)]))
    assert collector.counts.unusable_evaluations == 1
    assert query(dsn, SCORES) == []
    assert len(query(dsn, "SELECT 1 FROM usage_events")) == 1


def test_a_row_that_is_refused_leaves_the_evaluations_of_its_request(
    client: Client, dsn: str
) -> None:
    query(dsn, "ALTER TABLE usage_events ADD CONSTRAINT x CHECK (tenant_id <> 'poison')")
    poison, good = otlp.llm_span({"tenant.id": "poison"}), scored(otlp.llm_span(), told(1.0))
    assert client.export(otlp.request([poison, good])).partial_success.rejected_spans == 1
    assert len(query(dsn, COSTS)) == 1


def test_a_key_of_one_tenant_scores_no_call_of_another(plain_dsn: str) -> None:
    mine = make_key(plain_dsn, "acme").token
    any_ = make_key(plain_dsn).token
    call = otlp.llm_span({"tenant.id": "globex"})
    settings = CollectorSettings(dsn=plain_dsn, grpc="127.0.0.1:0", auth=True)
    with Collector(settings) as collector:
        send(collector.grpc_address, otlp.request([call]), *bearer(any_))
        send(collector.grpc_address, otlp.request([beside(call, told(0.1))]), *bearer(mine))
        assert query(plain_dsn, COSTS) == []
        send(collector.grpc_address, otlp.request([beside(call, told(0.2))]), *bearer(any_))
    assert [row[1] for row in query(plain_dsn, COSTS)] == [Decimal("0.2")]


def test_evaluations_outlive_an_absence_of_the_database(
    own_timescale: Cluster, tmp_path: Path
) -> None:
    migrate(own_timescale.dsn())
    call = otlp.llm_span()
    logs = ExportLogsServiceRequest()
    logs.resource_logs.add().scope_logs.add().log_records.add(
        time_unix_nano=time.time_ns(),
        event_name=EVENT,
        trace_id=call.trace_id,
        span_id=call.span_id,
        attributes=[otlp.attribute(name, value) for name, value in told(0.5).items()],
    )
    settings = CollectorSettings(dsn=own_timescale.dsn(), grpc="127.0.0.1:0", journal=tmp_path)
    with Collector(settings) as collector, Client(collector.grpc_address) as client:
        own_timescale.stop("fast")
        client.export(otlp.request([call]), timeout=20)
        assert client.call(LOGS, logs.SerializeToString(), timeout=20) == b""
        own_timescale.start()
        deadline = time.monotonic() + 60
        while not query(own_timescale.dsn(), COSTS):
            assert time.monotonic() < deadline
            time.sleep(0.1)
