"""One span of an export request as a request of its own: what `rejected_spans` keeps, to be metered again later.

It holds what metering reads and nothing more: no events, links or status text, and of the attributes those that are
read. Whatever else a library sends, now or in its next release, may be a prompt or a completion.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import (
    ResourceSpans,
    ScopeSpans,
    Span,
    Status,
    TracesData,
)

from spanmeter.collector_receiver.kept_values import cut, kept
from spanmeter.metering import attributes as names
from spanmeter.metering.reads import READS, Members, Reads

OURS: Final = (
    names.TENANT_ID,
    names.WORKSPACE_ID,
    names.PROJECT_ID,
    names.USER_ID,
    "usage.",
)
"""Names that are kept whatever their size: without its tenant a span would be booked as somebody else's."""

MAX_OWN_BYTES: Final = 32 * 1024
"""No attribute of ours is larger that can be metered; the largest is the provider's usage block."""

MAX_OTHERS_BYTES: Final = 64 * 1024
"""All other attributes together: a resource would come again with each of its spans."""


def replayable(
    resource_spans: ResourceSpans, scope_spans: ScopeSpans, span: Span, reads: Reads = READS, /
) -> bytes:
    """The span with its resource and scope as serialized OTLP `TracesData`, which an export request is on the wire.

    Of the attributes it has what is in `reads`. The same span always gives the same bytes, so that a span delivered
    again is recognised.
    """
    traces = TracesData()
    alone = traces.resource_spans.add(schema_url=resource_spans.schema_url)
    alone.resource.attributes.extend(_read(resource_spans.resource.attributes, reads.resource))
    inside = alone.scope_spans.add(schema_url=scope_spans.schema_url)
    inside.scope.name = scope_spans.scope.name
    inside.scope.version = scope_spans.scope.version
    inside.spans.add(
        trace_id=span.trace_id,
        span_id=span.span_id,
        parent_span_id=span.parent_span_id,
        name=span.name,
        kind=span.kind,
        start_time_unix_nano=span.start_time_unix_nano,
        end_time_unix_nano=span.end_time_unix_nano,
        attributes=_read(span.attributes, reads.span),
        dropped_attributes_count=span.dropped_attributes_count,
        status=Status(code=span.status.code),
    )
    return traces.SerializeToString(deterministic=True)


def _read(attributes: Iterable[KeyValue], read: Mapping[str, Members]) -> Iterator[KeyValue]:
    """What metering reads of the attributes: all of ours, and as much of the others as there is room for."""
    room = MAX_OTHERS_BYTES
    for attribute in {attribute.key: attribute for attribute in attributes}.values():
        if attribute.key.startswith(OURS) and attribute.key != names.USAGE_RAW:
            yield cut(attribute, MAX_OWN_BYTES)
        elif members := read.get(attribute.key):
            part = kept(attribute, members)
            size = part.ByteSize() if part is not None else 0
            if part is not None and size <= room:
                room -= size
                yield part
