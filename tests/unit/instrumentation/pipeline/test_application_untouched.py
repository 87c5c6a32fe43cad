"""Records without the application's tracing do nothing to the application's own generator."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from opentelemetry.context import Context
from opentelemetry.trace import NoOpTracerProvider

from spanmeter.instrumentation import recorder
from unit.instrumentation.pipeline.making import pipeline


def test_seeding_makes_no_ids_again(spool: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sending = pipeline(spool)
    monkeypatch.setattr(recorder, "shared", lambda: sending)
    recording = recorder.Recorder("openai", NoOpTracerProvider())
    ids: set[tuple[int, int]] = set()
    for _ in range(2):
        random.seed(1)
        undisturbed = random.getstate()
        made = recording.begin("chat", Context(), {}).span.get_span_context()
        ids.add((made.trace_id, made.span_id))
        assert random.getstate() == undisturbed
    assert len(ids) == 2
    sending.shutdown(0)
