"""Records of what was used: durable, by a pipeline of their own, whatever the application's tracing makes of them.

The tracing gets a span of each as well, with the same ids and times, so that the call is seen in its trace. Where there
is no pipeline that span is all there is, and is the record itself.
"""

import os
import random
import time
from collections.abc import Mapping
from typing import Final, NamedTuple, cast

from opentelemetry.context import Context
from opentelemetry.trace import (
    INVALID_SPAN,
    INVALID_SPAN_CONTEXT,
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    StatusCode,
    Tracer,
    TracerProvider,
    TraceState,
    get_tracer,
    set_span_in_context,
)

from spanmeter.instrumentation.guard import report
from spanmeter.instrumentation.harvest import lineage
from spanmeter.instrumentation.pipeline import encoding
from spanmeter.instrumentation.pipeline.encoding import encoded_attributes
from spanmeter.instrumentation.pipeline.python_spans import Fields
from spanmeter.instrumentation.pipeline.shared import shared
from spanmeter.instrumentation.span_attributes import put_attributes
from spanmeter.instrumentation.version import VERSION
from spanmeter.metering import attributes as names

Value = str | int | float | bool

# OpenTelemetry's key is private, and its own functions take their time, or copy the context.
(SPAN,) = set_span_in_context(INVALID_SPAN, Context())

CLIENT: Final = SpanKind.CLIENT
_CLIENT: Final = encoding.KINDS[CLIENT]
"""Of nearly all records: to look a member up takes a while."""

_random: Final = random.Random()  # noqa: S311 (no secret)
"""Not the application's generator: seeded, as in tests and training, that makes the same ids in each run."""
os.register_at_fork(after_in_child=_random.seed)


class Repeated(NamedTuple):
    """Attributes that many records have in common, and what they are in each: bytes that are made once. `name` is what
    the records are called that have them."""

    attributes: Mapping[str, Value]
    encoded: bytes
    name: str = ""

    @classmethod
    def of(cls, attributes: Mapping[str, Value], name: str) -> "Repeated":
        """These attributes."""
        return cls(attributes, encoded_attributes(attributes), name)


_NOT_REPEATED: Final = Repeated({}, b"")


class Recorder:
    """Makes the records of one client library; `package` names it."""

    def __init__(self, package: str, tracer_provider: TracerProvider | None = None) -> None:
        self.pipeline: Final = shared()
        self.scope: Final = encoding.scope(names.SCOPE_PREFIX + package, VERSION)
        # What the tracing gets beside a record is told from it by its scope: it is not metered.
        copies = names.SCOPE_PREFIX if self.pipeline is None else names.TRACING_SCOPE_PREFIX
        self.tracer: Final[Tracer] = get_tracer(
            copies + package, VERSION, tracer_provider=tracer_provider
        )

    def begin(
        self,
        name: str,
        context: Context,
        attributes: Mapping[str, Value],
        repeated: Repeated = _NOT_REPEATED,
        *,
        kind: SpanKind = CLIENT,
        start_ns: int | None = None,
    ) -> "Recording":
        """Begins a record of what is being done in a context; times are nanoseconds since 1970. Its
        attributes are the `repeated` ones and those of its own, no name in both."""
        start = time.time_ns() if start_ns is None else start_ns
        current = cast("Span | None", context.get(SPAN))
        parent = INVALID_SPAN_CONTEXT if current is None else current.get_span_context()
        try:
            # A sampler is told what it may decide by: what is asked of whom. The rest is put there when all is known.
            first = repeated.attributes or attributes
            span = self.tracer.start_span(name, context, kind, first, (), start)
        except Exception as exc:  # noqa: BLE001 - the tracing is the application's, the record is not
            report("Recorder.begin", exc)
            span = NonRecordingSpan(parent)
        ids = span.get_span_context()
        # A span context is a tuple, and each of its properties a call.
        _, span_id, _, _, _, is_valid = ids
        _, parent_id, *_ = parent
        if self.pipeline is not None and (not is_valid or span_id == parent_id):
            # There is no tracing here, or it is switched off: then nobody else makes ids.
            ids = _made_below(parent)
            span, span_id = NonRecordingSpan(ids), ids.span_id
        lineage.record_begun(span_id, parent_id)
        number = _CLIENT if kind is CLIENT else encoding.KINDS[kind]
        return Recording(self, span, ids, parent_id, name, number, start, repeated, attributes)


class Recording:
    """A record in the making. `span` is what the application's tracing sees of it."""

    __slots__ = (
        "_attributes",
        "_ids",
        "_kind",
        "_name",
        "_parent_id",
        "_recorder",
        "_repeated",
        "_start",
        "span",
    )

    def __init__(
        self,
        recorder: Recorder,
        span: Span,
        ids: SpanContext,
        parent_id: int,
        name: str,
        kind: int,
        start: int,
        repeated: Repeated,
        attributes: Mapping[str, Value],
    ) -> None:
        self.span = span
        self._recorder = recorder
        self._ids = ids
        self._parent_id = parent_id
        self._name = name
        self._kind = kind
        self._start = start
        self._repeated = repeated
        self._attributes = attributes

    def end(
        self, attributes: Mapping[str, Value], *, failed: bool = False, end_ns: int | None = None
    ) -> None:
        """Makes the record, with these attributes beside those that it began with."""
        end = time.time_ns() if end_ns is None else end_ns
        own = {**self._attributes, **attributes}
        trace_id, span_id, *_ = self._ids
        lineage.record_ended(trace_id, span_id, attributes.get(names.RESPONSE_ID))
        if (pipeline := self._recorder.pipeline) is not None:
            try:
                fields = self._fields(own, end, failed=failed)
            except Exception as exc:  # noqa: BLE001 - the tracing is still to have its span
                pipeline.lose("Recording.end", exc)
            else:
                pipeline.keep(self._recorder.scope, fields)
        span = self.span
        try:
            if span.is_recording():
                if failed:
                    span.set_status(StatusCode.ERROR)
                put_attributes(span, own)
        finally:
            span.end(end)

    def _fields(self, own: Mapping[str, Value], end: int, *, failed: bool) -> Fields:
        """The record, given the attributes that are its own."""
        trace_id, span_id, _, flags, state, _ = self._ids
        repeated, encoded, _ = self._repeated
        if not repeated.keys().isdisjoint(own):
            # Some turned out otherwise in the end.
            own, encoded = {**repeated, **own}, b""
        rest = _rest(state, failed=failed) if failed or state else b""
        ids = (trace_id, span_id, self._parent_id)
        told = (encoding.name(self._name), self._kind, self._start, end)
        return (*ids, *told, encoded, cast("dict[str, object]", own), rest, flags)


def _rest(state: TraceState, *, failed: bool) -> bytes:
    return encoding.rest(
        status=encoding.STATUS_ERROR if failed else encoding.STATUS_UNSET,
        trace_state=state.to_header() if state else "",
    )


def _made_below(parent: SpanContext) -> SpanContext:
    """Ids for what the tracing makes none for, in its parent's trace."""
    trace_id = parent.trace_id or _random.getrandbits(128)
    return SpanContext(
        trace_id,
        _random.getrandbits(64) or 1,
        is_remote=False,
        trace_flags=parent.trace_flags,
        trace_state=parent.trace_state,
    )
