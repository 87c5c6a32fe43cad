"""Which spans are open, what they are inside of, and where our own records are among them.

A call is recorded once: not by the span of another that has our record inside, or is itself inside what
we record, or tells of a response that we have recorded.
"""

from collections import OrderedDict
from typing import Final

from opentelemetry.context import Context
from opentelemetry.trace import SpanContext

from spanmeter.instrumentation.guard import report
from spanmeter.instrumentation.identity import Identity, identity_in, is_settled

MAX_OPEN: Final = 10_000
"""Spans that are known at a time. Those that nobody ever ends are forgotten in time."""

MAX_RESPONSES: Final = 10_000
"""Responses that are known to be recorded: an hour's for a busy process."""

LONG_ID: Final = 20
"""Characters. Ids as long as providers' own are unique."""


class Open:
    """A span that has not ended.

    `recorded` is whether it is inside what one of our records tells of, `covers` whether there is a
    record of a call inside it. `attributes` are those of a span that is probably about a model, as far as
    they are metered; `whole` is whether none of them was lost to the SDK's limits. `callsite` is where a
    span that is nobody's was made.
    """

    __slots__ = (
        "attributes",
        "callsite",
        "context",
        "covers",
        "outer",
        "recorded",
        "sampled",
        "whole",
    )

    def __init__(
        self, outer: "Open | None", context: Context, *, recorded: bool, sampled: bool
    ) -> None:
        self.outer = outer
        self.context = context
        self.recorded: bool = recorded or (outer is not None and outer.recorded)
        self.sampled = sampled
        self.covers = False
        self.attributes: dict[str, object] | None = None
        self.whole = False
        self.callsite: str | None = None

    def identity(self) -> Identity:
        """Whose span it is: what was in force where it started, else around it."""
        span: Open | None = self
        while span is not None:
            identity = identity_in(span.context)
            if identity or is_settled(span.context):
                return identity
            span = span.outer
        return {}


_OWN: Final = Open(None, Context(), recorded=True, sampled=False)
"""Stands for each span of ours: all that there is to know of it is that it has a record."""

opened_spans: Final[OrderedDict[int, Open]] = OrderedDict()
_responses: Final[OrderedDict[object, None]] = OrderedDict()


def opened(span_id: int, span: Open) -> None:
    """A span has started."""
    opened_spans[span_id] = span
    if len(opened_spans) > MAX_OPEN:
        opened_spans.popitem(last=False)


def open_span(ids: SpanContext | None) -> Open | None:
    """The span of these ids while it is open."""
    return opened_spans.get(ids.span_id) if ids is not None else None


def ended(span_id: int) -> Open | None:
    """A span has ended; what was known of it."""
    return opened_spans.pop(span_id, None)


def covered(span: Open | None) -> None:
    """There is a record of a call inside this span, and so inside all that it is in."""
    while span is not None and not span.covers:
        span.covers = True
        span = span.outer


def record_begun(span_id: int, parent_span_id: int) -> None:
    """One of our own records has begun."""
    try:
        if (outer := opened_spans.get(parent_span_id)) is not None:
            covered(outer)
        opened_spans[span_id] = _OWN
        if len(opened_spans) > MAX_OPEN:
            opened_spans.popitem(last=False)
    except Exception as exc:  # noqa: BLE001 - on the way of every call, where a wrapper is felt
        report("record_begun", exc)


def record_ended(trace_id: int, span_id: int, response_id: object) -> None:
    """One of our own records is made."""
    try:
        opened_spans.pop(span_id, None)
        if isinstance(response_id, str):
            _responses[_response(response_id, trace_id)] = None
            if len(_responses) > MAX_RESPONSES:
                _responses.popitem(last=False)
    except Exception as exc:  # noqa: BLE001 - as above
        report("record_ended", exc)


def is_response_recorded(response_id: object, trace_id: int) -> bool:
    """Whether one of our own records tells of the call that this is the response to."""
    return isinstance(response_id, str) and _response(response_id, trace_id) in _responses


def _response(response_id: str, trace_id: int) -> object:
    """Short ids come round again: Ollama draws `chatcmpl-0` to `chatcmpl-998`."""
    return response_id if len(response_id) >= LONG_ID else (response_id, trace_id)
