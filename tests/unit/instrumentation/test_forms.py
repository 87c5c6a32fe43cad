"""Whatever form a call takes, it is one span that says what the provider has in its books."""

from __future__ import annotations

import asyncio
import pickle
from typing import Any, Literal

import httpx2
import pytest
from anthropic import Anthropic
from anthropic.types import TextBlockParam
from openai import OpenAI

from simulated_provider import Reply, SimulatedProvider
from spanmeter.instrumentation import usage
from spanmeter.metering import attributes as names
from unit.instrumentation.forms import (
    APIS,
    ASYNC_FORMS,
    ASYNC_STREAM_FORMS,
    FORMS,
    PARSEABLE,
    PARSING_APIS,
    STREAM_FORMS,
    STREAMING_APIS,
    Answer,
    Api,
    AsyncForm,
    Form,
    async_client_of,
    client_of,
)
from unit.instrumentation.recording import Recorder, check_usage

each_api = pytest.mark.parametrize("api", APIS.values(), ids=APIS)
each_streaming_api = pytest.mark.parametrize("api", STREAMING_APIS.values(), ids=STREAMING_APIS)
each_parsing_api = pytest.mark.parametrize("api", PARSING_APIS.values(), ids=PARSING_APIS)


def check_whole(recorder: Recorder, provider: SimulatedProvider) -> None:
    """One call was made, of an answer that came in one piece."""
    [served] = provider.served
    span = recorder.only()
    check_usage(span, served)
    assert names.REQUEST_STREAM not in span
    assert names.TIME_TO_FIRST_CHUNK not in span


def check_streamed(recorder: Recorder, provider: SimulatedProvider) -> None:
    """One call was made, of an answer that was streamed."""
    [served] = provider.served
    span = recorder.only()
    check_usage(span, served)
    assert span[names.REQUEST_STREAM] is True
    first_chunk = span[names.TIME_TO_FIRST_CHUNK]
    assert isinstance(first_chunk, float)
    assert 0 < first_chunk < 10


@each_api
@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_whole_answers(
    recorder: Recorder, provider: SimulatedProvider, api: Api, form: Form
) -> None:
    with client_of(api, provider) as client:
        form(api.resource(client), api.arguments)
    check_whole(recorder, provider)


@each_api
@pytest.mark.parametrize("form", ASYNC_FORMS.values(), ids=ASYNC_FORMS)
def test_whole_answers_async(
    recorder: Recorder, provider: SimulatedProvider, api: Api, form: AsyncForm
) -> None:
    async def call() -> None:
        async with async_client_of(api, provider) as client:
            await form(api.resource(client), api.arguments)

    asyncio.run(call())
    check_whole(recorder, provider)


@each_streaming_api
@pytest.mark.parametrize("form", STREAM_FORMS.values(), ids=STREAM_FORMS)
def test_streams(recorder: Recorder, provider: SimulatedProvider, api: Api, form: Form) -> None:
    with client_of(api, provider) as client:
        form(api.resource(client), api.arguments)
    check_streamed(recorder, provider)


@each_streaming_api
@pytest.mark.parametrize("form", ASYNC_STREAM_FORMS.values(), ids=ASYNC_STREAM_FORMS)
def test_streams_async(
    recorder: Recorder, provider: SimulatedProvider, api: Api, form: AsyncForm
) -> None:
    async def call() -> None:
        async with async_client_of(api, provider) as client:
            await form(api.resource(client), api.arguments)

    asyncio.run(call())
    check_streamed(recorder, provider)


def parse_keyword(api: Api) -> str:
    """What the API calls the type to parse the answer into."""
    if api.sdk == "anthropic":
        return "output_format"
    return "text_format" if api.path == "/responses" else "response_format"


@each_parsing_api
def test_parsed_answers(recorder: Recorder, provider: SimulatedProvider, api: Api) -> None:
    provider.enqueue(Reply(text=PARSEABLE))
    with client_of(api, provider) as client:
        api.resource(client).parse(**api.arguments, **{parse_keyword(api): Answer})
    check_whole(recorder, provider)


