"""Embeddings, pictures and videos are counted in their own units."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest
from google.genai import errors, types

from simulated_provider import Reply, SimulatedProvider
from spanmeter.metering import attributes as names
from unit.instrumentation.clients.google_calls import client_of, vertex_client_of
from unit.instrumentation.recording import Recorder, check_raw_usage


@pytest.fixture
def client(provider: SimulatedProvider) -> Generator[Any]:
    with client_of(provider) as client:
        yield client


@pytest.fixture
def vertex(provider: SimulatedProvider) -> Generator[Any]:
    with vertex_client_of(provider) as client:
        yield client


def test_embeddings_count_their_input(
    recorder: Recorder, provider: SimulatedProvider, client: Any
) -> None:
    client.models.embed_content(model="gemini-embedding-001", contents=["one two", "three"])
    span = recorder.only()
    assert span[names.OPERATION_NAME] == names.EMBEDDINGS
    assert span[names.INPUT_TOKENS] == provider.served[0].tokens.input == 3
    assert names.OUTPUT_TOKENS not in span
    check_raw_usage(span, provider.served[0])


def test_embeddings_without_usage_are_estimated(
    recorder: Recorder, provider: SimulatedProvider, client: Any
) -> None:
    provider.enqueue(Reply(without_usage=True))
    client.models.embed_content(model="gemini-embedding-001", contents=["one two", "three"])
    span = recorder.only()
    assert span[names.USAGE_SOURCE] == names.SOURCE_ESTIMATE
    # Twelve bytes, of which four make a token.
    assert span[names.INPUT_TOKENS] == 3


def test_embeddings_of_vertex_ai_have_statistics(
    recorder: Recorder, provider: SimulatedProvider, vertex: Any
) -> None:
    vertex.models.embed_content(model="text-embedding-005", contents=["one two", "three"])
    span = recorder.only()
    assert span[names.INPUT_TOKENS] == provider.served[0].tokens.input == 3
    assert span[names.quantity("input_characters")] == 11
    check_raw_usage(span, provider.served[0])


@pytest.mark.filterwarnings("ignore:The generate_images method is deprecated")
def test_pictures_are_counted_as_they_are_made(recorder: Recorder, vertex: Any) -> None:
    config = types.GenerateImagesConfig(number_of_images=3)
    vertex.models.generate_images(model="imagen-4.0-generate-001", prompt="Us", config=config)
    span = recorder.only()
    assert span[names.OPERATION_NAME] == names.IMAGE_GENERATION
    assert span[names.quantity("images")] == 3
    assert span[names.USAGE_SOURCE] == names.SOURCE_PROVIDER


def test_videos_are_counted_as_they_are_asked_for(
    recorder: Recorder, provider: SimulatedProvider, vertex: Any
) -> None:
    config = types.GenerateVideosConfig(number_of_videos=2, duration_seconds=8)
    source = types.GenerateVideosSource(prompt="Us")
    ask: dict[str, Any] = {"model": "veo-3.1-generate-001", "source": source, "config": config}
    provider.enqueue(Reply(status=400))
    with pytest.raises(errors.ClientError):
        vertex.models.generate_videos(**ask)
    vertex.models.generate_videos(**ask)
    refused, taken = recorder.metered
    assert names.quantity("videos") not in refused
    assert taken[names.quantity("videos")] == 2
    assert taken[names.quantity("video_seconds")] == 16
