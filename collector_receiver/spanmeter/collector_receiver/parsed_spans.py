"""The decoder in Python: protobuf's parser, and then a walk through its messages. `_otlp.c` does the same at once."""

from collections.abc import Iterable, Iterator
from functools import partial
from typing import Final

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1 import trace_pb2

from spanmeter.collector_receiver.payload import replayable
from spanmeter.collector_receiver.received import Malformed, Received
from spanmeter.collector_receiver.wire_count import check_counts
from spanmeter.metering.span import AttributeValue, Span

SCALARS: Final = frozenset(
    {"string_value", "bool_value", "int_value", "double_value", "bytes_value"}
)
FAILED: Final = trace_pb2.Status.STATUS_CODE_ERROR


def decode(body: bytes, max_spans: int, max_attributes: int, /) -> list[Received]:
    """The spans of a serialized `ExportTraceServiceRequest`. Raises `Malformed` and `TooLarge`."""
    check_counts(body, max_spans, max_attributes)
    try:
        return list(_spans(ExportTraceServiceRequest.FromString(body)))
    except DecodeError as error:
        raise Malformed(str(error)) from error


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
                        kind=span.kind,
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
