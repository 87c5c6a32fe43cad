"""Records reach the collector, whatever it answers, over both protocols."""

from __future__ import annotations

import os
import threading
import time
from email.utils import formatdate
from pathlib import Path
from resource import RLIMIT_NOFILE, getrlimit, setrlimit

import pytest
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import RetryInfo  # type: ignore[import-untyped]
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTracePartialSuccess,
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from spanmeter.instrumentation.collected import aside
from spanmeter.instrumentation.pipeline.batch import Batch, Record
from unit.instrumentation.pipeline.making import pipeline, record
from unit.instrumentation.pipeline.receivers import Receiver, Reply, grpc_receiver, plain

Either = tuple[Receiver, str]

AWAY: dict[str, str | int] = {"grpc": "UNAVAILABLE", "http/protobuf": 503}
INVALID: dict[str, str | int] = {"grpc": "INVALID_ARGUMENT", "http/protobuf": 400}
UNAUTHENTICATED: dict[str, str | int] = {"grpc": "UNAUTHENTICATED", "http/protobuf": 401}
TOO_LARGE: dict[str, str | int] = {"grpc": "RESOURCE_EXHAUSTED", "http/protobuf": 413}


def count(request: ExportTraceServiceRequest) -> int:
    return sum(
        len(scope_spans.spans)
        for resource_spans in request.resource_spans
        for scope_spans in resource_spans.scope_spans
    )


def test_records_arrive_in_order_with_their_producer(either: Either, spool: Path) -> None:
    receiver, protocol = either
    sending = pipeline(spool, receiver.address, SPANMETER_PROTOCOL=protocol)
    made = [record(sending) for _ in range(1200)]
    made.append(record(sending, scope_name="spanmeter.anthropic", failed=True, parent_span_id=7))

    assert sending.flush(60)

    assert receiver.span_ids == made
    sequences = [
        plain(each.span.attributes)["usage.producer.sequence"] for each in receiver.arrived
    ]
    assert sequences == list(range(1, 1202))
    assert {each.resource["service.name"] for each in receiver.arrived} == {"answers"}
    assert {each.resource["usage.producer.id"] for each in receiver.arrived} == {
        sending.status().producer_id
    }
    assert "usage.producer.dropped" not in receiver.arrived[0].resource
    last = receiver.arrived[-1]
    assert (last.scope, last.span.status.code) == ("spanmeter.anthropic", 2)
    assert last.span.parent_span_id == (7).to_bytes(8, "big")
    assert max(map(count, receiver.requests)) <= 512
    sending.shutdown()
    assert list(spool.rglob("*.spool")) == []


def test_a_record_waits_for_others_but_not_for_long(collector: Receiver, spool: Path) -> None:
    sending = pipeline(spool, collector.address)
    for _ in range(20):
        record(sending)
    collector.wait_for(lambda: len(collector.arrived) == 20)
    assert len(collector.requests) <= 2
    sending.shutdown()


def test_gzip_and_headers(either: Either, spool: Path) -> None:
    receiver, protocol = either
    sending = pipeline(
        spool,
        receiver.address,
        SPANMETER_PROTOCOL=protocol,
        SPANMETER_COMPRESSION="gzip",
        SPANMETER_HEADERS="Authorization=Bearer%20key, x-team = a",
    )
    record(sending)
    assert sending.flush(60)
    (headers,) = receiver.headers
    assert headers["authorization"] == "Bearer key"
    assert headers["x-team"] == "a"
    assert str(headers["user-agent"]).startswith("spanmeter/")
    sending.shutdown()


def test_a_connection_is_kept_and_made_again_after_the_collector_was(spool: Path) -> None:
    with grpc_receiver() as first:
        port = int(first.address.rpartition(":")[2])
        sending = pipeline(spool, first.address)
        record(sending)
        assert sending.flush(60)
    with grpc_receiver(port) as second:
        record(sending)
        assert sending.flush(60)
        assert len(second.arrived) == 1
    sending.shutdown()


