"""OTLP to metering: the bytes of one export request become plain spans."""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Final, NamedTuple

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1 import trace_pb2

from spanmeter.collector_receiver.payload import replayable
from spanmeter.collector_receiver.span_count import Malformed, span_count
from spanmeter.metering.span import AttributeValue, Span

SCALARS: Final = frozenset(
    {"string_value", "bool_value", "int_value", "double_value", "bytes_value"}
)
FAILED: Final = trace_pb2.Status.STATUS_CODE_ERROR


class Undecodable(ValueError):
    """The bytes are no export request of spans that can be taken. Sending them again will not help."""


class Received(NamedTuple):
    """A span as metering takes it, and the way to its replayable bytes for when it cannot be metered."""

    span: Span
    payload: Callable[[], bytes]


def decode(body: bytes, *, max_spans: int) -> list[Received]:
    """The spans of a serialized `ExportTraceServiceRequest`, in the order they came in.

    Raises `Undecodable` for bytes that are none, for more than `max_spans`, and for another signal sent here by
    mistake: log records share the field numbers of spans, and come out as spans without ids.
    """
    received = list(_spans(_parse(body, max_spans)))
    if received and not any(span.trace_id or span.span_id for span, _ in received):
        raise Undecodable(
            f"none of the {len(received)} spans has an id; were these logs sent to the trace service?"
        )
    return received


def _parse(body: bytes, max_spans: int) -> ExportTraceServiceRequest:
    try:
        count = span_count(body)
        if count > max_spans:
            raise Undecodable(
                f"the request holds {count} spans and at most {max_spans} are taken at once; "
                "lower the exporter's batch size"
            )
        return ExportTraceServiceRequest.FromString(body)
    except (Malformed, DecodeError) as error:
        raise Undecodable(f"the request is no ExportTraceServiceRequest: {error}") from error


def _spans(request: ExportTraceServiceRequest) -> Iterator[Received]:
    for resource_spans in request.resource_spans:
        resource = _attributes(resource_spans.resource.attributes)
        for scope_spans in resource_spans.scope_spans:
            scope_name, scope_version = scope_spans.scope.name, scope_spans.scope.version
            for span in scope_spans.spans:
                yield Received(
                    Span(
                        trace_id=span.trace_id,
                        span_id=span.span_id,
                        parent_span_id=span.parent_span_id,
                        name=span.name,
                        start_ns=span.start_time_unix_nano,
                        end_ns=span.end_time_unix_nano,
                        failed=span.status.code == FAILED,
                        attributes=_attributes(span.attributes),
                        resource=resource,
                        scope_name=scope_name,
                        scope_version=scope_version,
                        dropped_attributes=span.dropped_attributes_count,
                    ),
                    partial(replayable, resource_spans, scope_spans, span),
                )


def _attributes(attributes: Iterable[KeyValue]) -> dict[str, AttributeValue]:
    # Most values are text, and asking for it first is a third faster than asking for the kind.
    return {a.key: (value := a.value).string_value or _value(value) for a in attributes}


def _value(value: AnyValue) -> AttributeValue:
    """The value in Python's own types. Nesting is bounded by the parser, at 100 messages."""
    kind = value.WhichOneof("value")
    if kind in SCALARS:
        plain: AttributeValue = getattr(value, kind)
        return plain
    if kind == "array_value":
        return [_value(item) for item in value.array_value.values]
    if kind == "kvlist_value":
        return _attributes(value.kvlist_value.values)
    # Absent, or an index into a profile's string table, which a span has none of.
    return None
