"""One process, one instrumentation: what calls and stream chunks of the openai SDK cost in it.

Reads the name of a kind of work a line, does a batch of it, and prints its `Cost` as JSON. The transport answers from
memory, so that all of it is the SDK's work and the instrumentation's.
"""

import importlib
import itertools
import json
import sys
import time
from collections.abc import Callable, Iterator

import httpx2
import openai
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

CALLS = 100
"""In a batch."""

SHORT, LONG = 50, 450
"""Chunks of two streams: what the longer one takes beyond the shorter is what its further chunks take."""

LOOPS = 2000
"""Checks, or bare spans, in a batch of nothing else."""

STREAMS = 2
"""Of either length in a batch."""

BARE, NONE = "bare span", "none"
PLAIN = {NONE, BARE}
OURS = "spanmeter"
NO_TENANT = "spanmeter, no tenant"
BUDGETED = "spanmeter, with a budget"
PEERS = {
    "openllmetry": "opentelemetry.instrumentation.openai:OpenAIInstrumentor",
    "opentelemetry-genai": "opentelemetry.instrumentation.genai.openai:OpenAIInstrumentor",
    "openinference": "openinference.instrumentation.openai:OpenAIInstrumentor",
}

ANSWERS = 1024
"""That differ, as real ones do: nothing is gained by remembering one."""


def _usage(number: int) -> dict[str, object]:
    prompt, completion = 1000 + 7 * number, 50 + 3 * number
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": 5 * number, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": number, "audio_tokens": 0},
    }


def _completion(number: int) -> bytes:
    message = {"role": "assistant", "content": "An answer. " * 40}
    body = {
        "id": f"chatcmpl-{number:030}",
        "object": "chat.completion",
        "created": number,
        "model": "gpt-4o-mini-2024-07-18",
        "service_tier": "default",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": _usage(number),
    }
    return json.dumps(body).encode()


COMPLETIONS = [_completion(number) for number in range(ANSWERS)]
MESSAGES = [{"role": "user", "content": "A question. " * 40}]
ATTRIBUTES = {f"gen_ai.attribute.{n}": n if n % 2 else f"value {n}" for n in range(18)}

Cost = dict[str, float]
"""CPU microseconds of one call or chunk: `caller`, of the thread that makes the call; `process`, of all threads, with
the flush that ends the batch."""


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


CHUNK = _chunk()
LAST_CHUNKS = [_chunk(choices=[], usage=_usage(1)), b"data: [DONE]\n\n"]


class Chunks(httpx2.SyncByteStream):
    """A stream that arrives an event at a time."""

    def __init__(self, count: int) -> None:
        self._chunks = [CHUNK] * count + LAST_CHUNKS

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._chunks)


class Provider:
    """Answers at once, a streamed request with so many `chunks`."""

    def __init__(self) -> None:
        self.chunks = SHORT
        self._completions = itertools.cycle(COMPLETIONS)

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        """The answer to a request."""
        if b'"stream":true' in request.content.replace(b" ", b""):
            headers = {"content-type": "text/event-stream"}
            return httpx2.Response(200, headers=headers, stream=Chunks(self.chunks))
        headers = {"content-type": "application/json"}
        return httpx2.Response(200, content=next(self._completions), headers=headers)


class Nowhere(SpanExporter):
    """Takes spans and forgets them."""

    def export(self, spans):  # type: ignore[no-untyped-def]
        return SpanExportResult.SUCCESS


def instrument(name: str) -> Callable[[], object]:
    """Switches the instrumentation on; returns what flushes all that it has made."""
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(Nowhere()))
    trace.set_tracer_provider(provider)
    if name in PLAIN:
        return provider.force_flush
    if name.startswith(OURS):
        from spanmeter.instrumentation import instrument, usage
        from spanmeter.instrumentation.pipeline.shared import shared

        instrument()
        pipeline = shared()
        assert pipeline is not None
        if name != NO_TENANT:
            # As in an application that knows its tenants; they travel with every call.
            usage(tenant_id="acme", feature="summaries").__enter__()
        return lambda: provider.force_flush() and pipeline.flush()
    module, _, instrumentor = PEERS[name].partition(":")
    getattr(importlib.import_module(module), instrumentor)().instrument()
    return provider.force_flush


