"""The count of spans on the wire agrees with the parser, and does not trust lengths."""

import contextlib
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

import otlp
from spanmeter.collector_receiver.span_count import Malformed, span_count


@given(st.lists(st.lists(st.lists(st.integers(0, 3), max_size=3), max_size=3), max_size=3))
def test_it_counts_what_the_parser_finds(resources: list[list[list[int]]]) -> None:
    message = ExportTraceServiceRequest()
    for scopes in resources:
        resource_spans = message.resource_spans.add(schema_url="x" * len(scopes) * 100)
        for spans in scopes:
            scope_spans = resource_spans.scope_spans.add()
            scope_spans.spans.extend(otlp.llm_span() for _ in spans)

    found = sum(
        len(scope.spans) for resource in message.resource_spans for scope in resource.scope_spans
    )

    assert span_count(message.SerializeToString()) == found


def test_unknown_fields_of_every_wire_type_are_stepped_over() -> None:
    unknown = (
        b"\xf8\x01\xff\x01" + b"\xf9\x01" + bytes(8) + b"\xfa\x01\x02ab" + b"\xfd\x01" + bytes(4)
    )

    assert span_count(unknown + otlp.llm_request(3) + unknown) == 3


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"\x0a\x7f\x00", id="a length beyond the end"),
        pytest.param(b"\x0a", id="no length"),
        pytest.param(b"\x80" * 12, id="an endless number"),
        pytest.param(b"\x0b\x0c", id="a group"),
        pytest.param(b"\x0a\x02\x12\x05", id="a field longer than its message"),
    ],
)
def test_bytes_that_are_no_message_are_malformed(body: bytes) -> None:
    with pytest.raises(Malformed):
        span_count(body)


@given(st.binary(max_size=200))
def test_any_bytes_are_counted_or_malformed(body: bytes) -> None:
    with contextlib.suppress(Malformed):
        assert span_count(body) >= 0


def test_a_million_empty_spans_are_counted_without_parsing_them() -> None:
    scope = b"\x12\x00" * 1_000_000
    resource = b"\x12" + _varint(len(scope)) + scope
    body = b"\x0a" + _varint(len(resource)) + resource

    started = time.process_time()

    assert span_count(body) == 1_000_000
    assert time.process_time() - started < 10


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])
