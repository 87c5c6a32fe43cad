"""What a decoder makes of an export request, whichever decoder it is."""

from functools import cached_property
from typing import NamedTuple, Protocol

from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1 import trace_pb2

from spanmeter.collector_receiver.payload import replayable
from spanmeter.metering.reads import READS, Reads
from spanmeter.metering.span import Span


class Malformed(ValueError):
    """The bytes are not protobuf's encoding of an export request."""


class TooLarge(ValueError):
    """The request holds more than is taken at once; the text says how much of what: `3 spans`."""


class Payload(Protocol):
    """Makes the replayable bytes of a span: what is read of it, and nothing else."""

    def __call__(self, reads: Reads = READS, /) -> bytes: ...


class Received(NamedTuple):
    """A span as metering takes it, and the way to its replayable bytes for when it cannot be metered."""

    span: Span
    payload: Payload


class Enclosing:
    """The resource and the scope of some spans, serialized, each with the URL of its schema."""

    def __init__(
        self, resource: bytes, resource_schema_url: str, scope: bytes, scope_schema_url: str
    ) -> None:
        self._resource = resource
        self._resource_schema_url = resource_schema_url
        self._scope = scope
        self._scope_schema_url = scope_schema_url

    @cached_property
    def messages(self) -> tuple[trace_pb2.ResourceSpans, trace_pb2.ScopeSpans]:
        """Both as messages, without spans."""
        return (
            trace_pb2.ResourceSpans(
                resource=Resource.FromString(self._resource), schema_url=self._resource_schema_url
            ),
            trace_pb2.ScopeSpans(
                scope=InstrumentationScope.FromString(self._scope),
                schema_url=self._scope_schema_url,
            ),
        )


class Replay(NamedTuple):
    """The `payload` of a span that lies in `body[start:end]`; parsed only if it is asked for."""

    body: bytes
    start: int
    end: int
    enclosing: Enclosing

    def __call__(self, reads: Reads = READS, /) -> bytes:
        """The span as a request of its own."""
        span = trace_pb2.Span.FromString(self.body[self.start : self.end])
        return replayable(*self.enclosing.messages, span, reads)
