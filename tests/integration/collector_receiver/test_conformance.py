"""What OTLP's specification asks of a server (1.11.0), as far as no other test shows it."""

# grpc-stubs leaves the types of messages open.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

from __future__ import annotations

import http.client
import json
import os
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest

import otlp
from collecting import Ledger
from otlp import Client
from spanmeter.collector_receiver import Collector, CollectorSettings

SERVICES = "opentelemetry.proto.collector"


@pytest.fixture
def served(plain_dsn: str) -> Generator[Collector]:
    settings = CollectorSettings(dsn=plain_dsn, grpc="127.0.0.1:0", http="127.0.0.1:0")
    with Collector(settings) as collector:
        yield collector


def posted(collector: Collector, path: str, document: Any) -> tuple[int, dict[str, Any]]:
    """The status and the JSON of an answer."""
    connection = http.client.HTTPConnection(collector.addresses.http or "", timeout=30)
    try:
        body = json.dumps(document)
        connection.request("POST", path, body, {"content-type": "application/json"})
        response = connection.getresponse()
        said = response.read()
        return response.status, json.loads(said) if response.status == 200 else {}
    finally:
        connection.close()


@pytest.mark.parametrize("compression", grpc.Compression)
def test_grpc_takes_each_compression(
    served: Collector, plain_dsn: str, compression: grpc.Compression
) -> None:
    """OTLP/gRPC: "the server MUST support none and gzip"; deflate is gRPC's third."""
    body = otlp.llm_request(50)
    with grpc.insecure_channel(served.grpc_address, compression=compression) as channel:
        channel.unary_unary(otlp.EXPORT, None, None)(body, timeout=30)
    assert len(Ledger(plain_dsn).spans()) == 50


def test_an_answer_stays_small_however_much_is_wrong(served: Collector) -> None:
    """ "The response MUST be limited": to much less than the 4 MiB that clients take."""
    spans = [otlp.llm_span({"gen_ai.usage.input_tokens": "x" * 2000}) for _ in range(2000)]
    with Client(served.grpc_address) as client:
        response = client.export(otlp.request(spans), timeout=60)
    assert response.partial_success.rejected_spans == 2000
    assert len(response.partial_success.error_message) <= 1000


def test_a_refusal_stays_small_too(served: Collector) -> None:
    status, _ = posted(served, "/v1/traces", {"resourceSpans": [{"scopeSpans": "x" * 500_000}]})
    assert status == 400
    with Client(served.grpc_address) as client:
        error = client.error_of(b"\x0a" + b"\xff" * 100_000)
    assert len(error.details() or "") <= 1000


def test_members_and_fields_of_later_versions_are_ignored(
    served: Collector, plain_dsn: str
) -> None:
    later = bytes([15 << 3 | 2, 5]) + b"later"
    with Client(served.grpc_address) as client:
        response = client.export(otlp.llm_request(3) + later)
    assert not response.HasField("partial_success")
    assert len(Ledger(plain_dsn).spans()) == 3


@pytest.mark.parametrize("tokens", [1234, "1234"], ids=["number", "text"])
@pytest.mark.parametrize("hexadecimal", [str.upper, str.lower], ids=["upper", "lower"])
def test_json_has_integers_as_numbers_or_text_and_ids_in_any_case(
    served: Collector, plain_dsn: str, tokens: object, hexadecimal: Any
) -> None:
    span_id = os.urandom(8)
    counts = {"gen_ai.usage.input_tokens": tokens, "gen_ai.usage.output_tokens": tokens}
    texts = {name: each for name, each in otlp.CALL.items() if name not in counts}
    start = otlp.llm_span().start_time_unix_nano
    span = {
        "traceId": hexadecimal(os.urandom(16).hex()),
        "spanId": hexadecimal(span_id.hex()),
        "name": "chat",
        "kind": 3,
        "startTimeUnixNano": str(start),
        "endTimeUnixNano": start + 1000,
        "attributes": [
            *({"key": name, "value": {"stringValue": each}} for name, each in texts.items()),
            *({"key": name, "value": {"intValue": each}} for name, each in counts.items()),
        ],
        "ofALaterVersion": [{"a": 1}],
    }
    document = {"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}

    assert posted(served, "/v1/traces", document) == (200, {})

    ledger = Ledger(plain_dsn)
    assert ledger.spans() == [span_id]
    assert ledger.column("input_tokens") == ledger.column("output_tokens") == [1234]


def test_metrics_are_unimplemented(served: Collector) -> None:
    with Client(served.grpc_address) as client, pytest.raises(grpc.RpcError) as caught:
        client.call(f"/{SERVICES}.metrics.v1.MetricsService/Export", b"")
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


@pytest.mark.parametrize("path", ["/v1/metrics", "/v1/traces/", "/"])
def test_other_paths_are_not_found(served: Collector, path: str) -> None:
    assert posted(served, path, {})[0] == 404


def test_many_calls_at_once_on_one_connection_are_each_answered_and_booked_once(
    served: Collector, plain_dsn: str
) -> None:
    """More than one sender may have under way: some are asked to come back, and do."""
    requests = [otlp.llm_request(2) for _ in range(600)]
    with Client(served.grpc_address) as client, ThreadPoolExecutor(600) as threads:
        list(threads.map(client.deliver, requests))
    spans = Ledger(plain_dsn).spans()
    assert len(spans) == len(set(spans)) == 1200
