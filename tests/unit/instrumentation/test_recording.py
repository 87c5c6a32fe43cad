"""What an application records itself is a span like a call's: for its tenant, exact, and never in the
way."""

from __future__ import annotations

import logging
from datetime import timedelta
from decimal import Decimal
from typing import Any, cast, get_args

import pytest
from opentelemetry.trace import SpanKind

from spanmeter.instrumentation import usage
from spanmeter.instrumentation.recording import Operation, Quantity, records
from spanmeter.metering import attributes as names
from spanmeter.metering.dialects import CALLS
from unit.instrumentation.recording import Recorder


def test_what_a_record_says_in_full(recorder: Recorder) -> None:
    with usage(tenant_id="acme", feature="posters", dimensions={"team": "art"}):
        usage.record(
            unit="gpu_seconds",
            quantity=Decimal("12.750"),
            model="sdxl",
            provider="runpod",
            duration=12.75,
            dimensions={"region": "eu"},
        )
    span = recorder.only_span()
    assert dict(span.attributes or {}) == {
        "gen_ai.operation.name": "recorded",
        "gen_ai.provider.name": "runpod",
        "gen_ai.request.model": "sdxl",
        "usage.unit": "gpu_seconds",
        "usage.quantity": "12.750",
        "tenant.id": "acme",
        "usage.feature": "posters",
        "usage.dimension.team": "art",
        "usage.dimension.region": "eu",
    }
    assert span.name == "recorded sdxl"
    assert span.kind is SpanKind.INTERNAL
    assert span.instrumentation_scope is not None
    assert span.instrumentation_scope.name == "spanmeter.usage"
    assert (span.end_time or 0) - (span.start_time or 0) == 12_750_000_000


def test_the_least_a_record_says(recorder: Recorder) -> None:
    usage.record(unit="pages", quantity=3)
    span = dict(recorder.only())
    assert str(span.pop(names.USAGE_CALLSITE)).partition(":")[0].endswith("test_recording.py")
    assert span == {
        "gen_ai.operation.name": "recorded",
        "gen_ai.provider.name": "self_hosted",
        "usage.unit": "pages",
        "usage.quantity": "3",
    }
    assert recorder.only_span().name == "recorded pages"


@pytest.mark.parametrize(
    ("quantity", "sent"),
    [
        (0, "0"),
        (7, "7"),
        (0.1, "0.1"),
        (1e-7, "0.0000001"),
        (10**12, "1000000000000"),
        (Decimal("1E+3"), "1000"),
        (Decimal("0.1000000000000000000000001"), "0.1000000000000000000000001"),
        ("12.5", "12.5"),
    ],
)
def test_quantities_are_sent_exactly(recorder: Recorder, quantity: Quantity, sent: str) -> None:
    usage.record(unit="seconds", quantity=quantity)
    assert recorder.only()[names.USAGE_QUANTITY] == sent


@pytest.mark.parametrize(
    "wrong",
    [
        {"quantity": -1},
        {"quantity": True},
        {"quantity": None},
        {"quantity": float("nan")},
        {"quantity": float("inf")},
        {"quantity": 10**12 + 1},
        {"quantity": Decimal("1e-31")},
        {"quantity": "many"},
        {"unit": ""},
        {"operation": "guessed"},
    ],
)
def test_what_cannot_be_booked_is_logged_and_raises_nothing(
    recorder: Recorder, caplog: pytest.LogCaptureFixture, wrong: dict[str, Any]
) -> None:
    usage.record(**cast(Any, {"unit": "pages", "quantity": 1, **wrong}))
    assert recorder.spans == []
    [logged] = caplog.records
    assert logged.levelno == logging.ERROR
    assert "records nothing" in logged.getMessage()


def test_a_fault_of_ours_raises_nothing(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken:
        def get_tracer(self, *args: object, **kwargs: object) -> None:
            raise RuntimeError

    monkeypatch.setattr(records, "tracer_provider", Broken())
    usage.record(unit="pages", quantity=1)
    assert "Records.record failed" in caplog.text


@pytest.mark.parametrize("operation", get_args(Operation))
def test_every_operation_that_is_metered_can_be_recorded(
    recorder: Recorder, operation: Operation
) -> None:
    usage.record(unit="pages", quantity=1, operation=operation)
    assert recorder.only()[names.OPERATION_NAME] == operation
    assert set(get_args(Operation)) == CALLS.keys()


def test_tokens_of_a_model_of_ones_own_are_token_counts(recorder: Recorder) -> None:
    usage.record(unit="input_tokens", quantity=1200, model="ours", operation="embeddings")
    span = recorder.only()
    assert span[names.INPUT_TOKENS] == 1200
    assert names.USAGE_UNIT not in span


@pytest.mark.parametrize("duration", [None, -3, timedelta(seconds=-1)])
def test_a_record_without_duration_lasts_no_time(
    recorder: Recorder, duration: timedelta | float | None
) -> None:
    usage.record(unit="pages", quantity=1, duration=duration)
    span = recorder.only_span()
    assert span.start_time == span.end_time


def test_a_record_is_a_child_of_what_the_application_traces(recorder: Recorder) -> None:
    tracer = recorder.tracer_provider.get_tracer("application")
    with tracer.start_as_current_span("request") as request:
        usage.record(unit="gpu_seconds", quantity=1, duration=timedelta(seconds=1))
    record, _ = recorder.spans
    assert record.parent == request.get_span_context()
