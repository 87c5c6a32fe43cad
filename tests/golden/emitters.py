"""`python emitters.py EMITTER PROVIDER SINK`: has a library trace calls to a provider, and sends its
spans to a sink as OTLP over HTTP.

Runs in the emitter's environment. Each emitter is set up as its documentation says.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

import calls  # type: ignore[import-not-found]

Provider = Any
"""A tracer provider of the environment's OpenTelemetry."""


def instrument(provider: Provider, *instrumentors: str) -> None:
    """Instruments with each of `module:Class`."""
    for named in instrumentors:
        module, _, name = named.partition(":")
        getattr(import_module(module), name)().instrument(tracer_provider=provider)


def openllmetry(provider: Provider, url: str) -> None:
    within = "opentelemetry.instrumentation."
    instrument(
        provider,
        within + "openai:OpenAIInstrumentor",
        within + "anthropic:AnthropicInstrumentor",
        within + "bedrock:BedrockInstrumentor",
        within + "google_generativeai:GoogleGenerativeAiInstrumentor",
    )
    # traceloop-sdk puts `Traceloop.set_association_properties(...)` on each span so.
    with tenant_on_spans(provider, "traceloop.association.properties.tenant_id"):
        for call in (calls.openai, calls.anthropic, calls.bedrock, calls.google):
            call(url)


def opentelemetry(provider: Provider, url: str) -> None:
    within = "opentelemetry.instrumentation."
    instrument(
        provider,
        within + "genai.openai:OpenAIInstrumentor",
        within + "genai.anthropic:AnthropicInstrumentor",
        within + "botocore:BotocoreInstrumentor",
    )
    with tenant_on_spans(provider, "tenant.id"):
        for call in (calls.openai, calls.anthropic, calls.bedrock):
            call(url)


def openinference(provider: Provider, url: str) -> None:
    within = "openinference.instrumentation."
    instrument(
        provider,
        within + "openai:OpenAIInstrumentor",
        within + "anthropic:AnthropicInstrumentor",
        within + "bedrock:BedrockInstrumentor",
        within + "google_genai:GoogleGenAIInstrumentor",
    )
    library: Any = import_module("openinference.instrumentation")
    with library.using_attributes(user_id="u1", metadata={"tenant_id": "acme"}):
        for call in (calls.openai, calls.anthropic, calls.bedrock, calls.google):
            call(url)


def provider_sdks(provider: Provider, url: str) -> None:
    """Anthropic's SDK traces unasked."""
    os.environ["MISTRAL_SDK_TELEMETRY"] = "global"
    with tenant_on_spans(provider, "tenant.id"):
        calls.anthropic(url)
        calls.mistral(url)


def pydantic_ai(provider: Provider, url: str) -> None:
    library: Any = import_module("pydantic_ai")
    settings: Any = import_module("pydantic_ai.models.instrumented").InstrumentationSettings
    library.Agent.instrument_all(settings(tracer_provider=provider, include_content=False))
    with tenant_on_spans(provider, "tenant.id"):
        calls.pydantic_ai(url)


def logfire(provider: Provider, url: str) -> None:
    library: Any = import_module("logfire")
    library.configure(
        send_to_logfire=False,
        console=False,
        additional_span_processors=[provider.processor],
    )
    library.instrument_openai()
    library.instrument_anthropic()
    with library.set_baggage(**{"tenant.id": "acme"}):
        calls.openai(url)
        calls.anthropic(url)
    library.force_flush()


def langfuse(provider: Provider, url: str) -> None:
    library: Any = import_module("langfuse")
    library.Langfuse(
        tracer_provider=provider, host=url, public_key="pk", secret_key="sk", flush_interval=60
    )
    # It is imported in place of `openai`, which it patches.
    import_module("langfuse.openai")
    with library.propagate_attributes(user_id="u1", metadata={"tenant_id": "acme"}):
        calls.openai(url)


def openlit(provider: Provider, url: str) -> None:
    library: Any = import_module("openlit")
    disabled = ["httpx", "urllib3", "requests"]
    library.init(disable_metrics=True, disable_events=True, disabled_instrumentors=disabled)
    with tenant_on_spans(provider, "tenant.id"):
        for call in (calls.openai, calls.openai_stream_without_usage, calls.anthropic):
            call(url)


