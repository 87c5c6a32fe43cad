"""An application that traces, what it exports, and the records that are made of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from opentelemetry.sdk.trace import ReadableSpan, SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, Sampler
from opentelemetry.trace import Tracer

from spanmeter.instrumentation.collected import aside
from spanmeter.instrumentation.pipeline import Pipeline
from unit.instrumentation.pipeline.receivers import Arrived, Receiver, plain

CHAT: Mapping[str, Any] = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o",
    "gen_ai.response.model": "gpt-4o-2024-08-06",
    "gen_ai.usage.input_tokens": 1000,
    "gen_ai.usage.output_tokens": 100,
}
"""What OpenTelemetry says of a call."""


class Application:
    """A tracer provider of the application's own, with an exporter."""

    def __init__(
        self,
        pipeline: Pipeline,
        collector: Receiver,
        *,
        sampler: Sampler = ALWAYS_ON,
        limits: SpanLimits | None = None,
        **provider: Any,
    ) -> None:
        self._pipeline = pipeline
        self._collector = collector
        self._exporter = InMemorySpanExporter()
        self.tracer_provider = TracerProvider(
            sampler=sampler, span_limits=limits, shutdown_on_exit=False, **provider
        )
        self.tracer_provider.add_span_processor(SimpleSpanProcessor(self._exporter))

    def tracer(self, scope: str = "opentelemetry.instrumentation.openai_v2") -> Tracer:
        return self.tracer_provider.get_tracer(scope, "1.2.3")

    @property
    def exported(self) -> list[ReadableSpan]:
        return list(self._exporter.get_finished_spans())

    @property
    def records(self) -> list[Arrived]:
        """What the collector has got."""
        aside.settle()
        assert self._pipeline.flush(60)
        return self._collector.arrived

    def record(self) -> Arrived:
        """The only one there is."""
        [record] = self.records
        return record


def said(record: Arrived) -> dict[str, Any]:
    """The attributes of a record, but for those of its producer."""
    attributes = plain(record.span.attributes)
    return {name: value for name, value in attributes.items() if "producer" not in name}