@each_parsing_api
def test_parsed_answers_async(recorder: Recorder, provider: SimulatedProvider, api: Api) -> None:
    async def call() -> None:
        async with async_client_of(api, provider) as client:
            await api.resource(client).parse(**api.arguments, **{parse_keyword(api): Answer})

    provider.enqueue(Reply(text=PARSEABLE))
    asyncio.run(call())
    check_whole(recorder, provider)


@each_parsing_api
def test_the_sdks_own_stream_helpers(
    recorder: Recorder, provider: SimulatedProvider, api: Api
) -> None:
    with (
        client_of(api, provider) as client,
        api.resource(client).stream(**api.arguments) as stream,
    ):
        for _ in stream:
            pass
    check_streamed(recorder, provider)


@each_parsing_api
def test_the_sdks_own_stream_helpers_async(
    recorder: Recorder, provider: SimulatedProvider, api: Api
) -> None:
    async def call() -> None:
        async with (
            async_client_of(api, provider) as client,
            api.resource(client).stream(**api.arguments) as stream,
        ):
            async for _ in stream:
                pass

    asyncio.run(call())
    check_streamed(recorder, provider)


@each_api
@pytest.mark.parametrize("url", ["as the SDK writes it", "without a slash", "absolute"])
def test_direct_posts(recorder: Recorder, provider: SimulatedProvider, api: Api, url: str) -> None:
    """Applications use `client.post` for parameters that their SDK does not know yet."""
    base = provider.openai_base_url if api.sdk == "openai" else provider.url
    paths = {"without a slash": api.path.lstrip("/"), "absolute": base + api.path}
    with client_of(api, provider) as client:
        client.post(paths.get(url, api.path), body=dict(api.arguments), cast_to=api.cast_to)
    check_whole(recorder, provider)


@each_api
def test_copies_of_a_client_are_metered_alike(
    recorder: Recorder, provider: SimulatedProvider, api: Api
) -> None:
    with client_of(api, provider) as client:
        copy = client.with_options(timeout=10, max_retries=0)
        api.resource(copy).create(**api.arguments)
    check_whole(recorder, provider)


def test_what_a_chat_span_says_in_full(
    recorder: Recorder, provider: SimulatedProvider, openai_client: OpenAI
) -> None:
    provider.enqueue(Reply(service_tier="priority"))
    with usage(tenant_id="acme", feature="search", dimensions={"region": "eu"}):
        openai_client.chat.completions.create(
            model="gpt-6-luna", messages=[{"role": "user", "content": "How?"}]
        )
    [served] = provider.served
    span = dict(recorder.only())
    raw = span.pop(names.USAGE_RAW)
    assert isinstance(raw, str)
    assert span == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-6-luna",
        "gen_ai.response.model": "gpt-6-luna",
        "gen_ai.response.id": served.response_id,
        "gen_ai.usage.input_tokens": served.usage["prompt_tokens"],
        "gen_ai.usage.cache_read.input_tokens": 0,
        "gen_ai.usage.cache_write.input_tokens": 0,
        "gen_ai.usage.audio.input_tokens": 0,
        "gen_ai.usage.output_tokens": served.usage["completion_tokens"],
        "gen_ai.usage.reasoning.output_tokens": served.tokens.reasoning,
        "gen_ai.usage.audio.output_tokens": 0,
        "server.address": "127.0.0.1",
        "server.port": int(provider.url.rsplit(":", 1)[1]),
        "tenant.id": "acme",
        "usage.feature": "search",
        "usage.dimension.region": "eu",
        "usage.attempt": 1,
        "usage.service_tier": "priority",
        "usage.source": "provider",
    }
    only = recorder.only_span()
    assert only.name == "chat gpt-6-luna"
    assert only.instrumentation_scope is not None
    assert only.instrumentation_scope.name == "spanmeter.openai"


