"""One span of an export request as a request of its own: what `rejected_spans` keeps, to be metered again later.

It holds what metering reads and nothing more: no events, links or status text, and no attribute that can carry a
prompt or a completion.
"""

from collections.abc import Iterable, Iterator
from typing import Final

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import (
    ResourceSpans,
    ScopeSpans,
    Span,
    Status,
    TracesData,
)

from spanmeter.metering import attributes as names

OURS: Final = (
    names.TENANT_ID,
    names.WORKSPACE_ID,
    names.PROJECT_ID,
    names.USER_ID,
    "usage.",
)
"""Names that are kept whatever their size: without its tenant a span would be booked as somebody else's."""

CONTENT: Final = (
    # OpenTelemetry GenAI, now and before 2025-10.
    "gen_ai.input.messages",
    "gen_ai.output.messages",
    "gen_ai.system_instructions",
    "gen_ai.tool.",
    "gen_ai.retrieval.",
    "gen_ai.prompt",
    "gen_ai.completion",
    "gen_ai.content.",
    # OpenInference.
    "input.",
    "output.",
    "llm.input_messages",
    "llm.output_messages",
    "llm.prompt",
    "llm.completions",
    "llm.tools",
    "llm.function_call",
    "embedding.embeddings",
    "embedding.invocation_parameters",
    "embedding.text",
    "embedding.vector",
    "retrieval.",
    "reranker.input_documents",
    "reranker.output_documents",
    "reranker.query",
    "document.",
    "tool.",
    # OpenLLMetry, Vercel AI SDK, Langfuse, Pydantic AI and Logfire.
    "traceloop.entity.",
    "traceloop.prompt.",
    "ai.prompt",
    # What an application sends along, keys among it.
    "ai.request.headers",
    "ai.response.text",
    "ai.response.object",
    "ai.response.reasoning",
    "ai.response.files",
    "ai.response.toolCalls",
    "ai.toolCall.",
    "ai.value",
    "ai.values",
    "langfuse.observation.input",
    "langfuse.observation.output",
    "langfuse.observation.metadata",
    "langfuse.observation.model.parameters",
    "langfuse.observation.prompt",
    "langfuse.observation.status_message",
    "langfuse.trace.input",
    "langfuse.trace.output",
    "pydantic_ai.",
    "all_messages",
    "events",
    "final_result",
    "request_data",
    "response_data",
    "tool_arguments",
    "tool_response",
    "model_request_parameters",
)
"""Names, or beginnings of names, that carry prompts, completions, tool calls or retrieved text."""

MAX_VALUE_BYTES: Final = 2048
"""Any other attribute larger than this is text that metering does not read (it takes 1,024 characters at most)."""

MAX_OWN_BYTES: Final = 32 * 1024
"""No attribute of ours is larger that can be metered; the largest is the provider's usage block."""

MAX_OTHERS_BYTES: Final = 64 * 1024
"""All other attributes together: a resource would come again with each of its spans."""


def replayable(resource_spans: ResourceSpans, scope_spans: ScopeSpans, span: Span) -> bytes:
    """The span with its resource and scope as serialized OTLP `TracesData`, which an export request is on the wire.

    The same span always gives the same bytes, so that a span delivered again is recognised.
    """
    traces = TracesData()
    alone = traces.resource_spans.add(schema_url=resource_spans.schema_url)
    alone.resource.attributes.extend(_metered(resource_spans.resource.attributes))
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
        attributes=_metered(span.attributes),
        dropped_attributes_count=span.dropped_attributes_count,
        status=Status(code=span.status.code),
    )
    return traces.SerializeToString(deterministic=True)


def _metered(attributes: Iterable[KeyValue]) -> Iterator[KeyValue]:
    """The attributes that metering reads: ours, and as many of the others as there is room for."""
    room = MAX_OTHERS_BYTES
    for attribute in {attribute.key: attribute for attribute in attributes}.values():
        size = attribute.ByteSize()
        if attribute.key.startswith(OURS):
            yield attribute if size <= MAX_OWN_BYTES else _cut(attribute)
        elif size <= min(room, MAX_VALUE_BYTES) and not attribute.key.startswith(CONTENT):
            room -= size
            yield attribute


def _cut(attribute: KeyValue) -> KeyValue:
    """Less of an attribute that is too large for any row: still too large, so that it is refused again."""
    key = attribute.key.encode()[:MAX_OWN_BYTES].decode(errors="ignore")
    kind = attribute.value.WhichOneof("value")
    if kind == "string_value":
        text = attribute.value.string_value.encode()[:MAX_OWN_BYTES].decode(errors="ignore")
        return KeyValue(key=key, value=AnyValue(string_value=text))
    # No row takes bytes, lists or maps for text, however short they are.
    return KeyValue(key=key, value=AnyValue(bytes_value=b""))
