"""What Bedrock charges beside tokens: units of guardrails, and seconds of videos made later."""

from __future__ import annotations

from typing import Any

import pytest

from simulated_provider import SimulatedProvider
from spanmeter.metering import attributes as names
from unit.instrumentation.clients.bedrock_calls import (
    check_usage,
    client_of,
    converse,
    converse_stream,
)
from unit.instrumentation.clients.older_releases import method_of
from unit.instrumentation.recording import Recorder

GUARDRAIL = {"guardrailIdentifier": "abc123", "guardrailVersion": "1"}
CONTENT = names.quantity("guardrail_content_policy_units")
LONG = "How did we do? " * 100  # 1,500 characters: 2 units


@pytest.fixture
def client(provider: SimulatedProvider) -> Any:
    return client_of(provider)


def test_a_guardrail_that_is_applied_by_itself(
    recorder: Recorder, provider: SimulatedProvider, client: Any
) -> None:
    client.apply_guardrail(**GUARDRAIL, source="INPUT", content=[{"text": {"text": LONG}}])
    span, [served] = recorder.only(), provider.served
    assert span[names.OPERATION_NAME] == names.MODERATION
    assert span[names.PROVIDER_NAME] == "aws.bedrock"
    assert span[names.RESPONSE_ID] == served.response_id
    assert names.REQUEST_MODEL not in span
    assert span[CONTENT] == span[names.quantity("guardrail_word_policy_units")] == 2
    assert not any("free" in name or "topic" in name for name in span)
    assert span[names.USAGE_SOURCE] == names.SOURCE_PROVIDER


def test_checks_without_a_guardrail(
    recorder: Recorder, provider: SimulatedProvider, client: Any
) -> None:
    method_of(client, "invoke_guardrail_checks")(
        messages=[{"role": "user", "content": [{"text": "How did we do?"}]}],
        checks={"contentFilter": {"categories": [{"category": "VIOLENCE"}]}},
    )
    assert recorder.only()[names.quantity("guardrail_content_filter_text_units")] == 1


@pytest.mark.parametrize("streamed", [False, True])
def test_the_guardrail_of_a_call_that_is_traced(
    recorder: Recorder, provider: SimulatedProvider, client: Any, *, streamed: bool
) -> None:
    """One unit of what was asked, and one of what was answered."""
    guarded = {"guardrailConfig": {**GUARDRAIL, "trace": "enabled"}}
    if streamed:
        list(converse_stream(client, **guarded)["stream"])
    else:
        converse(client, **guarded)
    check_usage(recorder.only(), provider.served[0])
    assert recorder.only()[CONTENT] == 2


NOVA = {
    "taskType": "TEXT_VIDEO",
    "textToVideoParams": {"text": "A lighthouse"},
    "videoGenerationConfig": {"durationSeconds": 6, "fps": 24, "dimension": "1280x720"},
}
EMBED = {"inputType": "text", "inputText": "A lighthouse"}
RAY = {"prompt": "A lighthouse", "duration": "9s"}


@pytest.mark.parametrize(
    ("model", "asked", "operation", "seconds"),
    [
        ("amazon.nova-reel-v1:1", NOVA, names.VIDEO_GENERATION, 6),
        ("luma.ray-v2:0", RAY, names.VIDEO_GENERATION, 9),
        ("twelvelabs.marengo-embed-2-7-v1:0", EMBED, names.EMBEDDINGS, None),
    ],
)
def test_what_is_made_later(
    recorder: Recorder,
    provider: SimulatedProvider,
    client: Any,
    model: str,
    asked: dict[str, Any],
    operation: str,
    seconds: int | None,
) -> None:
    output = {"s3OutputDataConfig": {"s3Uri": "s3://any"}}
    started = method_of(client, "start_async_invoke")(
        modelId=model, modelInput=asked, outputDataConfig=output
    )
    span = recorder.only()
    assert span[names.OPERATION_NAME] == operation
    assert span[names.REQUEST_MODEL] == model
    assert span[names.RESPONSE_ID] == started["invocationArn"]
    assert span.get(names.quantity("video_seconds")) == seconds
    assert (names.USAGE_SOURCE in span) is (seconds is not None)
