"""What OpenAI makes now and counts later is counted once, when it is first seen done."""

from __future__ import annotations

import asyncio
import json
import warnings
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI

from simulated_provider import Reply, SimulatedProvider
from spanmeter.metering import attributes as names
from unit.instrumentation.recording import Attributes, Recorder, check_usage

pytestmark = pytest.mark.skipif(
    tuple(int(part) for part in openai.__version__.split(".")[:2]) < (1, 102),
    reason="this version has no such method",
)

ASK: Any = {"model": "gpt-5-mini", "input": "How did we do?"}


def deprecated() -> AbstractContextManager[None]:
    """What newer versions warn of, and may yet remove."""
    return warnings.catch_warnings(action="ignore", category=DeprecationWarning)


def drained(stream: Any) -> None:
    for _ in stream:
        pass


def calls(recorder: Recorder) -> list[Attributes]:
    """The spans that the receiver meters: fetching is none."""
    return [span for span in recorder.metered if span[names.OPERATION_NAME] != names.FETCH_RESPONSE]


def test_a_background_response_is_counted_when_it_is_fetched_and_done(
    recorder: Recorder, provider: SimulatedProvider, openai_client: Any
) -> None:
    response: Any = openai_client.responses.create(**ASK, background=True)
    assert response.status == "queued"
    while response.status in {"queued", "in_progress"}:
        response = openai_client.responses.retrieve(response.id)
    openai_client.responses.retrieve(response.id)
    asked, done = calls(recorder)
    assert not [name for name in asked if name.startswith("gen_ai.usage.")]
    assert names.USAGE_SOURCE not in asked
    assert done[names.OPERATION_NAME] == names.CHAT
    check_usage(done, provider.served[0])
    assert len(recorder.metered) == 4


FETCH: Mapping[str, Callable[[Any, str], Any]] = {
    "retrieved": lambda client, found: client.responses.retrieve(found),
    "retrieved raw": lambda client, found: client.responses.with_raw_response.retrieve(found),
    "streamed": lambda client, found: drained(client.responses.retrieve(found, stream=True)),
    "cancelled": lambda client, found: client.responses.cancel(found),
}


@pytest.mark.parametrize("fetch", FETCH.values(), ids=FETCH)
def test_however_a_background_response_is_fetched(
    recorder: Recorder,
    provider: SimulatedProvider,
    openai_client: Any,
    fetch: Callable[[Any, str], Any],
) -> None:
    response = openai_client.responses.create(**ASK, background=True)
    for _ in range(3):
        fetch(openai_client, response.id)
    _, done = calls(recorder)
    check_usage(done, provider.served[0])


def test_a_background_response_that_was_streamed_is_not_counted_again(
    recorder: Recorder, provider: SimulatedProvider, openai_client: Any
) -> None:
    drained(openai_client.responses.create(**ASK, background=True, stream=True))
    found = str(provider.served[0].response_id)
    drained(openai_client.responses.retrieve(found, stream=True))
    [only] = calls(recorder)
    check_usage(only, provider.served[0])


def test_a_background_stream_that_is_left_is_not_estimated_but_fetched(
    recorder: Recorder, provider: SimulatedProvider, openai_client: Any
) -> None:
    with openai_client.responses.create(**ASK, background=True, stream=True) as stream:
        found = next(iter(stream)).response.id
    for _ in range(2):
        openai_client.responses.retrieve(found)
    left, done = calls(recorder)
    assert left[names.ERROR_TYPE] == names.CANCELLED
    assert names.OUTPUT_TOKENS not in left
    check_usage(done, provider.wait_for_served(1)[0])


def test_fetching_what_was_counted_when_it_was_made_counts_nothing(
    recorder: Recorder, openai_client: Any, provider: SimulatedProvider
) -> None:
    """Even in another process, which has not seen it made."""
    made = {"id": "resp_1", "object": "response", "status": "completed", "background": False}
    usage = {"input_tokens": 5, "output_tokens": 5, "total_tokens": 10}
    provider.keep("resp_1", {**made, "model": "gpt-5-mini", "usage": usage})
    assert openai_client.responses.retrieve("resp_1").usage.input_tokens == 5
    assert recorder.only()[names.OPERATION_NAME] == names.FETCH_RESPONSE
    assert names.INPUT_TOKENS not in recorder.only()