def check_of_budget() -> Callable[[], object]:
    """All that a budget adds to a call, without the call."""
    from spanmeter.instrumentation.budgets.admitting import admitted
    from spanmeter.instrumentation.clients.openai_completions import ENDPOINTS
    from spanmeter.instrumentation.identity import identity_in
    from spanmeter.instrumentation.instrumentor import Request

    body = {"model": "gpt-4o-mini", "messages": MESSAGES}
    endpoint = ENDPOINTS["POST /chat/completions"]
    request = Request(endpoint, "openai", "gpt-4o-mini", None, "api.openai.com", 443, body)
    used = {"gen_ai.usage.input_tokens": 1007, "gen_ai.usage.output_tokens": 53}
    identity = identity_in()

    def check() -> None:
        admission = admitted(identity, request)
        assert admission is not None, "there is no budget"
        reservation = admission.take()
        assert reservation is not None, "nothing is lent"
        reservation.settle(used)

    return check


class Bench:
    """The work, and what finishes a batch of it."""

    def __init__(self, name: str) -> None:
        self._flush = instrument(name)
        self._provider = Provider()
        self._client = openai.OpenAI(
            api_key="any",
            base_url="https://api.openai.com/v1",
            http_client=httpx2.Client(transport=httpx2.MockTransport(self._provider)),
        )
        self._tracer = trace.get_tracer("benchmark")
        self._call = self._call_in_span if name == BARE else self._call_alone

    def call(self) -> Cost:
        """What a call takes."""
        cost = self._batch(self._call, CALLS)
        return {clock: taken / CALLS for clock, taken in cost.items()}

    def chunk(self) -> Cost:
        """What a further chunk of a stream takes."""
        costs: list[Cost] = []
        for self._provider.chunks in (SHORT, LONG):
            costs.append(self._batch(self._stream, STREAMS))
        short, long = costs
        return {clock: (long[clock] - short[clock]) / STREAMS / (LONG - SHORT) for clock in long}

    def check(self) -> Cost:
        """What a check of a call against its budget takes: deciding, taking an estimate, settling it."""
        return self._each(check_of_budget())

    def span(self) -> Cost:
        """What a bare span takes beside it, in such a loop."""
        return self._each(self._span)

    def _each(self, work: Callable[[], object]) -> Cost:
        return {clock: taken / LOOPS for clock, taken in self._batch(work, LOOPS).items()}

    def _span(self) -> None:
        with self._tracer.start_as_current_span("chat gpt-4o-mini", attributes=ATTRIBUTES):
            pass

    def _batch(self, work: Callable[[], object], times: int) -> Cost:
        of_thread, of_process = time.thread_time(), time.process_time()
        for _ in range(times):
            work()
        caller = time.thread_time() - of_thread
        self._flush()
        return {"caller": caller * 1e6, "process": (time.process_time() - of_process) * 1e6}

    def _call_alone(self) -> None:
        self._client.chat.completions.create(model="gpt-4o-mini", messages=MESSAGES)

    def _call_in_span(self) -> None:
        with self._tracer.start_as_current_span("chat gpt-4o-mini", attributes=ATTRIBUTES):
            self._client.chat.completions.create(model="gpt-4o-mini", messages=MESSAGES)

    def _stream(self) -> None:
        options = {"include_usage": True}
        for _ in self._client.chat.completions.create(
            model="gpt-4o-mini", messages=MESSAGES, stream=True, stream_options=options
        ):
            pass


def main(name: str) -> None:
    """Does batches as long as it is asked for them; the first of each kind, unasked, is not measured."""
    bench = Bench(name)
    kinds = {"call": bench.call, "chunk": bench.chunk, "check": bench.check, "span": bench.span}
    for kind in ("call", "chunk"):
        kinds[kind]()
    print("ready", flush=True)
    for line in sys.stdin:
        print(json.dumps(kinds[line.strip()]()), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