def litellm(provider: Provider, url: str) -> None:
    # Its list of prices is part of the package; without this it looks for a newer one.
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
    library: Any = import_module("litellm")
    integration: Any = import_module("litellm.integrations.opentelemetry")
    config = integration.OpenTelemetryConfig(exporter="console")
    library.callbacks = [integration.OpenTelemetry(config, tracer_provider=provider)]
    with tenant_on_spans(provider, "tenant.id"):
        calls.litellm(url)
        # It tells its callbacks of a call in threads of its own.
        provider.ended.wait("litellm_request", 6)


def openinference_litellm(provider: Provider, url: str) -> None:
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
    instrument(provider, "openinference.instrumentation.litellm:LiteLLMInstrumentor")
    library: Any = import_module("openinference.instrumentation")
    with library.using_attributes(metadata={"tenant_id": "acme"}):
        calls.litellm(url)


def side_by_side(provider: Provider, url: str) -> None:
    """Two instrumentations of one client, and Anthropic's own tracing."""
    within = "opentelemetry.instrumentation."
    instrument(
        provider,
        within + "openai:OpenAIInstrumentor",
        within + "anthropic:AnthropicInstrumentor",
        within + "genai.openai:OpenAIInstrumentor",
        within + "genai.anthropic:AnthropicInstrumentor",
    )
    with tenant_on_spans(provider, "tenant.id"):
        calls.openai(url)
        calls.anthropic(url)


def one_inside_the_other(provider: Provider, url: str) -> None:
    """A framework that traces its calls, an instrumentation of the clients, and Anthropic's own."""
    within = "openinference.instrumentation."
    instrument(
        provider,
        within + "openai:OpenAIInstrumentor",
        within + "anthropic:AnthropicInstrumentor",
    )
    pydantic_ai(provider, url)


class Ended:
    """The names of the spans that have ended."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._names: list[str] = []

    def add(self, name: str) -> None:
        with self._changed:
            self._names.append(name)
            self._changed.notify_all()

    def wait(self, name: str, count: int) -> None:
        """Waits until so many spans of a name have ended, or long enough to give up."""
        with self._changed:
            self._changed.wait_for(lambda: self._names.count(name) >= count, timeout=30)


class tenant_on_spans:  # noqa: N801 - a context manager, and named like one
    """Puts the tenant on each span as it starts, under the name by which an emitter carries it."""

    def __init__(self, provider: Provider, name: str) -> None:
        self._provider = provider
        self._name = name

    def __enter__(self) -> None:
        self._provider.on_start = {self._name: "acme"}

    def __exit__(self, *_: object) -> None:
        self._provider.on_start = {}


EMITTERS: Mapping[str, Callable[[Provider, str], None]] = {
    each.__name__: each
    for each in (
        openllmetry,
        opentelemetry,
        openinference,
        provider_sdks,
        pydantic_ai,
        logfire,
        langfuse,
        openlit,
        litellm,
        openinference_litellm,
        side_by_side,
        one_inside_the_other,
    )
}


TRACED_BY_ANTHROPIC = {"provider_sdks", "side_by_side", "one_inside_the_other"}
"""Where Anthropic's own tracing stays on, as it is unless told otherwise."""


def provider_of(sink: str) -> Provider:
    """A tracer provider that sends to the sink, and marks spans as `tenant_on_spans` says."""
    trace: Any = import_module("opentelemetry.sdk.trace")
    export: Any = import_module("opentelemetry.sdk.trace.export")
    otlp: Any = import_module("opentelemetry.exporter.otlp.proto.http.trace_exporter")
    provider = trace.TracerProvider()
    provider.on_start = {}
    provider.ended = Ended()

    class Marking(trace.SpanProcessor):  # type: ignore[misc]
        def on_start(self, span: Any, parent_context: Any = None) -> None:
            span.set_attributes(provider.on_start)

        def on_end(self, span: Any) -> None:
            provider.ended.add(span.name)

    provider.processor = export.BatchSpanProcessor(
        otlp.OTLPSpanExporter(endpoint=f"{sink}/v1/traces")
    )
    provider.add_span_processor(Marking())
    provider.add_span_processor(provider.processor)
    import_module("opentelemetry.trace").set_tracer_provider(provider)
    return provider


def main() -> None:
    """One emitter."""
    name, url, sink = sys.argv[1:]
    if name not in TRACED_BY_ANTHROPIC:
        os.environ["ANTHROPIC_OPEN_TELEMETRY"] = "false"
    provider = provider_of(sink)
    EMITTERS[name](provider, url)
    provider.processor.force_flush()
    # Threads that look for something on the network must not keep the process.
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
