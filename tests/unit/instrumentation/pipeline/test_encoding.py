"""What is written by hand is what OpenTelemetry's own protobuf classes read."""

from __future__ import annotations

import enum
from decimal import Decimal
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from opentelemetry.trace import SpanKind

from spanmeter.instrumentation.pipeline import encoding
from spanmeter.instrumentation.pipeline.encoding import encoded_attributes
from spanmeter.instrumentation.pipeline.protobuf import Malformed, field, fields, varint
from spanmeter.instrumentation.pipeline.values import MAX_DEPTH, any_value
from spanmeter.metering.attributes import PRODUCER_SEQUENCE

CLIENT = encoding.KINDS[SpanKind.CLIENT]
INT64 = st.integers(-(1 << 63), (1 << 63) - 1)
TEXT = st.text(st.characters(exclude_categories=()), max_size=300)
"""Lone surrogates included."""
SCALARS = st.none() | st.booleans() | INT64 | st.floats() | TEXT | st.binary(max_size=300)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4)
)


def span(
    *,
    trace_id: int = 1,
    span_id: int = 1,
    parent_span_id: int = 0,
    name: str = "chat",
    start_ns: Any = 1,
    end_ns: Any = 2,
    encoded: bytes = b"",
    attributes: dict[str, object] | None = None,
    trace_flags: int = 0,
    sequence: int = 0,
    **rare: Any,
) -> Span:
    """What is read of a span that was written."""
    ids = (trace_id, span_id, parent_span_id)
    own, rest = attributes or {}, encoding.rest(**rare)
    written = encoding.name(name)
    fields = (*ids, written, CLIENT, start_ns, end_ns, encoded, own, rest, trace_flags)
    return Span.FromString(encoding.span(fields, sequence))


def readable(text: str) -> str:
    """The text where Unicode can encode it; U+FFFD for each half of a pair that stands alone."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def read(value: AnyValue) -> object:
    """The value in Python's types, as OpenTelemetry's classes read it."""
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [read(item) for item in value.array_value.values]
    if kind == "kvlist_value":
        return [(pair.key, read(pair.value)) for pair in value.kvlist_value.values]
    # NaN is not equal to itself, and True is equal to 1; how they are written tells them apart.
    return repr(getattr(value, kind)) if kind else None


def expected(value: object) -> object:
    """What `read` should give of a value that was written."""
    if isinstance(value, list):
        return [expected(item) for item in cast("list[object]", value)]
    if isinstance(value, dict):
        pairs = cast("dict[str, object]", value)
        return [(readable(name), expected(item)) for name, item in pairs.items()]
    if value is None:
        return None
    return repr(readable(value) if isinstance(value, str) else value)


@given(st.dictionaries(TEXT, VALUES, max_size=12))
def test_any_attributes_are_read_as_they_were_written(attributes: dict[str, Any]) -> None:
    # Twice, since what stands before a value is kept from the first time on.
    for whole in (span(attributes=attributes), span(attributes=attributes)):
        found = [(each.key, read(each.value)) for each in whole.attributes]
        assert found == expected(attributes)


@given(st.dictionaries(TEXT, VALUES, max_size=12))
def test_any_resource_is_read_as_it_was_written(attributes: dict[str, Any]) -> None:
    whole = Resource.FromString(encoding.resource(attributes))
    assert [(each.key, read(each.value)) for each in whole.attributes] == expected(attributes)


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
    dropped=st.integers(0, (1 << 32) - 1),
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
    dropped: int,
) -> None:
    found = span(
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
        dropped_attributes=dropped,
    )
    wanted = Span(
        trace_id=trace_id.to_bytes(16, "big"),
        span_id=span_id.to_bytes(8, "big"),
        parent_span_id=parent.to_bytes(8, "big") if parent else b"",
        name=readable(name),
        trace_state=readable(state),
        flags=flags,
        kind=Span.SPAN_KIND_CLIENT,
        start_time_unix_nano=start,
        end_time_unix_nano=end,
        dropped_attributes_count=dropped,
    )
    if failed:
        wanted.status.code, wanted.status.message = Status.STATUS_CODE_ERROR, readable(message)
    assert found == wanted


def test_attributes_that_are_encoded_already_belong_to_the_span() -> None:
    found = span(attributes={"a": "b"}, encoded=encoded_attributes({"c": "d"}), sequence=300)
    assert {each.key: each.value for each in found.attributes} == {
        "a": AnyValue(string_value="b"),
        "c": AnyValue(string_value="d"),
        PRODUCER_SEQUENCE: AnyValue(int_value=300),
    }


@pytest.mark.parametrize(
    ("start", "end", "wanted"), [(-5, 1 << 70, (0, (1 << 64) - 1)), (1.0, 2.5, (1, 2))]
)
def test_times_that_cannot_be_are_the_nearest_that_can(
    start: float, end: float, wanted: tuple[int, int]
) -> None:
    found = span(start_ns=start, end_ns=end)
    assert (found.start_time_unix_nano, found.end_time_unix_nano) == wanted


class Tier(enum.StrEnum):
    FAST = "fast"


class OldTier(str, enum.Enum):  # noqa: UP042 (older applications have these)
    SLOW = "slow"


class Unwritable:
    def __str__(self) -> str:
        raise RuntimeError


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        (1 << 63, str(1 << 63)),
        (-(1 << 63) - 1, str(-(1 << 63) - 1)),
        (Decimal("1.10"), "1.10"),
        (Tier.FAST, "fast"),
        (OldTier.SLOW, "slow"),
        (Unwritable(), "<Unwritable>"),
    ],
)
def test_what_otlp_has_no_type_for_is_text(value: object, wanted: str) -> None:
    found = span(attributes={"a": value}).attributes[0].value
    assert found.WhichOneof("value") == "string_value"
    assert found.string_value == wanted


def test_both_halves_of_a_pair_are_the_character() -> None:
    assert span(name="\ud83d\ude00").name == "\U0001f600"


def test_a_list_that_holds_itself_ends() -> None:
    loop: list[Any] = []
    loop.append(loop)
    found = AnyValue.FromString(any_value(loop))
    for _ in range(MAX_DEPTH):
        found = found.array_value.values[0]
    assert found.WhichOneof("value") == "string_value"


def test_a_scope() -> None:
    found = InstrumentationScope.FromString(encoding.scope("spanmeter.openai", "1.2"))
    assert (found.name, found.version) == ("spanmeter.openai", "1.2")
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
