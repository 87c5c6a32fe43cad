"""Evaluations as senders tell them: events of spans, spans of their own, and log records of a real SDK."""

from __future__ import annotations

from collections.abc import Mapping

from opentelemetry._logs import LogRecord
from opentelemetry.exporter.otlp.proto.grpc._log_exporter import (
    OTLPLogExporter as GrpcLogExporter,
)
from opentelemetry.exporter.otlp.proto.http._log_exporter import (
    OTLPLogExporter as HttpLogExporter,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, set_span_in_context

from otlp import Value, attribute, span

EVENT = "gen_ai.evaluation.result"

SECRET = "the answer names the patient"


def told(
    score: float | None = 0.9, name: str = "relevance", label: str | None = None, **others: Value
) -> dict[str, Value]:
    """The attributes of an evaluation; with an explanation that nobody may keep."""
    found: dict[str, Value] = {
        "gen_ai.evaluation.name": name,
        "gen_ai.evaluation.explanation": SECRET,
        **{name.replace("__", "."): value for name, value in others.items()},
    }
    if score is not None:
        found["gen_ai.evaluation.score.value"] = score
    if label is not None:
        found["gen_ai.evaluation.score.label"] = label
    return found


def scored(call: Span, attributes: Mapping[str, Value]) -> Span:
    """The span with an event that says so, at its end."""
    call.events.add(
        name=EVENT,
        time_unix_nano=call.end_time_unix_nano,
        attributes=[attribute(name, value) for name, value in attributes.items()],
    )
    return call


def beside(call: Span, attributes: Mapping[str, Value]) -> Span:
    """A span that stands for such an event: a child of the call's."""
    child = span(attributes)
    child.name, child.trace_id, child.parent_span_id = EVENT, call.trace_id, call.span_id
    return child


def log_record(call: Span | None, attributes: Mapping[str, Value], event: str = EVENT) -> LogRecord:
    """The event as OpenTelemetry's SDK takes it, in the context of the call's span, or in none."""
    context = None
    if call is not None:
        ids = int.from_bytes(call.trace_id), int.from_bytes(call.span_id)
        parent = SpanContext(*ids, is_remote=True, trace_flags=TraceFlags.get_default())
        context = set_span_in_context(NonRecordingSpan(parent))
    return LogRecord(
        event_name=event, context=context, attributes=dict(attributes), body="of no concern"
    )


def emit(exporter: GrpcLogExporter | HttpLogExporter, *records: LogRecord) -> None:
    """Send log records as an application does."""
    provider = LoggerProvider(shutdown_on_exit=False)
    provider.add_log_record_processor(SimpleLogRecordProcessor(exporter))
    logger = provider.get_logger("evaluator")
    for record in records:
        logger.emit(record)
    provider.shutdown()
