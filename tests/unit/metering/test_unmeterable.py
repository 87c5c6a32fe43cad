"""Spans that say they are calls and cannot be booked: each reason, and what is not one."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pytest

from spanmeter.metering.quantities import MAX_UNITS
from spanmeter.metering.reading import MAX_COUNT, MAX_TEXT
from spanmeter.metering.span import AttributeValue, Span
from spanmeter.metering.unmeterable import Unmeterable
from spanmeter.metering.who import MAX_DIMENSIONS
from unit.metering.spans import METER, NOW, metered, span

INPUT = "gen_ai.usage.input_tokens"
HUGE = 10**5000
"""A number that Python refuses to spell out."""


def refused(one: Span) -> Unmeterable:
    with pytest.raises(Unmeterable) as raised:
        METER.meter(one, NOW)
    assert len(raised.value.detail) < 300
    assert str(raised.value) == f"{raised.value.reason}: {raised.value.detail}"
    return raised.value


@pytest.mark.parametrize(
    ("attributes", "reason"),
    [
        ({INPUT: -1}, "bad_count"),
        ({INPUT: MAX_COUNT + 1}, "bad_count"),
        ({INPUT: HUGE}, "bad_count"),
        ({INPUT: True}, "bad_count"),
        ({INPUT: 1.5}, "bad_count"),
        ({INPUT: float("nan")}, "bad_count"),
        ({INPUT: float("inf")}, "bad_count"),
        ({INPUT: "many"}, "bad_count"),
        ({INPUT: "²"}, "bad_count"),
        ({INPUT: "9" * 5000}, "bad_count"),
        ({INPUT: [1]}, "bad_count"),
        ({"usage.attempt": -1}, "bad_count"),
        ({"usage.cache_write.soon.input_tokens": 1}, "bad_count"),
        ({"tenant.id": "a\0b"}, "bad_text"),
        ({"tenant.id": "\ud800"}, "bad_text"),
        ({"tenant.id": "x" * (MAX_TEXT + 1)}, "bad_text"),
        ({"tenant.id": "é" * (MAX_TEXT // 2 + 1)}, "bad_text"),
        ({"tenant.id": ["acme"]}, "bad_text"),
        ({"tenant.id": {"name": "acme"}}, "bad_text"),
        ({"tenant.id": b"acme"}, "bad_text"),
        ({"tenant.id": float("nan")}, "bad_text"),
        ({"gen_ai.response.id": "a\0b"}, "bad_text"),
        ({"usage.dimension.team": "a\0b"}, "bad_text"),
        ({"usage.dimension.te\0am": "a"}, "bad_text"),
        ({"usage.dimension." + "x" * 2000: "a"}, "bad_text"),
        ({"usage.dimension.": "a"}, "bad_dimension"),
        ({f"usage.dimension.{n}": "a" for n in range(MAX_DIMENSIONS + 1)}, "bad_dimension"),
        ({"gen_ai.provider.name": None}, "no_provider"),
        ({"gen_ai.provider.name": "  "}, "no_provider"),
        ({"gen_ai.request.model": None}, "no_model"),
        ({"gen_ai.request.model": ""}, "no_model"),
        ({"usage.billable_state": "maybe"}, "bad_billable_state"),
        ({"usage.account_type": "Free"}, "bad_account_type"),
        ({"usage.source": "guess"}, "bad_usage_source"),
        ({"usage.source": "none"}, "bad_usage_source"),
        ({"usage.unit": "images"}, "bad_quantity"),
        ({"usage.quantity": 2}, "bad_quantity"),
        ({"usage.unit": "images", "usage.quantity": "two"}, "bad_quantity"),
        ({"usage.unit": "images", "usage.quantity": True}, "bad_quantity"),
        ({"usage.unit": "images", "usage.quantity": -1}, "bad_quantity"),
        ({"usage.unit": "images", "usage.quantity": "NaN"}, "bad_quantity"),
        ({"usage.unit": "images", "usage.quantity": "sNaN"}, "bad_quantity"),
        ({"usage.unit": "images", "usage.quantity": "1e-999999"}, "bad_quantity"),
        ({"usage.unit": "images", "usage.quantity": HUGE}, "bad_quantity"),
        ({"usage.unit": "input_tokens", "usage.quantity": 5}, "bad_quantity"),
        ({"usage.quantity.input_tokens": 5}, "bad_quantity"),
        ({"usage.quantity.": 5}, "bad_quantity"),
        ({"usage.quantity.pages": "many"}, "bad_quantity"),
        ({"usage.quantity.pa\0ges": 5}, "bad_text"),
        ({f"usage.quantity.unit{n}": 1 for n in range(MAX_UNITS + 1)}, "bad_quantity"),
        ({"usage.quantity.output_citation_tokens": 201}, "inconsistent_tokens"),
        ({"usage.quantity.input_video_tokens": 1001}, "inconsistent_tokens"),
        (
            {
                "gen_ai.usage.audio.input_tokens": 10,
                "gen_ai.usage.audio.cache_read.input_tokens": 11,
            },
            "inconsistent_tokens",
        ),
        (
            {
                "gen_ai.usage.cache_read.input_tokens": 5,
                "gen_ai.usage.image.cache_read.input_tokens": 6,
            },
            "inconsistent_tokens",
        ),
        ({"gen_ai.usage.cache_read.input_tokens": 1001}, "inconsistent_tokens"),
        ({"gen_ai.usage.cache_write.input_tokens": 1001}, "inconsistent_tokens"),
        ({"gen_ai.usage.reasoning.output_tokens": 201}, "inconsistent_tokens"),
        ({"gen_ai.usage.audio.input_tokens": 1001}, "inconsistent_tokens"),
        ({"gen_ai.usage.image.output_tokens": 201}, "inconsistent_tokens"),
        ({INPUT: None, "gen_ai.usage.cache_read.input_tokens": 1}, "inconsistent_tokens"),
        (
            {
                "gen_ai.usage.cache_write.input_tokens": 5,
                "usage.cache_write.5m.input_tokens": 6,
            },
            "inconsistent_tokens",
        ),
    ],
    ids=lambda value: str(value)[:60] if isinstance(value, str) else None,
)
def test_a_span_that_cannot_be_booked_says_why(
    attributes: Mapping[str, AttributeValue], reason: str
) -> None:
    assert refused(span(attributes)).reason == reason


@pytest.mark.parametrize("trace_id", [b"", bytes(16), bytes(range(8)), bytes(range(17))])
def test_a_trace_id_that_identifies_nothing_is_refused(trace_id: bytes) -> None:
    assert refused(span()._replace(trace_id=trace_id)).reason == "bad_id"


@pytest.mark.parametrize("span_id", [b"", bytes(8), bytes(range(16))])
def test_a_span_id_that_identifies_nothing_is_refused(span_id: bytes) -> None:
    assert refused(span()._replace(span_id=span_id)).reason == "bad_id"


@pytest.mark.parametrize("parent", [b"\1", bytes(range(9))])
def test_a_parent_that_cannot_be_a_span_is_refused(parent: bytes) -> None:
    assert refused(span()._replace(parent_span_id=parent)).reason == "bad_id"


@pytest.mark.parametrize(
    "began",
    [
        datetime(1970, 1, 1, tzinfo=UTC),
        NOW - timedelta(days=400, seconds=1),
        NOW + timedelta(minutes=10, seconds=1),
        NOW + timedelta(days=36_500),
    ],
)
def test_a_clock_that_cannot_be_right_is_refused(began: datetime) -> None:
    assert refused(span(began=began)).reason == "bad_time"


@pytest.mark.parametrize("start_ns", [0, 2**64 - 1, 2**80])
def test_a_time_beyond_the_calendar_is_refused(start_ns: int) -> None:
    assert refused(span()._replace(start_ns=start_ns)).reason == "bad_time"


def test_a_call_longer_than_any_is_a_wrong_clock() -> None:
    assert refused(span(lasted=timedelta(days=8))).reason == "bad_time"
    assert refused(span()._replace(end_ns=2**64 - 1)).reason == "bad_time"


@pytest.mark.parametrize("began", [NOW - timedelta(days=400), NOW, NOW + timedelta(minutes=10)])
def test_the_window_includes_its_ends(began: datetime) -> None:
    assert metered(span(began=began)).time == began


@pytest.mark.parametrize("lasted", [timedelta(seconds=-5), timedelta(days=-400)])
def test_a_call_that_ends_before_it_began_is_booked_without_duration(lasted: timedelta) -> None:
    assert metered(span(lasted=lasted)).duration == timedelta(0)