def long_block(text: str, ttl: Literal["5m", "1h"]) -> TextBlockParam:
    """A prompt block that is long enough to be cached, for that time."""
    return {
        "type": "text",
        "text": text * 1100,
        "cache_control": {"type": "ephemeral", "ttl": ttl},
    }


@pytest.mark.parametrize("stream", [False, True])
def test_anthropics_counts_are_made_inclusive_and_split_by_time_to_live(
    recorder: Recorder, provider: SimulatedProvider, anthropic_client: Anthropic, *, stream: bool
) -> None:
    """The first call writes both, the second reads one and writes another."""
    system = [long_block("one ", "1h"), long_block("two ", "5m")]
    ask: Any = {
        "model": "claude-sonnet-5",
        "max_tokens": 20,
        "messages": [{"role": "user", "content": "How?"}],
    }
    for blocks in (system, [system[0], long_block("three ", "5m")]):
        message: Any = anthropic_client.messages.create(**ask, system=blocks, stream=stream)
        if stream:
            for _ in message:
                pass
    first, second = recorder.metered
    wrote, reread = provider.served
    check_usage(first, wrote)
    check_usage(second, reread)
    assert wrote.tokens.cache_write_1h == 1100
    assert first[names.cache_write("1h")] == wrote.tokens.cache_write_1h
    assert first[names.cache_write("5m")] == wrote.tokens.cache_write > 0
    assert second[names.CACHE_READ_INPUT_TOKENS] == 1100
    assert first[names.INPUT_TOKENS] == (
        wrote.usage["input_tokens"] + wrote.tokens.cache_write + wrote.tokens.cache_write_1h
    )


def test_a_message_delta_revises_what_the_start_said(
    recorder: Recorder, provider: SimulatedProvider, anthropic_client: Anthropic
) -> None:
    """With server tools the input grows while the answer is made; deltas are cumulative."""
    final = {"input_tokens": 160, "cache_read_input_tokens": 12, "output_tokens": 15}
    provider.enqueue(
        Reply(
            usage=final,
            start_usage={"input_tokens": 10, "output_tokens": 3, "cache_read_input_tokens": 0},
        )
    )
    for _ in anthropic_client.messages.create(
        model="claude-sonnet-5",
        max_tokens=50,
        messages=[{"role": "user", "content": "How?"}],
        stream=True,
    ):
        pass
    span = recorder.only()
    assert span[names.INPUT_TOKENS] == 172
    assert span[names.OUTPUT_TOKENS] == 15


def test_an_answer_without_usage_is_estimated_and_says_so(
    recorder: Recorder, provider: SimulatedProvider, openai_client: OpenAI
) -> None:
    """As some compatible servers do."""
    provider.enqueue(Reply(without_usage=True))
    openai_client.chat.completions.create(
        model="gpt-4o-mini", messages=[{"role": "user", "content": "How?"}]
    )
    span = recorder.only()
    assert span[names.RESPONSE_ID] == provider.served[-1].response_id
    assert span[names.USAGE_SOURCE] == names.SOURCE_TOKENIZER
    assert span[names.INPUT_TOKENS] == 2  # "How", "?"
    assert names.USAGE_RAW not in span


def test_what_is_no_use_of_a_model_is_not_metered(
    recorder: Recorder, provider: SimulatedProvider, openai_client: OpenAI
) -> None:
    served = openai_client.get(provider.url + "/_served", cast_to=object)
    assert served is not None
    assert recorder.spans == []


@each_api
def test_a_response_that_was_read_is_what_it_would_have_been(
    recorder: Recorder, provider: SimulatedProvider, api: Api
) -> None:
    """It is watched as an object of another class; caches pickle responses, and compare classes."""
    with client_of(api, provider) as client:
        create = api.resource(client).with_streaming_response.create
        with create(**api.arguments) as response:
            body = response.read()
    read = response.http_response
    assert type(read) is httpx2.Response
    assert pickle.loads(pickle.dumps(read)).content == body  # noqa: S301 - our own
    assert len(recorder.metered) == 1