def test_what_is_not_taken_is_sent_again(either: Either, spool: Path) -> None:
    receiver, protocol = either
    receiver.replies.extend([Reply(AWAY[protocol], "restarting")] * 2)
    sending = pipeline(spool, receiver.address, SPANMETER_PROTOCOL=protocol)
    made = [record(sending) for _ in range(10)]
    assert not sending.flush(0.01)
    receiver.wait_for(lambda: len(receiver.arrived) == 10)
    assert receiver.span_ids == made
    assert receiver.asked >= 3
    sending.shutdown()


def test_a_collector_that_asks_for_time_is_given_it(either: Either, spool: Path) -> None:
    receiver, protocol = either
    delay = RetryInfo(retry_delay=Duration(seconds=2))
    detail = AnyMessage()
    detail.Pack(delay)
    standard = Status(code=14, message="busy", details=[detail]).SerializeToString()
    replies = {
        "grpc": [
            Reply("UNAVAILABLE", metadata=(("grpc-status-details-bin", standard),)),
            Reply(
                "RESOURCE_EXHAUSTED",
                metadata=(("google.rpc.retryinfo-bin", delay.SerializeToString()),),
            ),
        ],
        "http/protobuf": [
            Reply(429, metadata=(("Retry-After", "2"),)),
            Reply(503, metadata=(("Retry-After", formatdate(time.time() + 5, usegmt=True)),)),
        ],
    }
    receiver.replies.extend(replies[protocol])
    sending = pipeline(spool, receiver.address, SPANMETER_PROTOCOL=protocol)
    record(sending)
    began = time.monotonic()
    receiver.wait_for(lambda: bool(receiver.requests))
    # Backoff alone would have come twice within a second and a half.
    assert time.monotonic() - began >= 3.0
    sending.shutdown()


def test_a_refused_record_goes_to_dead_and_takes_no_other_along(
    either: Either, spool: Path
) -> None:
    receiver, protocol = either
    sending = pipeline(spool, receiver.address, SPANMETER_PROTOCOL=protocol)

    def refuse_poison(request: ExportTraceServiceRequest) -> Reply | None:
        scope_spans = request.resource_spans[0].scope_spans
        poisoned = any(span.name == "poison" for each in scope_spans for span in each.spans)
        return Reply(INVALID[protocol], "a poison") if poisoned else None

    receiver.script = refuse_poison
    made = [record(sending, name="poison" if n in {3, 77} else "chat") for n in range(100)]

    assert not sending.flush(60), "two are not acknowledged"

    assert receiver.span_ids == [span_id for n, span_id in enumerate(made) if n not in {3, 77}]
    status = sending.status()
    assert (status.dead, status.pending, status.delivered) == (2, 0, 98)
    (dead,) = spool.glob("*/dead/*")
    assert dead.read_bytes().count(b"a poison") == 2
    assert sending.flush(60), "nothing new was refused"
    sending.shutdown()


def test_a_collector_that_takes_less_at_once_is_sent_less(either: Either, spool: Path) -> None:
    receiver, protocol = either
    receiver.script = lambda request: Reply(TOO_LARGE[protocol]) if count(request) > 30 else None
    sending = pipeline(spool, receiver.address, SPANMETER_PROTOCOL=protocol)
    made = [record(sending) for _ in range(100)]
    assert sending.flush(60)
    assert receiver.span_ids == made
    assert sending.status().dead == 0
    sending.shutdown()


def test_a_wrong_key_loses_nothing(
    either: Either, spool: Path, caplog: pytest.LogCaptureFixture
) -> None:
    receiver, protocol = either
    receiver.replies.extend([Reply(UNAUTHENTICATED[protocol], "unknown key")] * 2)
    sending = pipeline(
        spool,
        receiver.address,
        SPANMETER_PROTOCOL=protocol,
        SPANMETER_HEADERS="authorization=Bearer hunter2",
    )
    made = record(sending)
    receiver.wait_for(lambda: bool(receiver.requests))
    assert receiver.span_ids == [made]
    assert "unknown key" in caplog.text
    assert "hunter2" not in caplog.text + repr(sending.settings) + repr(sending.status())
    sending.shutdown()


