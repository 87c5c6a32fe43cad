"""What Bedrock says of a call, each model in its own way, is on the span: counts, tier, model, region."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Generator
from typing import Any

import pytest

from simulated_provider import Reply, SimulatedProvider
from spanmeter.instrumentation import usage
from spanmeter.instrumentation.clients.bedrock import region_of
from spanmeter.instrumentation.clients.bedrock_usage import (
    model_name,
    openai_stream_attributes,
    read_invoked,
    token_attributes,
)
from spanmeter.metering import attributes as names
from unit.instrumentation.clients.bedrock_calls import (
    CLAUDE_BODY,
    HAIKU,
    LLAMA,
    MESSAGES,
    check_the_one,
    check_usage,
    client_of,
    converse,
    converse_stream,
    invoke,
    invoke_stream,
    need_converse,
)
from unit.instrumentation.recording import Recorder

NOVA = "amazon.nova-lite-v1:0"


@pytest.fixture
def client(provider: SimulatedProvider) -> Generator[Any]:
    client = client_of(provider)
    yield client
    client.close()


def test_what_a_span_says_in_full(
    recorder: Recorder, provider: SimulatedProvider, client: Any
) -> None:
    provider.enqueue(Reply(service_tier="priority"))
    with usage(tenant_id="acme"):
        client.converse(modelId=NOVA, messages=MESSAGES)
    [served] = provider.served
    span = dict(recorder.only())
    del span[names.USAGE_RAW]
    assert span == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "aws.bedrock",
        "gen_ai.request.model": NOVA,
        "gen_ai.response.id": served.response_id,
        "gen_ai.usage.input_tokens": served.tokens.input,
        "gen_ai.usage.cache_read.input_tokens": 0,
        "gen_ai.usage.cache_write.input_tokens": 0,
        "gen_ai.usage.output_tokens": served.tokens.output,
        "server.address": "127.0.0.1",
        "server.port": int(provider.url.rsplit(":", 1)[1]),
        "tenant.id": "acme",
        "usage.attempt": 1,
        "usage.region": "eu-west-1",
        "usage.service_tier": "priority",
        "usage.source": "provider",
    }
    assert recorder.only_span().name == f"chat {NOVA}"
    assert b"acme" not in provider.requests[0].raw


def cached(word: str, ttl: str) -> list[Any]:
    point = {"type": "default"} if ttl == "5m" else {"type": "default", "ttl": ttl}
    return [{"text": f"{word} " * 1100}, {"cachePoint": point}]


@pytest.mark.parametrize("stream", [False, True])
def test_counts_are_made_inclusive_and_split_by_time_to_live(
    recorder: Recorder, provider: SimulatedProvider, client: Any, *, stream: bool
) -> None:
    need_converse(client, "system", "cachePoint", "ttl")
    for last in ("two", "three"):
        system = [*cached("one", "1h"), *cached(last, "5m")]
        if stream:
            deque(converse_stream(client, system=system)["stream"])
        else:
            converse(client, system=system)
    first, second = recorder.metered
    wrote, reread = provider.served
    check_usage(first, wrote)
    check_usage(second, reread)
    assert first[names.cache_write("1h")] == first[names.cache_write("5m")] == 1100
    assert second[names.CACHE_READ_INPUT_TOKENS] == 1100
    assert wrote.tokens.input == 2200 + wrote.usage["inputTokens"]


@pytest.mark.parametrize("stream", [False, True])
def test_claudes_own_body_splits_cache_writes_by_time_to_live(
    recorder: Recorder, provider: SimulatedProvider, client: Any, *, stream: bool
) -> None:
    control = {"type": "ephemeral", "ttl": "1h"}
    system = [{"type": "text", "text": "one " * 1100, "cache_control": control}]
    body = json.dumps({**json.loads(CLAUDE_BODY), "system": system})
    if stream:
        deque(invoke_stream(client, body=body)["body"])
    else:
        invoke(client, body=body)["body"].read()
    check_the_one(recorder, provider, streamed=stream)
    assert recorder.only()[names.cache_write("1h")] == 1100


def test_openais_models_include_the_cache_in_streams_alone() -> None:
    """As measured in maximhq/bifrost#6942."""
    streamed = {"inputTokens": 4995, "outputTokens": 19, "cacheWriteInputTokens": 4993}
    whole = streamed | {"inputTokens": 2}
    assert openai_stream_attributes(streamed)[names.INPUT_TOKENS] == 4995
    assert openai_stream_attributes(whole)[names.INPUT_TOKENS] == 4995
    assert token_attributes(whole)[names.INPUT_TOKENS] == 4995


