"""The decoder in Python: protobuf's parser, and then a walk through its messages. `_otlp.c` does the same at once."""

from collections.abc import Iterator
from functools import partial
from typing import Final

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1 import trace_pb2

from spanmeter.collector_receiver.parsed_values import attributes_of
from spanmeter.collector_receiver.payload import replayable
from spanmeter.collector_receiver.received import Malformed, Received
from spanmeter.collector_receiver.wire_count import check_counts
from spanmeter.metering.span import Span

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
        resource = attributes_of(resource_spans.resource.attributes)
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
                        attributes=attributes_of(span.attributes),
                        resource=resource,
                        scope_name=scope_name,
                        scope_version=scope_version,
                        dropped_attributes=span.dropped_attributes_count,
                        kind=span.kind,
                    ),
                    partial(replayable, resource_spans, scope_spans, span),
                )
