"""No fault of ours in a sampler or span processor reaches the application's tracing."""

from __future__ import annotations

import gc
import logging
import threading
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import pytest
from opentelemetry.sdk.trace import ConcurrentMultiSpanProcessor
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, Decision, Sampler, SamplingResult

from spanmeter.instrumentation.harvest import lineage, processor, sampling
from spanmeter.instrumentation.harvest.attaching import harvest
from spanmeter.instrumentation.pipeline import Pipeline
from unit.instrumentation.harvest.application import CHAT, Application, said
from unit.instrumentation.harvest.conftest import MakeApplication

FAULTS = [
    (sampling, "is_probable"),
    (sampling, "_is_inside"),
    (processor, "keep_attributes"),
    (processor, "is_call"),
    (processor, "metered"),
    (processor, "callsite"),
    (lineage, "opened"),
    (lineage, "ended"),
    (Pipeline, "record"),
]


def call(app: Application) -> None:
    with app.tracer("app").start_as_current_span("work"):
        app.tracer("app").start_span("chat gpt-4o", attributes=CHAT).end()


@pytest.mark.parametrize(("place", "name"), FAULTS, ids=[name for _, name in FAULTS])
def test_a_fault_reaches_nobody(
    application: MakeApplication,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    place: Any,
    name: str,
) -> None:
    def fault(*args: object, **kwargs: object) -> object:
        raise RuntimeError(name)

    app, unsampled = application(), application(sampler=ALWAYS_OFF)
    monkeypatch.setattr(place, name, fault)

    call(app)
    with caplog.at_level(logging.CRITICAL):
        call(unsampled)

    assert [span.name for span in app.exported] == ["chat gpt-4o", "work"]
    assert unsampled.exported == []


class Own(Sampler):
    """A sampler of the application's own, of the signature that there was before trace states."""

    def should_sample(  # type: ignore[override]
        self,
        parent_context: object,
        trace_id: int,
        name: str,
        kind: object = None,
        attributes: Any = None,
        links: object = None,
    ) -> SamplingResult:
        sampled = name == "kept"
        decision = Decision.RECORD_AND_SAMPLE if sampled else Decision.DROP
        return SamplingResult(decision, {**(attributes or {}), "by": "sampler"})

    def get_description(self) -> str:
        return "Own"


def test_the_applications_sampler_decides_what_is_exported(application: MakeApplication) -> None:
    app = application(sampler=Own())

    app.tracer().start_span("kept", attributes=CHAT).end()
    app.tracer().start_span("dropped", attributes=CHAT).end()

    assert [dict(span.attributes or {}) for span in app.exported] == [{**CHAT, "by": "sampler"}]
    assert {record.span.name for record in app.records} == {"kept", "dropped"}
    assert app.tracer_provider.sampler.get_description() == "Own"


def test_a_provider_is_looked_at_once(application: MakeApplication) -> None:
    app = application()

    harvest(app.tracer_provider)
    call(app)

    assert len(app.records) == 1


def test_a_provider_that_is_none_is_let_be(caplog: pytest.LogCaptureFixture) -> None:
    class Neither:
        __slots__ = ("add_span_processor",)

    harvest(Neither())  # type: ignore[arg-type]

    assert "Neither" in caplog.text


def test_spans_that_are_never_ended_are_forgotten(
    application: MakeApplication, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lineage, "MAX_OPEN", 10)
    monkeypatch.setattr(lineage, "opened_spans", type(lineage.opened_spans)())  # others left some
    app = application()

    spans = [app.tracer("app").start_span("never ended") for _ in range(30)]
    call(app)

    assert len(spans) == 30
    assert len(lineage.opened_spans) <= 10
    assert len(app.records) == 1


def test_a_span_that_the_garbage_collector_ends_is_recorded_by_another_thread(
    application: MakeApplication, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[str] = []
    record = Pipeline.record

    def noted(self: Pipeline, **fields: Any) -> None:
        threads.append(threading.current_thread().name)
        record(self, **fields)

    class Abandoned:
        """A stream in a cycle: only the collector finds it."""

        def __init__(self, app: Application) -> None:
            self.span = app.tracer().start_span("chat gpt-4o", attributes=CHAT)
            self.itself = self

        def __del__(self) -> None:
            self.span.end()

    monkeypatch.setattr(Pipeline, "record", noted)
    app = application()

    Abandoned(app)
    gc.collect()

    assert len(app.records) == 1
    assert threads == ["spanmeter-aside"]


def test_processors_in_threads_of_their_own_are_served(application: MakeApplication) -> None:
    with concurrent_processor() as processors:
        app = application(sampler=ALWAYS_OFF, active_span_processor=processors)

        app.tracer().start_span("chat gpt-4o", attributes=CHAT).end()

        assert said(app.record()).items() >= CHAT.items()


@contextmanager
def concurrent_processor() -> Generator[ConcurrentMultiSpanProcessor]:
    processors = ConcurrentMultiSpanProcessor()
    yield processors
    processors._executor.shutdown()  # pyright: ignore[reportPrivateUsage] (it never does itself)
