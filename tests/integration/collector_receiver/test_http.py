"""Export requests over real HTTP into a real database: what is stored, and what the sender is told."""

# The stubs leave the types of messages open.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

from __future__ import annotations

import gzip
import http.client
import json
import socket
import time
import zlib
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any

import pytest
from google.protobuf import json_format
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

import otlp
from collecting import Ledger
from spanmeter.collector_receiver import Collector, CollectorSettings, http_server

PROTOBUF = "application/x-protobuf"
JSON = "application/json"


@dataclass
class Answer:
    """What the collector answered."""

    status: int
    headers: dict[str, str]
    body: bytes


@pytest.fixture
def served(dsn: str) -> Generator[Collector]:
    settings = CollectorSettings(
        dsn=dsn, grpc="127.0.0.1:0", http="127.0.0.1:0", max_request_bytes=1_000_000
    )
    with Collector(settings) as running:
        yield running


@pytest.fixture
def unavailable() -> Generator[Collector]:
    """A collector whose database is away."""
    settings = CollectorSettings(
        dsn="host=/nonexistent", grpc="127.0.0.1:0", http="127.0.0.1:0", hold=0.2, grace=0
    )
    with Collector(settings) as running:
        yield running


def send(
    collector: Collector,
    body: Any,
    content_type: str = PROTOBUF,
    *,
    method: str = "POST",
    path: str = "/v1/traces",
    **headers: str,
) -> Answer:
    """One request on a connection of its own; an iterable body is sent chunked."""
    connection = http.client.HTTPConnection(collector.addresses.http or "", timeout=30)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    try:
        connection.request(method, path, body, {"content-type": content_type, **named})
        response = connection.getresponse()
        found = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, found, response.read())
    finally:
        connection.close()


def as_json(request: bytes) -> dict[str, Any]:
    """The request in OTLP's JSON: ids in hexadecimal."""
    message = ExportTraceServiceRequest.FromString(request)
    document: dict[str, Any] = json_format.MessageToDict(message, use_integers_for_enums=True)
    spans = document["resourceSpans"][0]["scopeSpans"][0]["spans"]
    for item, span in zip(spans, message.resource_spans[0].scope_spans[0].spans, strict=True):
        item["traceId"], item["spanId"] = span.trace_id.hex().upper(), span.span_id.hex()
    return document


def test_a_protobuf_request_is_stored_when_it_is_answered(
    served: Collector, ledger: Ledger
) -> None:
    answer = send(served, otlp.llm_request(3))

    assert answer.status == 200
    assert answer.headers["content-type"] == PROTOBUF
    assert ExportTraceServiceResponse.FromString(answer.body) == ExportTraceServiceResponse()
    assert len(ledger.spans()) == 3


def test_json_and_protobuf_are_the_same_rows(served: Collector, ledger: Ledger) -> None:
    body = otlp.llm_request(2)
    document = as_json(body)
    document["resourceSpans"][0]["unknownMember"] = {"of": "a later version"}

    answers = [
        send(served, json.dumps(document), "application/json; charset=utf-8"),
        send(served, body),
    ]

    assert [answer.status for answer in answers] == [200, 200]
    assert answers[0].headers["content-type"] == JSON
    assert json.loads(answers[0].body) == {}
    assert len(ledger.spans()) == 2
    assert served.counts.duplicates == 2
    assert ledger.column("input_tokens") == [1000, 1000]


def in_two_members(body: bytes) -> bytes:
    return gzip.compress(body[:100]) + gzip.compress(body[100:])


@pytest.mark.parametrize(
    ("pack", "encoding"),
    [
        (gzip.compress, "gzip"),
        (zlib.compress, "deflate"),
        (in_two_members, "gzip"),
    ],
    ids=["gzip", "deflate", "gzip in two members"],
)
def test_packed_and_chunked_requests_are_taken(
    served: Collector, ledger: Ledger, pack: Callable[[bytes], bytes], encoding: str
) -> None:
    packed = pack(otlp.llm_request(5))
    pieces = [packed[at : at + 50] for at in range(0, len(packed), 50)]

    answer = send(served, iter(pieces), content_encoding=encoding)

    assert answer.status == 200
    assert len(ledger.spans()) == 5


@pytest.mark.parametrize("content_type", [PROTOBUF, JSON])
def test_an_empty_request_is_ok(served: Collector, content_type: str) -> None:
    assert send(served, b"{}" if content_type == JSON else b"", content_type).status == 200


def test_what_cannot_be_metered_is_kept_and_told_of(served: Collector, ledger: Ledger) -> None:
    bad = otlp.llm_span({"gen_ai.usage.input_tokens": -5})
    document = as_json(otlp.request([bad, otlp.llm_span()]))

    answer = send(served, json.dumps(document), JSON)

    assert answer.status == 200
    partial = json.loads(answer.body)["partialSuccess"]
    assert partial["rejectedSpans"] == "1"
    assert len(ledger.rejected()) == len(ledger.spans()) == 1