@pytest.mark.parametrize(("stream", "input_tokens"), [(True, 4995), (False, 9988)])
def test_openais_models_are_told_by_their_id(
    recorder: Recorder,
    provider: SimulatedProvider,
    client: Any,
    *,
    stream: bool,
    input_tokens: int,
) -> None:
    served = {"inputTokens": 4995, "outputTokens": 19, "cacheWriteInputTokens": 4993}
    provider.enqueue(Reply(usage=served))
    ask = {"modelId": "openai.gpt-oss-120b-1:0", "messages": MESSAGES}
    if stream:
        deque(client.converse_stream(**ask)["stream"])
    else:
        client.converse(**ask)
    assert recorder.only()[names.INPUT_TOKENS] == input_tokens


def test_embeddings_and_images(
    recorder: Recorder, provider: SimulatedProvider, client: Any
) -> None:
    text = json.dumps({"inputText": "How did we do?"})
    invoke(client, modelId="amazon.titan-embed-text-v2:0", body=text)["body"].read()
    picture = json.dumps({"imageGenerationConfig": {"numberOfImages": 3}})
    invoke(client, modelId="amazon.nova-canvas-v1:0", body=picture)["body"].read()
    embedding, images = recorder.metered
    check_usage(embedding, provider.served[0])
    assert embedding[names.OPERATION_NAME] == names.EMBEDDINGS
    assert images[names.OPERATION_NAME] == names.IMAGE_GENERATION
    assert images[names.quantity("images")] == 3
    assert images[names.USAGE_SOURCE] == names.SOURCE_PROVIDER


def test_latency_optimized_inference_is_a_tier(
    recorder: Recorder, client: Any, provider: SimulatedProvider
) -> None:
    need_converse(client, "performanceConfig")
    converse(client, performanceConfig={"latency": "optimized"})
    provider.enqueue(Reply(service_tier="flex"))
    invoke(client)["body"].read()
    first, second = recorder.metered
    assert first[names.USAGE_SERVICE_TIER] == "optimized"
    assert second[names.USAGE_SERVICE_TIER] == "flex"


PROFILE = "arn:aws:bedrock:eu-central-1:123456789012:application-inference-profile/abc123"


def test_a_model_behind_an_arn_is_what_the_answer_says(recorder: Recorder) -> None:
    with SimulatedProvider(deployments={PROFILE: HAIKU}) as provider:
        client = client_of(provider)
        invoke(client, modelId=PROFILE)["body"].read()
        deque(invoke_stream(client, modelId=PROFILE)["body"])
        client.close()
    for span in recorder.metered:
        assert span[names.REQUEST_MODEL] == PROFILE
        assert span[names.RESPONSE_MODEL] == "claude-haiku-4-5-20251001"
        assert span[names.USAGE_REGION] == "eu-central-1"


@pytest.mark.parametrize(
    ("model_id", "model", "region"),
    [
        ("amazon.nova-lite-v1:0", "amazon.nova-lite-v1:0", "here"),
        (HAIKU, HAIKU, "us"),
        ("global.anthropic.claude-opus-5", "global.anthropic.claude-opus-5", "global"),
        (f"arn:aws:bedrock:us-east-1:1:inference-profile/{HAIKU}", HAIKU, "us"),
        (f"arn:aws:bedrock:us-east-1::foundation-model/{LLAMA}", LLAMA, "us-east-1"),
        (PROFILE, PROFILE, "eu-central-1"),
    ],
)
def test_models_and_regions(model_id: str, model: str, region: str) -> None:
    assert model_name(model_id) == model
    assert region_of(model_id, "here") == region


def test_novas_own_events_are_read() -> None:
    event = {
        "metadata": {"usage": {"inputTokens": 5, "outputTokens": 7, "cacheReadInputTokenCount": 3}},
        "amazon-bedrock-invocationMetrics": {"inputTokenCount": 5, "invocationLatency": 9},
    }
    reading = read_invoked(event)
    assert reading.last
    assert reading.usage is not None
    assert token_attributes(reading.usage) == {
        names.INPUT_TOKENS: 8,
        names.CACHE_READ_INPUT_TOKENS: 3,
        names.OUTPUT_TOKENS: 7,
    }