def test_compacting_a_conversation_is_a_call(
    recorder: Recorder, provider: SimulatedProvider, openai_client: Any
) -> None:
    if not hasattr(openai_client.responses, "compact"):
        pytest.skip("this version cannot compact")
    openai_client.responses.compact(model="gpt-5-mini", input="A long conversation")
    span, [served] = recorder.only(), provider.served
    assert span[names.INPUT_TOKENS] == served.tokens.input
    assert span[names.OUTPUT_TOKENS] == served.tokens.output
    assert span[names.RESPONSE_ID] == served.response_id
    assert span[names.REQUEST_MODEL] == "gpt-5-mini"


def lines(url: str, *bodies: Mapping[str, Any]) -> bytes:
    """The input file of a batch."""
    return b"".join(
        json.dumps({"custom_id": str(n), "method": "POST", "url": url, "body": body}).encode()
        + b"\n"
        for n, body in enumerate(bodies)
    )


def batch_of(client: Any, url: Any, *bodies: Mapping[str, Any]) -> str:
    """A batch that is done; the id of its output."""
    asked = client.files.create(file=("asked.jsonl", lines(url, *bodies)), purpose="batch")
    batch = client.batches.create(input_file_id=asked.id, endpoint=url, completion_window="24h")
    return str(client.batches.retrieve(batch.id).output_file_id)


def chat(question: str) -> dict[str, Any]:
    return {"model": "gpt-5-mini", "messages": [{"role": "user", "content": question}]}


BATCHES: Mapping[str, tuple[str, list[dict[str, Any]], str]] = {
    "chat": ("/v1/chat/completions", [chat("How?"), chat("Why?")], names.CHAT),
    "responses": ("/v1/responses", [ASK, {**ASK, "input": "Why?"}], names.CHAT),
    "embeddings": (
        "/v1/embeddings",
        [{"model": "text-embedding-3-small", "input": "How?", "encoding_format": "float"}],
        names.EMBEDDINGS,
    ),
}


@pytest.mark.parametrize(("url", "bodies", "operation"), BATCHES.values(), ids=BATCHES)
def test_each_line_of_a_batch_is_a_call_once(
    recorder: Recorder,
    provider: SimulatedProvider,
    openai_client: Any,
    url: str,
    bodies: list[dict[str, Any]],
    operation: str,
) -> None:
    output = batch_of(openai_client, url, *bodies)
    assert recorder.metered == []
    for _ in range(2):
        openai_client.files.content(output)
    with openai_client.files.with_streaming_response.content(output) as response:
        drained(response.iter_lines())
    results = calls(recorder)
    assert len(results) == len(bodies)
    for span, served in zip(results, provider.served, strict=True):
        assert span[names.OPERATION_NAME] == operation
        assert span[names.USAGE_SERVICE_TIER] == "batch"
        assert span[names.INPUT_TOKENS] == served.tokens.input
        assert span.get(names.OUTPUT_TOKENS, 0) == served.tokens.output
        assert span.get(names.REASONING_OUTPUT_TOKENS, 0) == served.tokens.reasoning
        assert span[names.RESPONSE_MODEL] == served.response_model


def test_a_file_that_is_no_batch_output_is_no_call(recorder: Recorder, openai_client: Any) -> None:
    """Not even the input of a batch, or a file of answers that the application kept."""
    kept = json.dumps({"id": "chatcmpl-1", "usage": {"prompt_tokens": 5}}).encode()
    for content in (lines("/v1/responses", ASK), kept, b"not JSON\n"):
        kept_file = openai_client.files.create(file=("kept", content), purpose="user_data")
        assert openai_client.files.content(kept_file.id).read() == content
    assert calls(recorder) == []


def test_a_video_is_counted_when_it_is_there(
    recorder: Recorder, provider: SimulatedProvider, openai_client: Any
) -> None:
    if not hasattr(openai_client, "videos"):
        pytest.skip("this version makes no videos")
    with deprecated():
        video = openai_client.videos.create(model="sora-2", prompt="A lighthouse", seconds="8")
    for _ in range(2):
        with deprecated():
            openai_client.videos.retrieve(video.id)
    asked, done = calls(recorder)
    assert names.USAGE_SOURCE not in asked
    assert done[names.OPERATION_NAME] == names.VIDEO_GENERATION
    assert done[names.RESPONSE_MODEL] == "sora-2"
    assert done[names.quantity("video_seconds")] == 8
    assert done[names.quantity("video_seconds.720x1280")] == 8


