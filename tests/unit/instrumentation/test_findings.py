"""Ten things that are so in today's client libraries, or that cost other instrumentations money. Each
has a test with the library itself, which fails where the same happens here."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

import httpx
import httpx2
import pytest
from anthropic import Anthropic
from google.genai import types
from groq import Groq
from mistralai.extra.observability import configure_telemetry
from openai import OpenAI
from opentelemetry import baggage
from opentelemetry.context import attach, detach, set_value
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.sampling import Decision, Sampler, SamplingResult

from simulated_provider import Reply, SimulatedProvider
from spanmeter.instrumentation import coverage, usage
from spanmeter.instrumentation.installed import Installed
from spanmeter.metering import attributes as names
from unit.instrumentation.clients import mistral_calls
from unit.instrumentation.clients.asking import GEMINI, gemini_client
from unit.instrumentation.clients.cohere_calls import NO_AUTHORITIES
from unit.instrumentation.forms import CHAT, MESSAGES, client_of
from unit.instrumentation.recording import Recorder, check_usage


def counted(prompt_tokens: int) -> Reply:
    """An answer to a chat of that many tokens."""
    block = {"prompt_tokens": prompt_tokens, "completion_tokens": 1}
    return Reply(usage={**block, "total_tokens": prompt_tokens + 1})


HTTP_LIBRARIES: Mapping[str, Callable[[SimulatedProvider], Any]] = {
    "httpx2": lambda provider: OpenAI(
        base_url=provider.openai_base_url, api_key="any", http_client=httpx2.Client(verify=False)
    ),
    "httpx": lambda provider: Groq(
        base_url=provider.url + "/groq",
        api_key="any",
        http_client=httpx.Client(verify=NO_AUTHORITIES),
    ),
    "httpx, by a library on httpx2": lambda provider: client_of(
        CHAT, provider, http_client=httpx.Client(verify=NO_AUTHORITIES)
    ),
}


@pytest.mark.parametrize("made", HTTP_LIBRARIES.values(), ids=HTTP_LIBRARIES)
def test_finding_1_some_libraries_send_by_httpx2_and_some_by_httpx(
    recorder: Recorder, provider: SimulatedProvider, made: Callable[[SimulatedProvider], Any]
) -> None:
    """What watches only one of the two sees nothing of the other's calls."""
    with made(provider) as client:
        model = "openai/gpt-oss-120b" if isinstance(client, Groq) else "gpt-5-mini"
        client.chat.completions.create(model=model, messages=CHAT.arguments["messages"])
    check_usage(recorder.only(), provider.served[0])


def traced_anthropic(provider: SimulatedProvider, recorder: Recorder) -> Any:
    """A client that traces itself, as it does by default, to where our spans go."""
    return Anthropic(
        base_url=provider.url,
        api_key="any",
        http_client=httpx2.Client(verify=False),
        open_telemetry={"tracer_provider": recorder.tracer_provider},
    )


def test_finding_2_libraries_that_trace_themselves_make_no_second_record(
    recorder: Recorder, provider: SimulatedProvider
) -> None:
    """Anthropic's does unasked, Mistral's where it is asked to; both write usage on their spans."""

    def call() -> None:
        with traced_anthropic(provider, recorder) as client:
            client.messages.create(**MESSAGES.arguments)
        with mistral_calls.client_of(provider) as client:
            configure_telemetry(client, provider=recorder.tracer_provider)
            client.chat.complete(**mistral_calls.CHAT)

    call()
    assert len(recorder.spans) == len(recorder.metered) == len(provider.served) == 2
    # Where nothing is metered they do trace themselves.
    recorder.stop()
    call()
    assert len(recorder.spans) == len(provider.served) == 4


def test_finding_3_libraries_that_send_baggage_by_themselves_send_no_tenant(
    recorder: Recorder, provider: SimulatedProvider
) -> None:
    """Metered or not: what they propagate on their own is everything in the baggage but ours."""
    token = attach(baggage.set_baggage("theirs", "stays"))
    try:
        with traced_anthropic(provider, recorder) as client, usage(tenant_id="acme"):
            client.messages.create(**MESSAGES.arguments)
            ask = {key: MESSAGES.arguments[key] for key in ("model", "messages")}
            client.messages.count_tokens(**ask)
        with mistral_calls.client_of(provider) as client, usage(tenant_id="acme"):
            configure_telemetry(client, provider=recorder.tracer_provider)
            client.chat.complete(**mistral_calls.CHAT)
    finally:
        detach(token)
    assert [span[names.TENANT_ID] for span in recorder.metered] == ["acme", "acme"]
    assert provider.requests[1].header("baggage") == "theirs=stays"
    for request in provider.requests:
        assert b"acme" not in request.raw


def test_finding_4_a_version_that_is_not_metered_is_said_aloud(
    recorder: Recorder, caplog: pytest.LogCaptureFixture
) -> None:
    """Every current major is metered; one that is not known, or is built otherwise, is told of."""
    on = {each.package for each in coverage() if each.metered and not each.why}
    assert on >= {"openai", "anthropic", "google-genai", "mistralai"}
    assert on >= {"cohere", "groq", "together", "ollama"}
    assert caplog.records == []
    known = ("mistralai.client.basesdk", "BaseSDK.do_request")
    Installed([("mistralai", "<1")], [known], meters="1").check()
    moved = Installed([("together", ">=1")], [("together.types.chat_completions", "")], meters="1")
    moved.check()
    assert [each.metered for each in moved.coverage(on=True)] == [False]
    assert [each.levelno for each in caplog.records] == [logging.WARNING, logging.ERROR]


