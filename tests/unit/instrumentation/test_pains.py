"""What users of other instrumentations complain of: usage that is lost or doubled. For whom it is,
and how often it was tried, is in `test_pains_of_tenants.py`.

Each has a test with the client libraries themselves, which fails where the complaint would be
justified here. Not here, because they concern what happens to a record once it has been made: that
traces are sampled, and that records are lost in an outage, at a shutdown or a fork. Nor is what the
receiver decides: which of two spans counts where a framework's own repeats the usage of the call
beneath it, and that the bill agrees with the provider's invoice.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

import httpx2
import pytest
from anthropic import Anthropic
from openai import OpenAI
from opentelemetry.instrumentation.httpx import HTTPX2ClientInstrumentor

from simulated_provider import Reply, SimulatedProvider
from spanmeter.metering import attributes as names
from unit.instrumentation.clients.asking import (
    GEMINI,
    STREAMS,
    ask,
    bedrock_client,
    gemini_client,
)
from unit.instrumentation.forms import (
    CHAT,
    MESSAGES,
    PARSEABLE,
    RESPONSES,
    Answer,
    Api,
    async_client_of,
    client_of,
)
from unit.instrumentation.recording import Recorder, check_usage

each_way = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])


@pytest.mark.parametrize("opted_out", [False, True])
def test_pain_1_a_streamed_chat_without_tokens(
    recorder: Recorder,
    provider: SimulatedProvider,
    openai_client: OpenAI,
    monkeypatch: pytest.MonkeyPatch,
    *,
    opted_out: bool,
) -> None:
    """It has its tokens, code that takes `choices[0]` of each chunk goes on working, and a server
    that would refuse to be asked for usage is not asked: its tokens are estimated, and marked so."""
    monkeypatch.setenv("SPANMETER_STREAM_USAGE_OPT_OUT", "127.0.0.1" if opted_out else "")
    for chunk in openai_client.chat.completions.create(**CHAT.arguments, stream=True):
        assert chunk.choices[0].index == 0
    assert ("stream_options" in provider.requests[0].json()) is not opted_out
    if not opted_out:
        check_usage(recorder.only(), provider.served[0])
    assert int(str(recorder.only()[names.OUTPUT_TOKENS])) > 0
    source = names.SOURCE_TOKENIZER if opted_out else names.SOURCE_PROVIDER
    assert recorder.only()[names.USAGE_SOURCE] == source


@pytest.mark.parametrize("name", ["chat", "responses", "messages", "gemini"])
@pytest.mark.parametrize(
    ("reply", "error_type"),
    [
        (Reply(chunks=50, chunk_delay=0.005), names.CANCELLED),
        (Reply(chunks=50, abort_after=20), "httpx2.RemoteProtocolError"),
    ],
    ids=["left", "cut"],
)
def test_pain_2_a_stream_that_is_not_read_to_its_end(
    recorder: Recorder, provider: SimulatedProvider, name: str, reply: Reply, error_type: str
) -> None:
    """Left or cut off, it is one record of the tokens so far, which says that they are estimated."""
    provider.enqueue(reply)
    with STREAMS[name](provider) as stream:
        if reply.abort_after is None:
            for _, _ in zip(range(8), stream, strict=False):
                pass
        else:
            with pytest.raises(Exception, match=r"peer closed connection|Connection error"):
                deque(stream)
    span = recorder.only()
    assert span[names.ERROR_TYPE] == error_type
    assert span[names.USAGE_SOURCE] in {names.SOURCE_ESTIMATE, names.SOURCE_TOKENIZER}
    assert int(str(span[names.INPUT_TOKENS])) > 0
    assert int(str(span[names.OUTPUT_TOKENS])) > 0


def test_pain_2_a_task_that_is_cancelled_in_its_stream(
    recorder: Recorder, provider: SimulatedProvider
) -> None:
    """As when a user leaves while the answer is written to them."""

    async def call() -> None:
        async with async_client_of(CHAT, provider) as client:
            async for _ in await CHAT.resource(client).create(**CHAT.arguments, stream=True):
                pass

    provider.enqueue(Reply(chunks=1000, chunk_delay=0.01))
    with pytest.raises(TimeoutError):
        asyncio.run(asyncio.wait_for(call(), 0.3))
    assert recorder.only()[names.ERROR_TYPE] == names.CANCELLED
    assert int(str(recorder.only()[names.OUTPUT_TOKENS])) > 0


CUMULATIVE = {"input_tokens": 10, "cache_creation_input_tokens": 300, "output_tokens": 15}


@pytest.mark.parametrize(
    ("name", "reply"),
    [
        ("messages", Reply(usage=CUMULATIVE, start_usage={**CUMULATIVE, "output_tokens": 3})),
        ("gemini", Reply(chunks=20)),
    ],
)
def test_pain_3_running_totals_that_are_added_up(
    recorder: Recorder, provider: SimulatedProvider, name: str, reply: Reply
) -> None:
    """What each event of a stream tells anew, cache writes too, is counted once."""
    provider.enqueue(reply)
    ask(name, provider, stream=True)
    check_usage(recorder.only(), provider.served[0])


CACHED: Mapping[str, Mapping[str, Any]] = {
    "chat": {
        "prompt_tokens": 1000,
        "prompt_tokens_details": {"cached_tokens": 600},
        "completion_tokens": 10,
        "total_tokens": 1010,
    },
    "messages": {"input_tokens": 400, "cache_read_input_tokens": 600, "output_tokens": 10},
    "gemini": {
        "promptTokenCount": 1000,
        "cachedContentTokenCount": 600,
        "candidatesTokenCount": 10,
    },
    "bedrock": {
        "inputTokens": 400,
        "cacheReadInputTokens": 600,
        "outputTokens": 10,
        "totalTokens": 1010,
    },
}


@each_way
@pytest.mark.parametrize("name", CACHED)
def test_pain_4_cached_tokens_that_are_in_the_input_here_and_beside_it_there(
    recorder: Recorder, provider: SimulatedProvider, name: str, *, stream: bool
) -> None:
    """The same prompt is the same numbers, whichever way its provider counts."""
    provider.enqueue(Reply(usage=CACHED[name]))
    ask(name, provider, stream=stream)
    span = recorder.only()
    assert (span[names.INPUT_TOKENS], span[names.CACHE_READ_INPUT_TOKENS]) == (1000, 600)
    assert span[names.OUTPUT_TOKENS] == 10


def _parse(provider: SimulatedProvider) -> None:
    with client_of(CHAT, provider) as client:
        CHAT.resource(client).parse(**CHAT.arguments, response_format=Answer)


def _run_tools(provider: SimulatedProvider) -> None:
    with client_of(MESSAGES, provider) as client:
        client.beta.messages.tool_runner(**MESSAGES.arguments, tools=[]).until_done()


def _stream_of_messages(provider: SimulatedProvider) -> None:
    with (
        client_of(MESSAGES, provider) as client,
        client.messages.stream(**MESSAGES.arguments) as stream,
    ):
        stream.get_final_message()


def _chat_of_gemini(provider: SimulatedProvider) -> None:
    with gemini_client(provider) as client:
        client.chats.create(model=GEMINI["model"]).send_message(GEMINI["contents"])


@pytest.mark.parametrize("wrapper", [_parse, _run_tools, _stream_of_messages, _chat_of_gemini])
def test_pain_5_methods_around_methods_that_count_twice(
    recorder: Recorder, provider: SimulatedProvider, wrapper: Callable[[SimulatedProvider], None]
) -> None:
    """There are as many records as requests, through however many layers of a library they go."""
    provider.enqueue(Reply(text=PARSEABLE))
    wrapper(provider)
    [served] = provider.served
    check_usage(recorder.only(), served)


def test_pain_6_a_call_that_everything_traces(
    recorder: Recorder, provider: SimulatedProvider
) -> None:
    """The application's framework, the client library itself and its HTTP client all make spans
    of the call; one of them has its usage."""
    http_tracing = HTTPX2ClientInstrumentor()
    http_tracing.instrument(tracer_provider=recorder.tracer_provider)
    try:
        tracer = recorder.tracer_provider.get_tracer("framework")
        with (
            tracer.start_as_current_span("chat"),
            Anthropic(
                base_url=provider.url,
                api_key="any",
                http_client=httpx2.Client(verify=False),
                open_telemetry={"tracer_provider": recorder.tracer_provider},
            ) as client,
        ):
            client.messages.create(**MESSAGES.arguments)
    finally:
        http_tracing.uninstrument()
    [attempt] = [span for span in recorder.spans if names.INPUT_TOKENS in (span.attributes or {})]
    check_usage(dict(attempt.attributes or {}), provider.served[0])
    assert len(recorder.spans) == 3


REASONED: Mapping[str, Mapping[str, Any]] = {
    "chat": {
        "prompt_tokens": 8,
        "completion_tokens": 42,
        "completion_tokens_details": {"reasoning_tokens": 32},
        "total_tokens": 50,
    },
    "responses": {
        "input_tokens": 8,
        "output_tokens": 42,
        "output_tokens_details": {"reasoning_tokens": 32},
        "total_tokens": 50,
    },
    "messages": {
        "input_tokens": 8,
        "output_tokens": 42,
        "output_tokens_details": {"thinking_tokens": 32},
    },
    "gemini": {"promptTokenCount": 8, "candidatesTokenCount": 10, "thoughtsTokenCount": 32},
}


@each_way
@pytest.mark.parametrize("name", REASONED)
def test_pain_7_reasoning_that_is_counted_twice_or_not_at_all(
    recorder: Recorder, provider: SimulatedProvider, name: str, *, stream: bool
) -> None:
    """It is a part of the output, though Gemini tells it beside."""
    provider.enqueue(Reply(usage=REASONED[name]))
    ask(name, provider, stream=stream)
    span = recorder.only()
    assert (span[names.OUTPUT_TOKENS], span[names.REASONING_OUTPUT_TOKENS]) == (42, 32)


@each_way
def test_pain_8_what_geminis_tools_feed_in_on_the_wrong_side(
    recorder: Recorder, provider: SimulatedProvider, *, stream: bool
) -> None:
    """It is input, and paid for as that."""
    block = {"promptTokenCount": 100, "toolUsePromptTokenCount": 40, "candidatesTokenCount": 10}
    provider.enqueue(Reply(usage=block))
    ask("gemini", provider, stream=stream)
    assert recorder.only()[names.INPUT_TOKENS] == 140
    assert recorder.only()[names.OUTPUT_TOKENS] == 10


@each_way
@pytest.mark.parametrize("api", [CHAT, RESPONSES, MESSAGES])
def test_pain_9_raw_responses_that_have_no_usage(
    recorder: Recorder, provider: SimulatedProvider, api: Api, *, stream: bool
) -> None:
    """As frameworks take them, to see the headers."""
    with client_of(api, provider) as client:
        raw = api.resource(client).with_raw_response
        answer = raw.create(**api.arguments, stream=stream)
        assert answer.headers
        parsed = answer.parse()
        if stream:
            deque(parsed)
    check_usage(recorder.only(), provider.served[0])


@each_way
def test_pain_10_bedrocks_cache_counters_that_are_left_out(
    recorder: Recorder, provider: SimulatedProvider, *, stream: bool
) -> None:
    """Of Converse, and of Claude's own body."""
    ttl = [{"ttl": "1h", "inputTokens": 300}]
    converse = {"inputTokens": 10, "cacheReadInputTokens": 600, "cacheWriteInputTokens": 300}
    claude = {
        "input_tokens": 10,
        "cache_read_input_tokens": 600,
        "cache_creation_input_tokens": 300,
        "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 300},
    }
    provider.enqueue(
        Reply(usage={**converse, "outputTokens": 5, "totalTokens": 915, "cacheDetails": ttl}),
        Reply(usage={**claude, "output_tokens": 5}),
    )
    ask("bedrock", provider, stream=stream)
    body = {"anthropic_version": "bedrock-2023-05-31", **MESSAGES.arguments}
    arguments: Any = {"modelId": "anthropic.claude-haiku-4-5-20251001-v1:0"}
    arguments["body"] = json.dumps({key: body[key] for key in body if key != "model"})
    with bedrock_client(provider) as client:
        if stream:
            deque(client.invoke_model_with_response_stream(**arguments)["body"])
        else:
            client.invoke_model(**arguments)["body"].read()
    for span in recorder.metered:
        assert span[names.INPUT_TOKENS] == 910
        assert span[names.CACHE_READ_INPUT_TOKENS] == 600
        assert span[names.CACHE_WRITE_INPUT_TOKENS] == span[names.cache_write("1h")] == 300
    assert len(recorder.metered) == 2
