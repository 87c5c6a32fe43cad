"""What is written by hand is what OpenTelemetry's own protobuf classes read."""

from __future__ import annotations

import enum
import math
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from spanmeter.instrumentation.pipeline import encoding
from spanmeter.instrumentation.pipeline.attribute_fields import attribute
from spanmeter.instrumentation.pipeline.protobuf import Malformed, field, fields, varint
from spanmeter.instrumentation.pipeline.values import MAX_DEPTH, any_value

INT64 = st.integers(-(1 << 63), (1 << 63) - 1)
TEXT = st.text(st.characters(exclude_categories=()), max_size=300)
"""Lone surrogates included."""
SCALARS = st.none() | st.booleans() | INT64 | st.floats() | TEXT | st.binary(max_size=300)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4)
)


def span(**fields: Any) -> Span:
    """What is read of a span that was written."""
    written = {
        "trace_id": 1,
        "span_id": 1,
        "name": "chat",
        "kind": 3,
        "start_ns": 1,
        "end_ns": 2,
        "attributes": {},
    }
    return Span.FromString(encoding.span(**{**written, **fields}))


def readable(text: str) -> str:
    """The text where Unicode can encode it; U+FFFD for each half of a pair that stands alone."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def same(value: AnyValue, expected: Any) -> bool:
    kind = value.WhichOneof("value")
    match expected:
        case None:
            return kind is None
        case bool():
            return kind == "bool_value" and value.bool_value is expected
        case int():
            return kind == "int_value" and value.int_value == expected
        case float():
            if math.isnan(expected):
                return kind == "double_value" and math.isnan(value.double_value)
            return kind == "double_value" and value.double_value == expected
        case str():
            return kind == "string_value" and value.string_value == readable(expected)
        case bytes():
            return kind == "bytes_value" and value.bytes_value == expected
        case list():
            items = value.array_value.values
            return kind == "array_value" and all(
                same(item, wanted) for item, wanted in zip(items, expected, strict=True)
            )
        case _:
            pairs = value.kvlist_value.values
            return kind == "kvlist_value" and all(
                pair.key == readable(name) and same(pair.value, item)
                for pair, (name, item) in zip(pairs, expected.items(), strict=True)
            )


@given(st.dictionaries(TEXT, VALUES, max_size=12))
def test_any_attributes_are_read_as_they_were_written(attributes: dict[str, Any]) -> None:
    # Twice, since what stands before a value is kept from the first time on.
    for read in (span(attributes=attributes), span(attributes=attributes)):
        assert len(read.attributes) == len(attributes)
        for found, (name, value) in zip(read.attributes, attributes.items(), strict=True):
            assert found.key == readable(name)
            assert same(found.value, value)


@given(st.dictionaries(TEXT, VALUES, max_size=12))
def test_any_resource_is_read_as_it_was_written(attributes: dict[str, Any]) -> None:
    read = Resource.FromString(encoding.resource(attributes))
    for found, (name, value) in zip(read.attributes, attributes.items(), strict=True):
        assert found.key == readable(name)
        assert same(found.value, value)


@given(
    trace_id=st.integers(0, (1 << 128) - 1),
    span_id=st.integers(0, (1 << 64) - 1),
    parent=st.integers(0, (1 << 64) - 1),
    name=TEXT,
    state=TEXT,
    flags=st.integers(0, 255),
    start=st.integers(0, (1 << 64) - 1),
    end=st.integers(0, (1 << 64) - 1),
    failed=st.booleans(),
    message=TEXT,
)
def test_any_span_is_read_as_it_was_written(
    trace_id: int,
    span_id: int,
    parent: int,
    name: str,
    state: str,
    flags: int,
    start: int,
    end: int,
    failed: bool,  # noqa: FBT001 (drawn)
    message: str,
) -> None:
    read = span(
        trace_id=trace_id,
        span_id=span_id,
        parent_span_id=parent,
        name=name,
        trace_state=state,
        trace_flags=flags,
        start_ns=start,
        end_ns=end,
        status=2 if failed else 0,
        status_message=message,
    )
    expected = Span(
        trace_id=trace_id.to_bytes(16, "big"),
        span_id=span_id.to_bytes(8, "big"),
        parent_span_id=parent.to_bytes(8, "big") if parent else b"",
        name=readable(name),
        trace_state=readable(state),
        flags=flags,
        kind=Span.SPAN_KIND_CLIENT,
        start_time_unix_nano=start,
        end_time_unix_nano=end,
    )
    if failed:
        expected.status.code, expected.status.message = Status.STATUS_CODE_ERROR, readable(message)
    assert read == expected


def test_an_attribute_behind_a_span_belongs_to_it() -> None:
    written = encoding.span(
        trace_id=1, span_id=1, name="", kind=3, start_ns=0, end_ns=0, attributes={"a": "b"}
    )
    read = Span.FromString(written + attribute("usage.producer.sequence", 300))
    assert [(each.key, each.value.int_value) for each in read.attributes] == [
        ("a", 0),
        ("usage.producer.sequence", 300),
    ]


def test_times_that_cannot_be_are_the_nearest_that_can() -> None:
    read = span(start_ns=-5, end_ns=1 << 70)
    assert (read.start_time_unix_nano, read.end_time_unix_nano) == (0, (1 << 64) - 1)


class Tier(enum.StrEnum):
    FAST = "fast"


class OldTier(str, enum.Enum):  # noqa: UP042 (older applications have these)
    SLOW = "slow"


class Unwritable:
    def __str__(self) -> str:
        raise RuntimeError


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1 << 63, str(1 << 63)),
        (-(1 << 63) - 1, str(-(1 << 63) - 1)),
        (Decimal("1.10"), "1.10"),
        (Tier.FAST, "fast"),
        (OldTier.SLOW, "slow"),
        (Unwritable(), "<Unwritable>"),
    ],
)
def test_what_otlp_has_no_type_for_is_text(value: object, expected: str) -> None:
    read = span(attributes={"a": value}).attributes[0].value
    assert read.WhichOneof("value") == "string_value"
    assert read.string_value == expected


def test_both_halves_of_a_pair_are_the_character() -> None:
    assert span(name="\ud83d\ude00").name == "\U0001f600"


def test_a_list_that_holds_itself_ends() -> None:
    loop: list[Any] = []
    loop.append(loop)
    read = AnyValue.FromString(any_value(loop))
    for _ in range(MAX_DEPTH):
        read = read.array_value.values[0]
    assert read.WhichOneof("value") == "string_value"


def test_more_names_than_are_kept_are_written_all_the_same() -> None:
    for start in range(0, 5000, 50):
        attributes = {f"name.{n}": n for n in range(start, start + 50)}
        read = span(attributes=attributes).attributes
        assert {each.key: each.value.int_value for each in read} == attributes


def test_a_scope() -> None:
    read = InstrumentationScope.FromString(encoding.scope("spanmeter.openai", "1.2"))
    assert (read.name, read.version) == ("spanmeter.openai", "1.2")
    assert InstrumentationScope.FromString(encoding.scope("a")).version == ""


@given(st.integers(0, (1 << 64) - 1), st.binary(max_size=300))
def test_fields_are_read_as_they_were_written(number: int, value: bytes) -> None:
    message = (
        varint(1 << 3) + varint(number) + field(2, value) + b"\x19" + bytes(8) + b"\x25" + bytes(4)
    )
    assert list(fields(message)) == [(1, number), (2, value), (3, bytes(8)), (4, bytes(4))]


@given(st.binary(max_size=64))
def test_any_bytes_are_read_or_are_malformed(message: bytes) -> None:
    try:
        for number, _ in fields(message):
            assert number >= 0
    except Malformed:
        pass


@pytest.mark.parametrize("message", [b"\x0a", b"\x0a\x05ab", b"\x0b", b"\xff" * 11, b"\x08"])
def test_what_is_cut_off_is_malformed(message: bytes) -> None:
    with pytest.raises(Malformed):
        list(fields(message))