def test_finding_5_streamed_chat_reports_its_tokens_though_nobody_asked(
    recorder: Recorder, provider: SimulatedProvider, openai_client: OpenAI
) -> None:
    """The usage is asked for on the way; the application sees nothing of it, nor is it guessed."""
    chunks = list(openai_client.chat.completions.create(**CHAT.arguments, stream=True))
    assert provider.requests[0].json()["stream_options"] == {"include_usage": True}
    assert all(chunk.usage is None and chunk.choices for chunk in chunks)
    check_usage(recorder.only(), provider.served[0])


def test_finding_6_the_running_totals_of_an_anthropic_stream_are_not_added_up(
    recorder: Recorder, provider: SimulatedProvider, anthropic_client: Anthropic
) -> None:
    """The first event says 3 output tokens, the last 15 in all: 15, and not 18."""
    told = {"input_tokens": 10, "output_tokens": 15}
    provider.enqueue(Reply(usage=told, start_usage={**told, "output_tokens": 3}))
    deque(anthropic_client.messages.create(**MESSAGES.arguments, stream=True))
    assert recorder.only()[names.OUTPUT_TOKENS] == 15
    check_usage(recorder.only(), provider.served[0])


class RecordsWhatItDrops(Sampler):
    """Samples nothing, and records everything with the attributes that it was begun with."""

    def should_sample(
        self,
        parent_context: Any,
        trace_id: int,
        name: str,
        kind: Any = None,
        attributes: Any = None,
        links: Any = None,
        trace_state: Any = None,
    ) -> SamplingResult:
        return SamplingResult(Decision.RECORD_ONLY, attributes)

    def get_description(self) -> str:
        return "RecordsWhatItDrops"


class Ended(SpanProcessor):
    """Keeps the spans that have ended, sampled or not."""

    def __init__(self) -> None:
        self.spans: list[ReadableSpan] = []

    def on_end(self, span: ReadableSpan) -> None:
        self.spans.append(span)


def test_finding_7_a_span_that_is_recorded_without_being_sampled_says_everything(
    recorder: Recorder, provider: SimulatedProvider, openai_client: OpenAI
) -> None:
    """Of what the sampler has dropped there is no less to know: whose call it was, and its tokens."""
    ended = Ended()
    recorder.stop()
    recorder.tracer_provider = TracerProvider(sampler=RecordsWhatItDrops(), shutdown_on_exit=False)
    recorder.tracer_provider.add_span_processor(ended)
    recorder.start()
    with usage(tenant_id="acme"):
        deque(openai_client.chat.completions.create(**CHAT.arguments, stream=True))
    [span] = ended.spans
    assert span.context is not None
    assert not span.context.trace_flags.sampled
    attributes = dict(span.attributes or {})
    check_usage(attributes, provider.served[0])
    assert attributes[names.TENANT_ID] == "acme"
    assert attributes[names.OPERATION_NAME] == names.CHAT
    assert attributes[names.PROVIDER_NAME] == "openai"
    assert attributes[names.REQUEST_MODEL] == CHAT.arguments["model"]


def test_finding_8_calls_within_a_call_are_each_counted(
    recorder: Recorder, provider: SimulatedProvider
) -> None:
    """Two calls of 1000 and 70 tokens, made in the course of a third within a router that others
    trace, and which asks for silence below it: none is lost in another."""

    def route() -> str:
        with client_of(CHAT, provider) as inner:
            for _ in range(2):
                CHAT.resource(inner).create(**CHAT.arguments)
        return "the key of whom it is routed to"

    provider.enqueue(counted(1000), counted(70), counted(5))
    silent = set_value("suppress_language_model_instrumentation", value=True)
    token = attach(set_value("opentelemetry.genai.client.inference.context", object(), silent))
    try:
        with OpenAI(base_url=provider.openai_base_url, api_key=route) as client:
            CHAT.resource(client).create(**CHAT.arguments)
    finally:
        detach(token)
    assert [span[names.INPUT_TOKENS] for span in recorder.metered] == [1000, 70, 5]


def test_finding_9_a_response_that_is_fetched_again_is_not_counted_again(
    recorder: Recorder, provider: SimulatedProvider, openai_client: Any
) -> None:
    """It shows its usage each time, and is paid for once."""
    made = openai_client.responses.create(model="gpt-5-mini", input="How did we do?")
    provider.keep(made.id, made.model_dump(mode="json"))
    for _ in range(2):
        assert openai_client.responses.retrieve(made.id).usage.input_tokens
    first, *fetched = recorder.metered
    check_usage(first, provider.served[0])
    assert [span[names.OPERATION_NAME] for span in fetched] == [names.FETCH_RESPONSE] * 2
    assert not [name for span in fetched for name in span if name.startswith("gen_ai.usage.")]


def test_finding_10_each_request_of_geminis_function_calling_is_counted(
    recorder: Recorder, provider: SimulatedProvider
) -> None:
    """Of requests of 100 and 200 tokens, which one method makes, it returns the last's usage only."""

    def revenue(region: str) -> str:
        """The revenue of a region."""
        return f"much in {region}"

    for size in (100, 200):
        provider.enqueue(Reply(usage={"promptTokenCount": size, "candidatesTokenCount": 1}))
    with gemini_client(provider) as client:
        config = types.GenerateContentConfig(tools=[revenue])
        answer = client.models.generate_content(**GEMINI, config=config)
    assert answer.usage_metadata.prompt_token_count == 200
    assert [span[names.INPUT_TOKENS] for span in recorder.metered] == [100, 200]
