"""What Google says of a call is on the span: every count, the tier, the region, the searches."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Mapping
from typing import Any

import pytest
from google.genai import types

from simulated_provider import Reply, SimulatedProvider
from spanmeter.instrumentation.clients.google_usage import endpoint_of, generated_attributes
from spanmeter.metering import attributes as names
from unit.instrumentation.clients.google_calls import ASK, FORMS, LONG, client_of, vertex_client_of
from unit.instrumentation.recording import Recorder, check_raw_usage, check_usage


@pytest.fixture
def client(provider: SimulatedProvider) -> Generator[Any]:
    with client_of(provider) as client:
        yield client


@pytest.fixture
def vertex(provider: SimulatedProvider) -> Generator[Any]:
    with vertex_client_of(provider) as client:
        yield client


def test_a_prompt_that_was_cached_is_counted_in_the_input(
    recorder: Recorder, provider: SimulatedProvider, client: Any
) -> None:
    for _ in range(2):
        client.models.generate_content(**LONG)
    first, second = recorder.metered
    assert names.CACHE_READ_INPUT_TOKENS not in first
    cached, given = second[names.CACHE_READ_INPUT_TOKENS], second[names.INPUT_TOKENS]
    assert isinstance(cached, int)
    assert isinstance(given, int)
    assert 1024 <= cached <= given == first[names.INPUT_TOKENS]
    check_usage(second, provider.served[-1])


TEXT = {"modality": "TEXT", "tokenCount": 60}
AUDIO = {"modality": "AUDIO", "tokenCount": 30}
IMAGE = {"modality": "IMAGE", "tokenCount": 20}
VIDEO = {"modality": "VIDEO", "tokenCount": 15}
DOCUMENT = {"modality": "DOCUMENT", "tokenCount": 7}

BLOCKS: Mapping[str, tuple[dict[str, Any], dict[str, int]]] = {
    "thoughts are output": (
        {"promptTokenCount": 8, "candidatesTokenCount": 10, "thoughtsTokenCount": 32},
        {
            names.INPUT_TOKENS: 8,
            names.OUTPUT_TOKENS: 42,
            names.REASONING_OUTPUT_TOKENS: 32,
        },
    ),
    "nothing but thoughts": (
        {"promptTokenCount": 8, "thoughtsTokenCount": 32},
        {
            names.INPUT_TOKENS: 8,
            names.OUTPUT_TOKENS: 32,
            names.REASONING_OUTPUT_TOKENS: 32,
        },
    ),
    "what a tool fed in is input": (
        {
            "promptTokenCount": 100,
            "toolUsePromptTokenCount": 40,
            "toolUsePromptTokensDetails": [{"modality": "IMAGE", "tokenCount": 5}],
            "promptTokensDetails": [IMAGE],
            "candidatesTokenCount": 10,
        },
        {
            names.INPUT_TOKENS: 140,
            names.IMAGE_INPUT_TOKENS: 25,
            names.OUTPUT_TOKENS: 10,
        },
    ),
    "cached tokens are in the prompt": (
        {
            "promptTokenCount": 132,
            "cachedContentTokenCount": 90,
            "promptTokensDetails": [TEXT, AUDIO, IMAGE, VIDEO, DOCUMENT],
            "cacheTokensDetails": [TEXT, AUDIO],
            "candidatesTokenCount": 50,
            "candidatesTokensDetails": [IMAGE, AUDIO],
        },
        {
            names.INPUT_TOKENS: 132,
            names.CACHE_READ_INPUT_TOKENS: 90,
            names.AUDIO_INPUT_TOKENS: 30,
            names.AUDIO_CACHE_READ_INPUT_TOKENS: 30,
            names.IMAGE_INPUT_TOKENS: 27,
            names.quantity("input_video_tokens"): 15,
            names.OUTPUT_TOKENS: 50,
            names.AUDIO_OUTPUT_TOKENS: 30,
            names.IMAGE_OUTPUT_TOKENS: 20,
        },
    ),
}


@pytest.mark.parametrize(("block", "expected"), BLOCKS.values(), ids=BLOCKS)
@pytest.mark.parametrize("form", ["plain", "stream"])
def test_every_count_of_the_usage_block_is_on_the_span(
    recorder: Recorder,
    provider: SimulatedProvider,
    client: Any,
    block: dict[str, Any],
    expected: dict[str, int],
    form: str,
) -> None:
    provider.enqueue(Reply(usage=block))
    FORMS[form](client)
    span = recorder.only()
    found = {
        name: value
        for name, value in span.items()
        if name.startswith(("gen_ai.usage.", names.USAGE_QUANTITY_PREFIX))
    }
    assert found == expected
    check_raw_usage(span, provider.served[0])


@pytest.mark.parametrize(
    ("traffic", "tier"),
    [
        ("ON_DEMAND", "standard"),
        ("ON_DEMAND_PRIORITY", "priority"),
        ("PROVISIONED_THROUGHPUT", "provisioned_throughput"),
    ],
)
def test_vertex_ai_says_where_and_how_it_served(
    recorder: Recorder, provider: SimulatedProvider, vertex: Any, traffic: str, tier: str
) -> None:
    provider.enqueue(Reply(service_tier=traffic))
    vertex.models.generate_content(**ASK)
    span = recorder.only()
    check_usage(span, provider.served[0])
    assert span[names.PROVIDER_NAME] == "gcp.vertex_ai"
    assert span[names.USAGE_REGION] == "europe-west4"
    assert span[names.USAGE_SERVICE_TIER] == tier


@pytest.mark.parametrize(("model", "searches"), [("gemini-2.5-flash", 1), ("gemini-3.8-flash", 2)])
@pytest.mark.parametrize("form", ["generate_content", "generate_content_stream"])
def test_searches_are_counted_as_they_are_charged(
    recorder: Recorder, client: Any, model: str, searches: int, form: str
) -> None:
    search = types.GenerateContentConfig(tools=[types.Tool(google_search=types.GoogleSearch())])
    deque(getattr(client.models, form)(model=model, contents="How did we do?", config=search))
    assert recorder.only()[names.quantity("web_searches")] == searches


def test_without_usage_tokens_are_estimated(
    recorder: Recorder, provider: SimulatedProvider, client: Any
) -> None:
    provider.enqueue(Reply(text="We did well.", without_usage=True))
    client.models.generate_content(**ASK)
    span = recorder.only()
    assert span[names.USAGE_SOURCE] == names.SOURCE_ESTIMATE
    assert span[names.INPUT_TOKENS] == 4
    assert span[names.OUTPUT_TOKENS] == 3


def test_content_put_into_the_cache_is_read_once() -> None:
    found = endpoint_of("/v1beta/cachedContents", {"model": "models/gemini-2.5-pro"})
    assert found is not None
    endpoint, model = found
    assert model == "gemini-2.5-pro"
    body = {"name": "cachedContents/1", "usageMetadata": {"totalTokenCount": 5000}}
    assert endpoint.attributes(endpoint.read(body).usage or {}) == {
        names.INPUT_TOKENS: 5000,
        names.CACHE_WRITE_INPUT_TOKENS: 5000,
    }


def test_output_of_live_sessions_has_another_name() -> None:
    assert generated_attributes({"promptTokenCount": 3, "responseTokenCount": 4}) == {
        names.INPUT_TOKENS: 3,
        names.OUTPUT_TOKENS: 4,
    }