def test_a_partial_success_is_counted_and_logged(
    either: Either, spool: Path, caplog: pytest.LogCaptureFixture
) -> None:
    receiver, protocol = either
    partial = ExportTracePartialSuccess(rejected_spans=2, error_message="a clock is wrong")
    receiver.replies.append(Reply(response=ExportTraceServiceResponse(partial_success=partial)))
    sending = pipeline(spool, receiver.address, SPANMETER_PROTOCOL=protocol)
    for _ in range(5):
        record(sending)
    assert sending.flush(60)
    status = sending.status()
    assert (status.delivered, status.rejected) == (3, 2)
    assert "a clock is wrong" in caplog.text
    sending.shutdown()


def test_a_redirect_is_no_success(spool: Path, http_collector: Receiver) -> None:
    http_collector.replies.append(Reply(302, metadata=(("Location", "/elsewhere"),)))
    sending = pipeline(spool, http_collector.address, SPANMETER_PROTOCOL="http/protobuf")
    record(sending)
    http_collector.wait_for(lambda: bool(http_collector.requests))
    assert len(http_collector.arrived) == 1
    sending.shutdown()


def test_a_slow_collector_is_asked_again(either: Either, spool: Path) -> None:
    receiver, protocol = either
    receiver.replies.append(Reply(delay=3.0))
    sending = pipeline(
        spool, receiver.address, SPANMETER_PROTOCOL=protocol, SPANMETER_TIMEOUT="0.5"
    )
    made = record(sending)
    receiver.wait_for(lambda: receiver.span_ids == [made, made])
    sending.shutdown()


def test_a_collector_that_no_longer_answers_loses_nothing(either: Either, spool: Path) -> None:
    receiver, protocol = either
    sending = pipeline(
        spool, receiver.address, SPANMETER_PROTOCOL=protocol, SPANMETER_TIMEOUT="0.5"
    )
    made = [record(sending)]
    assert sending.flush(60)
    # On the connection that is open now.
    receiver.replies.append(Reply(AWAY[protocol], delay=2.0))
    made.append(record(sending))
    receiver.wait_for(lambda: receiver.asked == 2)
    made.append(record(sending))
    assert sending.flush(60)
    assert receiver.span_ids == made
    sending.shutdown()


def test_whatever_goes_wrong_is_tried_again(
    collector: Receiver, spool: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with collector.away():
        dead = pipeline(spool, collector.address)
        made = [record(dead)]
        dead.shutdown(0.01)
    surprised_by: set[tuple[Record, ...]] = set()
    request = Batch.request

    def surprising(batch: Batch) -> bytes:
        if batch.records in surprised_by:
            return request(batch)
        surprised_by.add(batch.records)
        raise RuntimeError("a surprise")

    monkeypatch.setattr(Batch, "request", surprising)
    sending = pipeline(spool, collector.address)
    made.append(record(sending))
    collector.wait_for(lambda: sorted(collector.span_ids) == made)
    assert len(surprised_by) == 2
    sending.shutdown()


def test_a_process_may_have_any_number_of_files_open(collector: Receiver, spool: Path) -> None:
    soft, hard = getrlimit(RLIMIT_NOFILE)
    setrlimit(RLIMIT_NOFILE, (max(soft, 2048), hard))
    held = [os.open(os.devnull, os.O_RDONLY) for _ in range(1024)]
    try:
        sending = pipeline(spool, collector.address)
        for _ in range(2):
            record(sending)
            assert sending.flush(60)
        sending.shutdown()
    finally:
        for each in held:
            os.close(each)
        setrlimit(RLIMIT_NOFILE, (soft, hard))


def test_the_end_is_put_off_no_longer_than_it_may_be(spool: Path, collector: Receiver) -> None:
    """For records that another thread has yet to make, and for the collector, together."""
    collector.replies.append(Reply("UNAVAILABLE", delay=12.0))
    busy = threading.Event()

    def wait() -> None:
        busy.wait(60)

    aside.put(wait)
    sending = pipeline(spool, collector.address)
    record(sending)
    began = time.monotonic()
    sending.shutdown(4)
    took = time.monotonic() - began
    busy.set()
    assert took < 7.0
