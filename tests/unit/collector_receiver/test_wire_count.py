"""The counts on the wire agree with the parser, whichever decoder takes them, and trust no length."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable

import pytest
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

import fuzzing
import otlp
from spanmeter.collector_receiver import parsed_spans
from spanmeter.collector_receiver.decode import DECODER, Undecodable, decode
from spanmeter.collector_receiver.received import Malformed, Received, TooLarge
from spanmeter.collector_receiver.wire_count import check_counts

Decode = Callable[[bytes, int, int], list[Received]]
DECODERS: dict[str, Decode] = {"python": parsed_spans.decode}
if DECODER == "compiled":
    from spanmeter.collector_receiver import _otlp

    DECODERS["compiled"] = _otlp.decode


@pytest.fixture(params=DECODERS)
def either(request: pytest.FixtureRequest) -> Decode:
    return DECODERS[request.param]


def repeated(message: Message) -> int:
    """How many elements of repeated fields the parser found, spans excepted."""
    found = 0
    for field, value in message.ListFields():
        elements = value if field.is_repeated else [value]
        if field.is_repeated and field.full_name != "opentelemetry.proto.trace.v1.ScopeSpans.spans":
            found += len(elements)
        if field.type == FieldDescriptor.TYPE_MESSAGE:
            found += sum(repeated(element) for element in elements)
    return found


def span_count(message: ExportTraceServiceRequest) -> int:
    return sum(
        len(scope.spans) for resource in message.resource_spans for scope in resource.scope_spans
    )


def test_both_count_what_the_parser_finds(either: Decode) -> None:
    tried = 0
    for body in fuzzing.requests(11):
        try:
            message = ExportTraceServiceRequest.FromString(body)
        except Exception:  # noqa: BLE001, S112  the other test is about these
            continue
        # What a later value of the same attribute replaces was parsed as well, and may have been more.
        spans, attributes = span_count(message), repeated(message)
        if attributes:
            with pytest.raises(TooLarge, match="attributes"):
                either(body, spans, attributes - 1)
        if spans:
            with pytest.raises(TooLarge, match=f"^{spans} spans"):
                either(body, spans - 1, 10**6)
        tried += 1
    assert tried > 20


def test_a_request_at_its_limits_is_taken(either: Decode) -> None:
    body = otlp.llm_request(3)
    # Three times the attributes of a call and its response, one of the resource, the resource and the scope.
    most = 3 * (len(otlp.CALL) + 1) + 3

    assert len(either(body, 3, most)) == 3
    with pytest.raises(TooLarge):
        either(body, 2, most)
    with pytest.raises(TooLarge):
        either(body, 3, most - 1)


def test_unknown_fields_of_every_wire_type_are_stepped_over(either: Decode) -> None:
    unknown = (
        b"\xf8\x01\xff\x01" + b"\xf9\x01" + bytes(8) + b"\xfa\x01\x02ab" + b"\xfd\x01" + bytes(4)
    )
    group = b"\xfb\x01" + unknown + b"\xfc\x01"

    assert len(either(unknown + otlp.llm_request(3) + group, 3, 50)) == 3


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"\x0a\x7f\x00", id="a length beyond the end"),
        pytest.param(b"\x0a", id="no length"),
        pytest.param(b"\x80" * 12, id="an endless number"),
        pytest.param(b"\x0b", id="a group without an end"),
        pytest.param(b"\x0a\x02\x12\x05", id="a field longer than its message"),
        pytest.param(b"\x09\x00", id="a fixed field cut off"),
    ],
)
def test_bytes_that_are_no_message_are_malformed(either: Decode, body: bytes) -> None:
    with pytest.raises(Malformed):
        either(body, 10, 0)


@given(st.binary(max_size=200))
def test_any_bytes_are_counted_or_malformed(body: bytes) -> None:
    with contextlib.suppress(Malformed, TooLarge):
        check_counts(body, 5, 5)


@pytest.mark.parametrize(
    "path",
    [
        pytest.param((1, 2, 2), id="spans"),
        pytest.param((1,), id="resources"),
        pytest.param((1, 2), id="scopes"),
        pytest.param((1, 1, 1), id="attributes of a resource"),
        pytest.param((1, 1, 3, 3), id="keys of an entity"),
        pytest.param((1, 2, 1, 3), id="attributes of a scope"),
        pytest.param((1, 2, 2, 9), id="attributes"),
        pytest.param((1, 2, 2, 11), id="events"),
        pytest.param((1, 2, 2, 13), id="links"),
        pytest.param((1, 2, 2, 11, 3), id="attributes of an event"),
        pytest.param((1, 2, 2, 13, 4), id="attributes of a link"),
        pytest.param((1, 2, 2, 9, 2, 5, 1), id="items of a list"),
        pytest.param((1, 2, 2, 9, 2, 6, 1), id="members of a map"),
    ],
)
def test_two_million_empty_elements_of_any_kind_are_refused_before_they_take_memory(
    either: Decode, path: tuple[int, ...]
) -> None:
    body = bytes([path[-1] << 3 | 2, 0]) * 2_000_000
    for number in reversed(path[:-1]):
        body = bytes([number << 3 | 2]) + _varint(len(body)) + body

    started = time.process_time()

    with pytest.raises(TooLarge):
        either(body, 20_000, 500_000)
    assert time.process_time() - started < 10


def test_the_sender_learns_what_was_too_many() -> None:
    many = otlp.request([otlp.llm_span({f"attribute {n}": n for n in range(100)})])

    with pytest.raises(Undecodable, match="holds more than 50 attributes") as caught:
        decode(many, max_spans=1, max_attributes=50)

    assert "lower the exporter's batch size" in str(caught.value)


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])
