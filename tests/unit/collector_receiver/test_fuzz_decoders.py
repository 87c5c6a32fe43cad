"""The compiled decoder against the one in Python and protobuf's parser: the same spans, or all refuse."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from typing import Any

import pytest
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

import fuzzing
import otlp
from spanmeter.collector_receiver import parsed_spans
from spanmeter.collector_receiver.decode import DECODER
from spanmeter.collector_receiver.received import Malformed, Received, TooLarge

if DECODER != "compiled":
    pytest.skip("the compiled decoder is not here", allow_module_level=True)

from spanmeter.collector_receiver import _otlp

NO_LIMIT = 10**9
Decode = Callable[[bytes, int, int], list[Received]]


def outcome(decode: Decode, body: bytes, spans: int = NO_LIMIT, attributes: int = NO_LIMIT) -> Any:
    """What a decoder makes of a body, such that equal outcomes are equal in type, order and not-a-numbers too."""
    try:
        received = decode(body, spans, attributes)
    except (Malformed, TooLarge) as error:
        return type(error)
    return [(repr(span), payload()) for span, payload in received]


def is_message(body: bytes) -> bool:
    try:
        ExportTraceServiceRequest.FromString(body)
    except DecodeError:
        return False
    return True


@pytest.mark.parametrize("seed", range(4))
def test_fault_21_requests_out_of_all_form(seed: int) -> None:
    tried = spans = 0
    for body in fuzzing.requests(seed):
        compiled = outcome(_otlp.decode, body)
        assert compiled == outcome(parsed_spans.decode, body), body
        assert (compiled is not Malformed) == is_message(body), body
        tried += 1
        spans += 0 if compiled is Malformed else len(compiled)
    assert tried > 20
    assert spans > tried / 4, "enough of what is tried has spans to compare"


@pytest.mark.parametrize("seed", range(2))
def test_requests_with_more_than_is_taken(seed: int) -> None:
    for number, body in enumerate(fuzzing.requests(seed)):
        limits = number % 5, number % 23
        compiled = outcome(_otlp.decode, body, *limits)
        python = outcome(parsed_spans.decode, body, *limits)
        # Of a request that is both malformed and too large, each says what it met first.
        refusals = {Malformed, TooLarge}
        assert compiled == python or (compiled in refusals and python in refusals), (body, limits)
        assert python is not TooLarge or compiled is TooLarge or not is_message(body), body


@pytest.mark.parametrize("seed", range(2))
def test_fault_21_a_real_request_with_bytes_changed(seed: int) -> None:
    import random

    rng = random.Random(seed)
    real = otlp.llm_request(3)
    for _body in fuzzing.requests(seed):
        body = fuzzing.mutated(rng, real)
        assert outcome(_otlp.decode, body) == outcome(parsed_spans.decode, body), body


@given(st.binary(max_size=300))
def test_fault_21_any_bytes(body: bytes) -> None:
    assert outcome(_otlp.decode, body) == outcome(parsed_spans.decode, body)


@pytest.mark.parametrize("nested", [90, 91, 92, 93, 94, 95, 96, 97])
def test_the_deepest_nesting_that_the_parser_takes(nested: int) -> None:
    value = b""
    for level in range(nested):
        value = _submessage(5 if level % 2 else 1, value)  # AnyValue.array_value, ArrayValue.values
    if nested % 2:
        value = _submessage(5, value)
    body = value
    for number in (2, 9, 2, 2, 1):  # KeyValue.value, Span.attributes, ... ResourceSpans
        body = _submessage(number, body)

    assert (outcome(_otlp.decode, body) is not Malformed) == is_message(body)
    assert outcome(_otlp.decode, body) == outcome(parsed_spans.decode, body)


def test_decoding_leaves_nothing_behind() -> None:
    bodies = [body for body, _ in zip(fuzzing.requests(5), range(300), strict=False)]
    bodies += [otlp.llm_request(5), otlp.llm_request(5)[:-3]]

    def decode_all() -> int:
        for body in bodies:
            outcome(_otlp.decode, body)
            outcome(_otlp.decode, body, attributes=5)
        gc.collect()
        return sys.getallocatedblocks()

    decode_all()
    before = decode_all()
    after = max(decode_all() for _ in range(5))

    # A single object lost at each body would be 1,500 blocks.
    assert after - before < 200


def _submessage(number: int, content: bytes) -> bytes:
    length = len(content)
    return bytes([number << 3 | 2, length & 0x7F | 0x80, length >> 7]) + content