BAD_REQUESTS: dict[str, tuple[bytes, str, dict[str, str], int]] = {
    "truncated protobuf": (otlp.llm_request(1)[:-3], PROTOBUF, {}, 400),
    "no JSON": (b"{", JSON, {}, 400),
    "JSON, but a list": (b"[]", JSON, {}, 400),
    "an id that is no hexadecimal": (
        b'{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"%%%"}]}]}]}',
        JSON,
        {},
        400,
    ),
    "nested without end": (
        b'{"resourceSpans":' + b"[" * 5_000 + b"]" * 5_000 + b"}",
        JSON,
        {},
        400,
    ),
    "not packed as it says": (b"\x00" * 20, PROTOBUF, {"content_encoding": "gzip"}, 400),
    "packed and cut off": (
        gzip.compress(otlp.llm_request(1))[:-9],
        PROTOBUF,
        {"content_encoding": "gzip"},
        400,
    ),
    "packed in a way nobody knows": (b"", PROTOBUF, {"content_encoding": "br"}, 415),
    "another content type": (b"", "text/html", {}, 415),
    "too large": (b"\x00" * 1_000_001, PROTOBUF, {}, 413),
    "a bomb": (gzip.compress(b"\x00" * 200_000_000), PROTOBUF, {"content_encoding": "gzip"}, 413),
    "a forest of objects": (
        b'{"resourceSpans":[' + b"{}," * 330_000 + b"{}]}",
        JSON,
        {},
        413,
    ),
}


@pytest.mark.parametrize(
    ("body", "content_type", "headers", "status"), BAD_REQUESTS.values(), ids=BAD_REQUESTS
)
def test_fault_09_11_what_is_no_request_is_refused_with_a_status_and_harms_nobody(
    plain_dsn: str, body: bytes, content_type: str, headers: dict[str, str], status: int
) -> None:
    settings = CollectorSettings(
        dsn=plain_dsn,
        grpc="127.0.0.1:0",
        http="127.0.0.1:0",
        max_request_bytes=1_000_000,
        max_request_attributes=100_000,
    )
    with Collector(settings) as served:
        answer = send(served, body, content_type, **headers)

        assert answer.status == status
        message = Status()
        if answer.headers["content-type"] == JSON:
            json_format.Parse(answer.body, message)
        else:
            message.ParseFromString(answer.body)
        assert message.code
        assert message.message
        assert send(served, otlp.llm_request(1)).status == 200


def test_while_the_database_is_away_the_sender_is_asked_to_come_back(
    unavailable: Collector,
) -> None:
    answer = send(unavailable, otlp.llm_request(1))

    assert answer.status == 503
    assert answer.headers["retry-after"] in {"1", "2"}
    assert "database" in Status.FromString(answer.body).message


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/traces", 405),
        ("POST", "/v1/metrics", 404),
        ("GET", "/healthz", 200),
        ("HEAD", "/readyz", 200),
    ],
)
def test_paths_and_methods(served: Collector, method: str, path: str, status: int) -> None:
    answer = send(served, None, method=method, path=path)

    assert answer.status == status
    assert answer.headers.get("allow") == ("POST" if status == 405 else None)


def test_a_port_that_is_taken_is_said_so(served: Collector, plain_dsn: str) -> None:
    settings = CollectorSettings(dsn=plain_dsn, grpc="127.0.0.1:0", http=served.addresses.http)

    with pytest.raises(OSError, match=r"cannot listen on .* --http"):
        Collector(settings).start()


def test_fault_14_who_says_nothing_is_let_go_and_others_are_served(
    served: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_server, "HEADERS_TIMEOUT", 0.3)
    host, _, port = (served.addresses.http or "").rpartition(":")
    half_a_head = b"POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-"
    silent, slow = (socket.create_connection((host, int(port))) for _ in range(2))
    with silent, slow:
        slow.sendall(half_a_head)
        silent.settimeout(30)
        slow.settimeout(30)

        assert send(served, otlp.llm_request(1)).status == 200
        assert silent.recv(1) == b""
        assert slow.recv(1) == b""


def test_a_request_under_way_is_answered_while_the_collector_stops(
    plain_dsn: str,
) -> None:
    settings = CollectorSettings(
        dsn=plain_dsn, grpc="127.0.0.1:0", http="127.0.0.1:0", commit_linger=0.5
    )
    collector = Collector(settings)
    collector.start()
    connection = http.client.HTTPConnection(collector.addresses.http or "", timeout=30)
    connection.request("POST", "/v1/traces", otlp.llm_request(2), {"content-type": PROTOBUF})
    deadline = time.monotonic() + 30
    while collector.counts.received < 2 and time.monotonic() < deadline:
        time.sleep(0.01)

    collector.stop(grace=15)

    assert connection.getresponse().status == 200
    assert len(Ledger(plain_dsn).spans()) == 2
    connection.close()
