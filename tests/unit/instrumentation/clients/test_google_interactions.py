"""Interactions are what the provider has booked, once, whenever they are fetched."""

from __future__ import annotations

import asyncio
import gc
from collections import deque
from collections.abc import Generator
from typing import Any

import pytest
from google.genai import Client, types

from simulated_provider import Framing, Reply, SimulatedProvider
from spanmeter.instrumentation import usage
from spanmeter.instrumentation.clients.google_interactions import interaction_attributes, read_event
from spanmeter.metering import attributes as names
from unit.instrumentation.recording import Recorder, check_usage

# What releases before 3.0 say of each.
pytestmark = pytest.mark.filterwarnings(
    "ignore:Interactions usage is experimental:UserWarning",
    "ignore:Granular retry options are not supported:UserWarning",
    "ignore:Async interactions client cannot use aiohttp:UserWarning",
)

ASK: dict[str, Any] = {"model": "gemini-2.5-flash", "input": "How did we do?"}


@pytest.fixture
def client(provider: SimulatedProvider) -> Generator[Any]:
    retries = types.HttpRetryOptions(attempts=3, initial_delay=0.001, max_delay=0.002)
    options = types.HttpOptions(base_url=provider.url, retry_options=retries)
    with Client(api_key="any", http_options=options) as client:
        yield client


async def _ask(client: Any, **options: Any) -> None:
    async with client.aio as aio:
        answer = await aio.interactions.create(**ASK, **options)
        if options:
            async for _ in answer:
                pass


def test_an_interaction_is_what_was_booked(
    recorder: Recorder, provider: SimulatedProvider, client: Any
) -> None:
    with usage(tenant_id="acme"):
        client.interactions.create(**ASK)
    check_usage(recorder.only(), provider.served[0])
    span = recorder.only()
    assert span[names.OPERATION_NAME] == names.GENERATE_CONTENT
    assert span[names.PROVIDER_NAME] == "gcp.gemini"
    assert span[names.USAGE_SERVICE_TIER] == "standard"
    assert span[names.TENANT_ID] == "acme"
    assert b"acme" not in provider.requests[0].raw


@pytest.mark.parametrize("framing", [Framing(), Framing(split=5), Framing(line_end="\r\n")])
def test_a_streamed_interaction_is_what_was_booked(
    recorder: Recorder, provider: SimulatedProvider, client: Any, framing: Framing
) -> None:
    provider.enqueue(Reply(framing=framing))
    deque(client.interactions.create(**ASK, stream=True))
    check_usage(recorder.only(), provider.served[0])


@pytest.mark.parametrize("options", [{}, {"stream": True}], ids=["whole", "stream"])
def test_an_async_interaction_is_what_was_booked(
    recorder: Recorder, provider: SimulatedProvider, client: Any, options: dict[str, Any]
) -> None:
    asyncio.run(_ask(client, **options))
    check_usage(recorder.only(), provider.served[0])


def test_every_attempt_is_a_span(
    recorder: Recorder, provider: SimulatedProvider, client: Any
) -> None:
    provider.enqueue(Reply(status=429), Reply(status=503), Reply())
    client.interactions.create(**ASK)
    first, second, third = recorder.metered
    assert [first[names.ERROR_TYPE], second[names.ERROR_TYPE]] == ["429", "503"]
    assert third[names.USAGE_ATTEMPT] == 3
    check_usage(third, provider.served[-1])


def test_an_interaction_in_the_background_counts_once_when_it_is_fetched(
    recorder: Recorder, provider: SimulatedProvider, client: Any
) -> None:
    begun = client.interactions.create(**ASK, background=True)
    for _ in range(3):
        client.interactions.get(begun.id)
    asked, *fetched = recorder.metered
    assert names.INPUT_TOKENS not in asked
    check_usage(fetched[0], provider.served[0])
    assert fetched[0][names.OPERATION_NAME] == names.GENERATE_CONTENT
    for span in fetched[1:]:
        assert span[names.OPERATION_NAME] == names.FETCH_RESPONSE
        assert names.INPUT_TOKENS not in span


def test_an_interaction_that_was_counted_is_not_counted_when_fetched(
    recorder: Recorder, client: Any
) -> None:
    made = client.interactions.create(**ASK)
    client.interactions.get(made.id)
    assert [names.INPUT_TOKENS in span for span in recorder.metered] == [True, False]


def test_an_error_in_the_middle_of_a_stream_is_named(
    recorder: Recorder, provider: SimulatedProvider, client: Any
) -> None:
    provider.enqueue(Reply(error_after=2))
    deque(client.interactions.create(**ASK, stream=True))
    assert recorder.only()[names.ERROR_TYPE] == "UNAVAILABLE"


def test_a_stream_that_is_left_is_cancelled(
    recorder: Recorder, provider: SimulatedProvider, client: Any
) -> None:
    provider.enqueue(Reply(chunks=50, chunk_delay=0.005))
    stream = client.interactions.create(**ASK, stream=True)
    for event in stream:
        if event.event_type == "step.delta":
            break
    del stream
    gc.collect()
    span = recorder.only()
    assert span[names.ERROR_TYPE] == names.CANCELLED
    assert span[names.USAGE_SOURCE] == names.SOURCE_ESTIMATE


def test_every_count_of_the_usage_block_is_an_attribute() -> None:
    block = {
        "total_input_tokens": 100,
        "input_tokens_by_modality": [
            {"modality": "audio", "tokens": 30},
            {"modality": "image", "tokens": 20},
            {"modality": "document", "tokens": 5},
            {"modality": "video", "tokens": 15},
        ],
        "total_cached_tokens": 60,
        "total_output_tokens": 40,
        "output_tokens_by_modality": [{"modality": "image", "tokens": 35}],
        "total_thought_tokens": 12,
        "total_tool_use_tokens": 8,
        "grounding_tool_count": [
            {"type": "google_search", "count": 3},
            {"type": "google_maps", "count": 1},
        ],
    }
    assert interaction_attributes(block) == {
        names.INPUT_TOKENS: 108,
        names.CACHE_READ_INPUT_TOKENS: 60,
        names.AUDIO_INPUT_TOKENS: 30,
        names.IMAGE_INPUT_TOKENS: 25,
        names.quantity("input_video_tokens"): 15,
        names.OUTPUT_TOKENS: 52,
        names.REASONING_OUTPUT_TOKENS: 12,
        names.IMAGE_OUTPUT_TOKENS: 35,
        names.quantity("web_searches"): 3,
        names.quantity("google_maps"): 1,
    }


@pytest.mark.parametrize(
    "event",
    [
        {"event_type": "interaction.complete", "interaction": {"usage": {"total_tokens": 3}}},
        {"event_type": "interaction.status_update", "usage": {"total_tokens": 3}},
        {"event_type": "step.delta", "metadata": {"total_usage": {"total_tokens": 3}}},
    ],
    ids=lambda event: str(event["event_type"]),
)
def test_usage_is_read_wherever_an_event_tells_it(event: dict[str, Any]) -> None:
    assert read_event(event).usage == {"total_tokens": 3}
