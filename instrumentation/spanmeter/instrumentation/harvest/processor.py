"""The span processor that passes on what the spans of others tell of the use of models."""

from collections.abc import Mapping
from functools import partial
from typing import Final

from opentelemetry.context import Context, get_current
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor
from opentelemetry.trace import SpanContext, SpanKind, StatusCode

from spanmeter.instrumentation.call import current_call
from spanmeter.instrumentation.callsite import callsite
from spanmeter.instrumentation.collected import aside
from spanmeter.instrumentation.guard import guarded, report
from spanmeter.instrumentation.harvest import lineage
from spanmeter.instrumentation.harvest.lineage import Open
from spanmeter.instrumentation.harvest.metered import metered
from spanmeter.instrumentation.harvest.recognising import (
    TELLTALES,
    is_about_models,
    is_call,
    is_own,
    is_probable,
    tells_usage,
)
from spanmeter.instrumentation.harvest.sampling import starting
from spanmeter.instrumentation.harvest.whole import keep_attributes
from spanmeter.instrumentation.identity import without_identity
from spanmeter.instrumentation.missing_tenant import no_tenant
from spanmeter.instrumentation.pipeline.pipeline import Pipeline
from spanmeter.metering import attributes as names


class Harvester(SpanProcessor):
    """Puts the usage context on the spans of others that are about models, and passes each that tells
    of a call to the pipeline, unless one of our own records does. Without a pipeline the application's
    exporters are left to carry them."""

    def __init__(self, pipeline: Pipeline | None) -> None:
        self.pipeline: Final = pipeline
        self.on = True

    def is_on(self) -> bool:
        """Whether anything is done about spans."""
        return self.on

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        if self.on and not _is_own(span):
            self._start(span, get_current() if parent_context is None else parent_context)

    def on_end(self, span: ReadableSpan) -> None:
        if not _is_own(span):
            self._end(span)

    @guarded
    def _start(self, span: Span, context: Context) -> None:
        ids = span.get_span_context()
        if span.kind is SpanKind.SERVER:
            # It begins with what anybody may claim: whether that is believed is told inside.
            context = without_identity(context)
        opened = Open(
            lineage.open_span(span.parent),
            context,
            recorded=current_call(context) is not None,
            sampled=ids.trace_flags.sampled,
        )
        lineage.opened(ids.span_id, opened)
        seen = starting.taken(ids.trace_id, span.name)
        first = _first(span) if seen is None else seen[0]
        if first is None:
            return
        aside.ready()
        # Other processors, or the sampler, may have added some.
        present = {**(span.attributes or {}), **first}
        opened.attributes = keep_attributes(span, present)
        opened.whole = seen is not None
        self._identify(span, opened, present)

    def _identify(self, span: Span, opened: Open, present: Mapping[str, object]) -> None:
        """Says whose the span is, or where it is made. Nothing that others have set is changed."""
        identity = opened.identity()
        span.set_attributes(
            {name: value for name, value in identity.items() if name not in present}
        )
        if names.TENANT_ID not in identity and names.TENANT_ID not in present:
            opened.callsite = callsite("opentelemetry")

    @guarded
    def _end(self, span: ReadableSpan) -> None:
        ids = span.get_span_context()
        opened = lineage.ended(ids.span_id) if ids is not None else None
        if ids is None or not self.on:
            return
        if opened is None:
            # It was open before we were here.
            opened = Open(lineage.open_span(span.parent), Context(), recorded=False, sampled=True)
        attributes = opened.attributes or span.attributes or {}
        # The SDK's attributes take long to look up, and not to go through: this is for every span.
        if TELLTALES.isdisjoint(attributes):
            return
        if self.pipeline is not None and _is_to_record(span, ids, opened, attributes):
            attributes = opened.attributes or metered(attributes)
            # A stream that nobody closed may end its span while this thread holds the pipeline's lock.
            aside.run(partial(_record, self.pipeline, span, ids, opened, attributes))
            if tells_usage(attributes):
                # Whatever it is inside of tells of the same usage again.
                lineage.covered(opened.outer)


def _is_to_record(
    span: ReadableSpan, ids: SpanContext, opened: Open, attributes: Mapping[str, object]
) -> bool:
    if opened.recorded or opened.covers or not is_call(attributes, span.kind):
        return False
    return not lineage.is_response_recorded(attributes.get(names.RESPONSE_ID), ids.trace_id)


@guarded
def _record(
    pipeline: Pipeline,
    span: ReadableSpan,
    ids: SpanContext,
    opened: Open,
    attributes: Mapping[str, object],
) -> None:
    scope, version = _scope(span)
    start, end = span.start_time or 0, span.end_time or 0
    pipeline.record(
        scope_name=scope,
        scope_version=version,
        name=span.name,
        trace_id=ids.trace_id,
        span_id=ids.span_id,
        parent_span_id=span.parent.span_id if span.parent is not None else 0,
        start_ns=start,
        end_ns=end,
        attributes=_attributed(opened, attributes, scope),
        kind=span.kind,
        failed=span.status.status_code is StatusCode.ERROR,
        trace_flags=ids.trace_flags,
        trace_state=ids.trace_state.to_header() if ids.trace_state else "",
        dropped_attributes=0 if opened.whole else span.dropped_attributes,
    )


def _attributed(opened: Open, attributes: Mapping[str, object], scope: str) -> Mapping[str, object]:
    """The attributes with whose call it is, or without that where it was made."""
    attributed = {**opened.identity(), **attributes}
    if names.TENANT_ID not in attributed and opened.callsite is not None:
        attributed[names.USAGE_CALLSITE] = opened.callsite
        no_tenant(scope, opened.callsite, refusable=False)
    return attributed


def _first(span: ReadableSpan) -> Mapping[str, object] | None:
    """What there is of the first attributes of a span that no sampler of ours has seen, if it is
    probably about a model."""
    attributes = span.attributes or {}
    about_models = is_about_models(_scope(span)[0]) or is_probable(span.name, attributes)
    return attributes if about_models else None


def _is_own(span: ReadableSpan) -> bool:
    """Whether a span is ours: its record is made already."""
    scope = span.instrumentation_scope
    try:
        return scope is not None and is_own(scope.name)
    except Exception as exc:  # noqa: BLE001 - on the way of every span, where a wrapper is felt
        report("_is_own", exc)
        return False


def _scope(span: ReadableSpan) -> tuple[str, str]:
    scope = span.instrumentation_scope
    return ("", "") if scope is None else (scope.name, scope.version or "")
