"""Spans of the use of models are recorded, whatever the application's sampler says of exporting them."""

import threading
from collections.abc import Callable, Sequence
from typing import Final

from opentelemetry.context import Context
from opentelemetry.sdk.trace.sampling import Decision, Sampler, SamplingResult
from opentelemetry.trace import Link, SpanKind, TraceState, get_current_span
from opentelemetry.util.types import Attributes

from spanmeter.instrumentation.guard import guarded
from spanmeter.instrumentation.harvest.lineage import open_span
from spanmeter.instrumentation.harvest.recognising import is_probable


class RecordingSampler(Sampler):
    """The application's sampler, but that what it would drop is recorded if it is about a model.

    It is then `RECORD_ONLY`: seen by span processors, exported by none, and its children are sampled as
    if it were dropped. Of an instrumentation that is `about_models` that is every span, of others those
    that are so by their names or first attributes. What is directly inside a span that is recorded for
    us alone is recorded too: it is how a record inside is known to be inside.
    """

    def __init__(self, sampler: Sampler, is_on: Callable[[], bool], *, about_models: bool) -> None:
        self.sampler: Final = sampler
        self._is_on = is_on
        self._about_models = about_models

    def should_sample(
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,
        trace_state: TraceState | None = None,
    ) -> SamplingResult:
        further = () if trace_state is None else (trace_state,)
        result = self.sampler.should_sample(
            parent_context, trace_id, name, kind, attributes, links, *further
        )
        return self._recorded(result, parent_context, trace_id, name, attributes) or result

    def get_description(self) -> str:
        return self.sampler.get_description()

    @guarded
    def _recorded(
        self,
        result: SamplingResult,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        attributes: Attributes,
    ) -> SamplingResult | None:
        """What to answer instead, if anything."""
        if not self._is_on():
            return None
        probable = self._about_models or is_probable(name, attributes)
        starting.notice(trace_id, name, (attributes or {}) if probable else None)
        if result.decision is not Decision.DROP:
            return None
        if not probable and not _is_inside(parent_context):
            return None
        # Samplers that drop a span keep none of its attributes.
        return SamplingResult(Decision.RECORD_ONLY, attributes, result.trace_state)


def _is_inside(context: Context | None) -> bool:
    outer = open_span(get_current_span(context).get_span_context())
    return outer is not None and not outer.sampled and not outer.recorded


class Starting(threading.local):
    """What a sampler of this thread has just seen, for the span processor that is next to see it.

    Of the first attributes a span may keep only a few, by the SDK's limits.
    """

    seen: tuple[int, str, Attributes] | None = None

    def notice(self, trace_id: int, name: str, attributes: Attributes) -> None:
        """A span starts; its first attributes, if it is probably about a model."""
        self.seen = (trace_id, name, attributes)

    def taken(self, trace_id: int, name: str) -> tuple[Attributes] | None:
        """The first attributes of the span, whole, or no attributes if it is hardly about a model;
        nothing where the span was not seen."""
        seen, self.seen = self.seen, None
        return None if seen is None or seen[:2] != (trace_id, name) else (seen[2],)


starting: Final = Starting()
