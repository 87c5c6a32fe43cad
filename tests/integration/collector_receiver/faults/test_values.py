"""F11, F12, F13: what is no request, values that no row can hold, and clocks that are wrong."""

from __future__ import annotations

import random
from collections.abc import Callable

import grpc
import pytest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue, KeyValueList
from opentelemetry.proto.trace.v1.trace_pb2 import Span

import otlp
from booking import query
from collecting import Ledger
from otlp import Client
from spanmeter.collector_receiver import Collector, CollectorSettings

DAY = 86_400
CHUNKS = "SELECT count(*) FROM show_chunks('usage_events')"


LIST = AnyValue(array_value=ArrayValue(values=[AnyValue(int_value=1)]))


def nested(depth: int) -> bytes:
    """A request with an attribute that is a list of lists of lists ..., which no library would write."""
    content = b""
    # ArrayValue.values and AnyValue.array_value again and again; then KeyValue.value, Span.attributes, and up.
    for number in [*[1, 5] * depth, 2, 9, 2, 2, 1]:
        content = bytes([number << 3 | 2]) + varint(len(content)) + content
    return content


def varint(number: int) -> bytes:
    more = [number >> shift & 0x7F | 0x80 for shift in range(0, max(1, number.bit_length()), 7)]
    return bytes([*more[:-1], more[-1] & 0x7F])


def with_value(name: str, value: AnyValue) -> Span:
    span = otlp.llm_span()
    span.attributes.append(KeyValue(key=name, value=value))
    return span


def with_ids(trace_id: bytes, span_id: bytes) -> Span:
    span = otlp.llm_span()
    span.trace_id, span.span_id = trace_id, span_id
    return span


def at(start: int, end: int) -> Span:
    span = otlp.llm_span()
    span.start_time_unix_nano, span.end_time_unix_nano = start, end
    return span


MALFORMED: dict[str, Callable[[], bytes]] = {
    "truncated": lambda: otlp.llm_request(2)[:-7],
    "nested without end": lambda: nested(200),
    "no UTF-8": lambda: otlp.llm_request(1).replace(b"chatcmpl-", b"chatcmp\xff-"),
    "text": lambda: b"not protobuf at all",
}


@pytest.mark.parametrize("body", MALFORMED.values(), ids=MALFORMED)
def test_fault_11_what_is_no_request_is_refused_for_good_and_leaves_nothing(
    client: Client, ledger: Ledger, body: Callable[[], bytes]
) -> None:
    assert client.error_of(body()).code() is grpc.StatusCode.INVALID_ARGUMENT
    client.export(otlp.llm_request(1))

    assert len(ledger.spans()) == 1
    assert ledger.rejected() == []


POISON: dict[str, Callable[[], Span]] = {
    "NUL in the tenant": lambda: otlp.llm_span({"tenant.id": "ac\0me"}),
    "NUL in a dimension": lambda: otlp.llm_span({"usage.dimension.team": "\0"}),
    "NUL in a dimension's name": lambda: otlp.llm_span({"usage.dimension.te\0am": "a"}),
    "an endless number": lambda: otlp.llm_span({"usage.quantity.pages": float("inf")}),
    "not a number": lambda: otlp.llm_span({"usage.quantity.pages": float("nan")}),
    "12 KB of what is indexed": lambda: otlp.llm_span({"tenant.id": random.randbytes(9000).hex()}),
    "a negative count": lambda: otlp.llm_span({"gen_ai.usage.output_tokens": -1}),
    "a huge count": lambda: otlp.llm_span({"gen_ai.usage.input_tokens": 2**63 - 1}),
    "a count that is text": lambda: otlp.llm_span({"gen_ai.usage.input_tokens": "many"}),
    "a count that is a list": lambda: with_value("gen_ai.usage.input_tokens", LIST),
    "a tenant that is a map": lambda: with_value(
        "tenant.id", AnyValue(kvlist_value=KeyValueList(values=[KeyValue(key="a")]))
    ),
    "a time beyond all years": lambda: at(2**64 - 1, 2**64 - 1),
    "ids of zeros": lambda: with_ids(bytes(16), bytes(8)),
    "no ids": lambda: with_ids(b"", b""),
    "ids of another length": lambda: with_ids(b"1" * 17, b"1" * 7),
}
SANITISED = {"NUL in a dimension's name", "a tenant that is a map"}
"""These may be booked without what no row can hold."""


@pytest.mark.parametrize("poison", POISON)
def test_fault_12_poison_is_rejected_alone_or_booked_without_it(
    client: Client, collector: Collector, ledger: Ledger, poison: str
) -> None:
    good = [otlp.llm_span() for _ in range(3)]
    bad = POISON[poison]()
    body = otlp.request([good[0], bad, *good[1:]])

    answers = [client.export(body) for _ in range(2)]

    booked = set(ledger.spans())
    rejected = answers[0].partial_success.rejected_spans
    assert {span.span_id for span in good} <= booked
    assert len(booked) + rejected == 4
    assert rejected == 1 or poison in SANITISED
    assert answers[0] == answers[1]
    assert len(ledger.rejected()) == rejected, "it is kept, once"
    assert collector.counts.stored == len(booked)


def test_fault_12_much_poison_at_once_keeps_no_neighbour_back(
    client: Client, ledger: Ledger
) -> None:
    """What only the database refuses is found by halving."""
    ledger.execute("ALTER TABLE usage_events ADD CONSTRAINT x CHECK (tenant_id <> 'poison')")
    spans = [otlp.llm_span({"tenant.id": "poison"} if n % 10 == 3 else {}) for n in range(100)]

    answer = client.export(otlp.request(spans), timeout=60)

    assert answer.partial_success.rejected_spans == 10
    assert len(ledger.spans()) == 90
    assert {row.reason for row in ledger.rejected()} == {"refused_by_database"}


def test_fault_13_wrong_clocks_are_set_aside_and_make_no_chunks(
    timescale_dsn: str,
) -> None:
    settings = CollectorSettings(dsn=timescale_dsn, grpc="127.0.0.1:0")
    wrong = [
        at(0, 0),
        at(1, 2),
        otlp.llm_span(age=-3600),
        otlp.llm_span(age=-100 * 365 * DAY),
        otlp.llm_span(age=50 * 365 * DAY),
        *(otlp.llm_span(age=(401 + n) * DAY) for n in range(3000)),
    ]
    backwards = otlp.llm_span()
    backwards.end_time_unix_nano = backwards.start_time_unix_nano - 1
    good = [otlp.llm_span(), otlp.llm_span(age=399 * DAY)]
    with Collector(settings) as collector, Client(collector.grpc_address) as client:
        answer = client.export(otlp.request([*wrong, backwards, *good]), timeout=60)

    assert len(wrong) <= answer.partial_success.rejected_spans <= len(wrong) + 1
    assert {span.span_id for span in good} <= set(Ledger(timescale_dsn).spans())
    assert query(timescale_dsn, CHUNKS) == [(2,)]


def test_fault_13_calls_of_every_day_that_is_taken_are_few_chunks(timescale_dsn: str) -> None:
    settings = CollectorSettings(dsn=timescale_dsn, grpc="127.0.0.1:0")
    with Collector(settings) as collector, Client(collector.grpc_address) as client:
        spans = [otlp.llm_span(age=day * DAY + 60) for day in range(400)]
        assert not client.export(otlp.request(spans), timeout=60).HasField("partial_success")

    assert len(Ledger(timescale_dsn).spans()) == 400
    ((chunks,),) = query(timescale_dsn, CHUNKS)
    assert chunks <= 400 // 7 + 2