RUN: Any = {"assistant_id": "asst_1", "model": "gpt-4o-mini", "instructions": "How did we do?"}


@pytest.mark.parametrize("stream", [False, True])
def test_a_run_of_an_assistant_is_counted_once(
    recorder: Recorder, provider: SimulatedProvider, openai_client: Any, *, stream: bool
) -> None:
    with deprecated():
        run = openai_client.beta.threads.runs.create("thread_1", **RUN, stream=stream)
    if stream:
        drained(run)
    run_id = provider.served[0].response_id
    for _ in range(2):
        with deprecated():
            openai_client.beta.threads.runs.retrieve(run_id, thread_id="thread_1")
    done = calls(recorder)[-1]
    assert len(calls(recorder)) == (1 if stream else 2)
    check_usage(done, provider.served[0])


def test_async(recorder: Recorder, provider: SimulatedProvider) -> None:
    async def call() -> None:
        client: Any = AsyncOpenAI(base_url=provider.openai_base_url, api_key="any")
        async with client:
            response = await client.responses.create(**ASK, background=True)
            for _ in range(3):
                await client.responses.retrieve(response.id)

    asyncio.run(call())
    _, done = calls(recorder)
    check_usage(done, provider.served[0])


def test_tools_of_the_provider_are_counted(recorder: Recorder, openai_client: Any) -> None:
    """Pages that a web search opens are not searches."""
    tools: Any = [
        {"type": "web_search"},
        {"type": "file_search", "vector_store_ids": ["vs_1"]},
        {"type": "code_interpreter", "container": {"type": "auto"}},
        {"type": "image_generation"},
    ]
    openai_client.responses.create(**ASK, tools=tools)
    drained(openai_client.responses.create(**ASK, tools=tools, stream=True))
    for span in recorder.metered:
        assert span[names.quantity("web_searches")] == 2
        assert span[names.quantity("storage_searches")] == 1
        assert span[names.quantity("code_executions")] == 1
        assert span[names.quantity("images")] == 1
        assert span[names.quantity("images.1024x1024.low")] == 1


def test_the_provider_knows_best_what_its_tools_cost(
    recorder: Recorder, provider: SimulatedProvider, openai_client: Any
) -> None:
    """Billable searches are fewer than those made; an image's tokens are another model's."""
    drawn = {"input_tokens": 30, "output_tokens": 272, "total_tokens": 302}
    searched = {"type": "web_search_call", "action": {"type": "search"}}
    made = {
        "id": "resp_tools",
        "object": "response",
        "status": "completed",
        "background": True,
        "model": "gpt-5-mini",
        "output": [searched, searched, searched],
        "usage": {"input_tokens": 5, "output_tokens": 6, "total_tokens": 11},
        "tool_usage": {"image_gen": drawn, "web_search": {"num_requests": 2}},
    }
    provider.keep("resp_tools", made)
    for _ in range(2):
        openai_client.responses.retrieve("resp_tools")
    [span] = calls(recorder)
    assert span[names.INPUT_TOKENS] == 5
    assert span[names.OUTPUT_TOKENS] == 6
    assert span[names.quantity("web_searches")] == 2
    assert span[names.quantity("image_tool_input_tokens")] == 30
    assert span[names.quantity("image_tool_output_tokens")] == 272
    assert '"num_requests":2' in str(span[names.USAGE_RAW])


def test_cache_writes_by_time_to_live(
    recorder: Recorder, provider: SimulatedProvider, openai_client: Any
) -> None:
    written = {"ttl_30m_tokens": 100, "ttl_12h_tokens": 20}
    provider.enqueue(
        Reply(
            usage={
                "input_tokens": 200,
                "input_tokens_details": {
                    "cached_tokens": 10,
                    "cache_write_tokens": 120,
                    "cache_write_tokens_details": written,
                },
                "output_tokens": 5,
                "output_tokens_details": {"reasoning_tokens": 0},
                "total_tokens": 205,
            }
        )
    )
    openai_client.responses.create(**ASK)
    span = recorder.only()
    assert span[names.CACHE_WRITE_INPUT_TOKENS] == 120
    assert span[names.cache_write("30m")] == 100
    assert span[names.cache_write("12h")] == 20
