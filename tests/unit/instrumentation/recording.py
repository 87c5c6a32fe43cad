"""The spans of a test, and what they should say of what the provider served."""

from __future__ import annotations

import json
from collections.abc import Mapping

from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.util.types import AttributeValue

from simulated_provider import Served
from spanmeter.instrumentation import instrument, uninstrument
from spanmeter.instrumentation.collected import aside
from spanmeter.metering import attributes as names

Attributes = Mapping[str, AttributeValue]


class Recorder:
    """A tracer provider whose ended spans stay in memory."""

    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        self.tracer_provider = TracerProvider(shutdown_on_exit=False)
        self.tracer_provider.add_span_processor(SimpleSpanProcessor(self._exporter))

    @property
    def spans(self) -> list[ReadableSpan]:
        """Every span that has ended, in the order in which they did."""
        aside.settle()
        return list(self._exporter.get_finished_spans())

    @property
    def metered(self) -> list[Attributes]:
        """The attributes of each attempt."""
        return [
            dict(span.attributes or {})
            for span in self.spans
            if span.instrumentation_scope is not None
            and span.instrumentation_scope.name.startswith(names.SCOPE_PREFIX)
        ]

    def only(self) -> Attributes:
        """The attributes of the only attempt there was."""
        [attributes] = self.metered
        return attributes

    def only_span(self) -> ReadableSpan:
        """The only span there was, ours or another's."""
        [span] = self.spans
        return span

    def start(self) -> None:
        """Meters calls from now on."""
        instrument(tracer_provider=self.tracer_provider)

    def stop(self) -> None:
        """Lets calls pass unmetered."""
        uninstrument()


def check_usage(span: Attributes, served: Served) -> None:
    """The span says of a complete answer what the provider has in its books, count by count."""
    tokens = served.tokens
    assert span[names.INPUT_TOKENS] == tokens.input
    assert span.get(names.OUTPUT_TOKENS, 0) == tokens.output
    assert span.get(names.CACHE_READ_INPUT_TOKENS, 0) == tokens.cache_read
    written = tokens.cache_write + tokens.cache_write_1h
    assert span.get(names.CACHE_WRITE_INPUT_TOKENS, 0) == written
    assert span.get(names.cache_write("1h"), 0) == tokens.cache_write_1h
    assert span.get(names.REASONING_OUTPUT_TOKENS, 0) == tokens.reasoning
    assert span[names.USAGE_SOURCE] == names.SOURCE_PROVIDER
    assert span[names.RESPONSE_MODEL] == served.response_model
    assert names.ERROR_TYPE not in span
    check_raw_usage(span, served)
    if served.api != "openai.embeddings":  # which have no id on the wire
        assert span[names.RESPONSE_ID] == served.response_id


def check_raw_usage(span: Attributes, served: Served) -> None:
    """`usage.raw` holds the provider's own block."""
    raw = span[names.USAGE_RAW]
    assert isinstance(raw, str)
    assert json.loads(raw) == served.usage
