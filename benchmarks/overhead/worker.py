"""One process, one instrumentation: what a call and a stream chunk of the openai SDK cost in it.

Prints one line of JSON: CPU microseconds per call and per chunk, the median over batches. The transport answers from
memory, so that all of it is the SDK's work and the instrumentation's.
"""

import importlib
import json
import statistics
import sys
import time
from collections.abc import Callable

import httpx2
import openai
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

CALLS, BATCHES, CHUNKS = 400, 15, 400

USAGE = {
    "prompt_tokens": 1000,
    "completion_tokens": 50,
    "total_tokens": 1050,
    "prompt_tokens_details": {"cached_tokens": 400, "audio_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 10, "audio_tokens": 0},
}
COMPLETION = json.dumps(
    {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "gpt-4o-mini-2024-07-18",
        "service_tier": "default",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "An answer. " * 40},
                "finish_reason": "stop",
            }
        ],
        "usage": USAGE,
    }
).encode()


def _chunk(**members: object) -> bytes:
    body = {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "gpt-4o-mini-2024-07-18",
        "choices": [{"index": 0, "delta": {"content": "word "}, "finish_reason": None}],
        "usage": None,
        **members,
    }
    return b"data: " + json.dumps(body).encode() + b"\n\n"


CHUNK_BYTES = [_chunk()] * CHUNKS + [_chunk(choices=[], usage=USAGE), b"data: [DONE]\n\n"]


class Chunks(httpx2.SyncByteStream):
    """A stream that arrives an event at a time."""

    def __iter__(self):  # type: ignore[no-untyped-def]
        return iter(CHUNK_BYTES)


def answer(request: httpx2.Request) -> httpx2.Response:
    """The provider."""
    if b'"stream":true' in request.content.replace(b" ", b""):
        headers = {"content-type": "text/event-stream"}
        return httpx2.Response(200, headers=headers, stream=Chunks())
    return httpx2.Response(200, content=COMPLETION, headers={"content-type": "application/json"})


class Nowhere(SpanExporter):
    """Takes spans and forgets them."""

    def export(self, spans):  # type: ignore[no-untyped-def]
        return SpanExportResult.SUCCESS


def instrument(name: str) -> Callable[[], object]:
    """Switches the instrumentation on; returns what flushes all that it has made."""
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(Nowhere()))
    trace.set_tracer_provider(provider)
    if name in {"none", "bare span"}:
        return provider.force_flush
    if name.startswith("spanmeter"):
        from spanmeter.instrumentation import instrument, usage
        from spanmeter.instrumentation.pipeline.shared import shared

        instrument()
        pipeline = shared()
        assert pipeline is not None
        if name != "spanmeter, no tenant":
            # As in an application that knows its tenants; they travel with every call.
            usage(tenant_id="acme", feature="summaries").__enter__()
        return lambda: provider.force_flush() and pipeline.flush()
    module, _, instrumentor = PEERS[name].partition(":")
    getattr(importlib.import_module(module), instrumentor)().instrument()
    return provider.force_flush


PEERS = {
    "openllmetry": "opentelemetry.instrumentation.openai:OpenAIInstrumentor",
    "opentelemetry-genai": "opentelemetry.instrumentation.genai.openai:OpenAIInstrumentor",
    "openinference": "openinference.instrumentation.openai:OpenAIInstrumentor",
}


def median_cost(
    work: Callable[[], object], times: int, per: int, finish: Callable[[], object]
) -> float:
    """CPU microseconds of one unit of `work`, the median over batches; each is `finish`ed."""
    work()
    costs: list[float] = []
    for _ in range(BATCHES):
        start = time.process_time()
        for _ in range(times):
            work()
        finish()
        costs.append((time.process_time() - start) / times / per * 1e6)
    return statistics.median(costs)


def main(name: str) -> None:
    """Measures one instrumentation."""
    flush = instrument(name)
    client = openai.OpenAI(
        api_key="any",
        base_url="https://api.openai.com/v1",
        http_client=httpx2.Client(transport=httpx2.MockTransport(answer)),
    )
    messages = [{"role": "user", "content": "A question. " * 40}]
    tracer = trace.get_tracer("benchmark")
    attributes = {f"gen_ai.attribute.{n}": n if n % 2 else f"value {n}" for n in range(18)}

    def call() -> None:
        if name == "bare span":
            with tracer.start_as_current_span("chat gpt-4o-mini", attributes=attributes):
                client.chat.completions.create(model="gpt-4o-mini", messages=messages)
        else:
            client.chat.completions.create(model="gpt-4o-mini", messages=messages)

    def stream() -> None:
        options = {"include_usage": True}
        for _ in client.chat.completions.create(
            model="gpt-4o-mini", messages=messages, stream=True, stream_options=options
        ):
            pass

    result = {
        "name": name,
        "call": median_cost(call, CALLS, 1, flush),
        # A flush is for the sake of all the calls before it; a stream of any length makes one record.
        "chunk": median_cost(stream, 4, CHUNKS, lambda: None),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main(sys.argv[1])
