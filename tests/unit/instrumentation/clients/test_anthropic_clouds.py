"""Anthropic's clients for the clouds: the record is what the provider has booked."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import anthropic
import httpx2
import pytest
from opentelemetry.trace import StatusCode

from simulated_provider import Framing, Reply, SimulatedProvider
from spanmeter.instrumentation.clients.anthropic import provider_of
from spanmeter.metering import attributes as names
from unit.instrumentation.clients.anthropic_calls import ASK, checked, drained, drained_async
from unit.instrumentation.recording import Recorder

BEDROCK_MODEL = "global.anthropic.claude-haiku-4-5-20251001-v1:0"
VERTEX_MODEL = "claude-haiku-4-5@20251001"
SLOW = Reply(chunks=50, chunk_delay=0.005)


class Cloud:
    """A client for a cloud: how it is made, what it asks for, and what a span says of it."""

    def __init__(
        self,
        name: str,
        model: str,
        provider: str,
        served_in: str | None,
        path: str = "",
        **options: Any,
    ) -> None:
        self.name, self.model, self.provider, self.served_in = name, model, provider, served_in
        self._path, self._options = path, options

    @property
    def ask(self) -> dict[str, Any]:
        return {**ASK, "model": self.model}

    def client(self, server: SimulatedProvider, **further: Any) -> Any:
        return self._made(getattr(anthropic, self.name), server, httpx2.Client, further)

    def async_client(self, server: SimulatedProvider, **further: Any) -> Any:
        return self._made(
            getattr(anthropic, f"Async{self.name}"), server, httpx2.AsyncClient, further
        )

    def _made(self, client: Any, server: SimulatedProvider, http: Any, further: Any) -> Any:
        # Reading the certificate authorities takes longer than the whole test.
        options = {"http_client": http(verify=False), **self._options, **further}
        return client(base_url=server.url + self._path, **options)


KEYS = {"aws_access_key": "any", "aws_secret_key": "any"}
CLOUDS: Mapping[str, Cloud] = {
    "Bedrock": Cloud(
        "AnthropicBedrock",
        BEDROCK_MODEL,
        "aws.bedrock",
        "eu-west-1",
        aws_region="eu-west-1",
        **KEYS,
    ),
    "Bedrock Mantle": Cloud(
        "AnthropicBedrockMantle",
        ASK["model"],
        "aws.bedrock",
        "eu-west-1",
        aws_region="eu-west-1",
        api_key="any",
    ),
    "Vertex": Cloud(
        "AnthropicVertex",
        VERTEX_MODEL,
        "gcp.vertex_ai",
        "europe-west1",
        "/v1",
        region="europe-west1",
        project_id="ours",
        access_token="any",
    ),
    "Foundry": Cloud("AnthropicFoundry", ASK["model"], "azure.ai.inference", None, api_key="any"),
    "AWS": Cloud(
        "AnthropicAWS",
        ASK["model"],
        "anthropic",
        "us-east-1",
        aws_region="us-east-1",
        workspace_id="ours",
        api_key="any",
    ),
}
each_cloud = pytest.mark.parametrize("cloud", CLOUDS.values(), ids=CLOUDS)


@each_cloud
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("beta", [False, True], ids=["", "beta"])
def test_a_clouds_client(
    recorder: Recorder, provider: SimulatedProvider, cloud: Cloud, *, stream: bool, beta: bool
) -> None:
    with cloud.client(provider) as client:
        messages = (client.beta if beta else client).messages
        answer = messages.create(**cloud.ask, stream=stream)
        if stream:
            drained(answer)
    check_cloud(recorder, provider, cloud, stream=stream)


@each_cloud
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_a_clouds_async_client(
    recorder: Recorder, provider: SimulatedProvider, cloud: Cloud, *, stream: bool
) -> None:
    async def call() -> None:
        async with cloud.async_client(provider) as client:
            answer = await client.messages.create(**cloud.ask, stream=stream)
            if stream:
                await drained_async(answer)

    asyncio.run(call())
    check_cloud(recorder, provider, cloud, stream=stream)


def check_cloud(
    recorder: Recorder, provider: SimulatedProvider, cloud: Cloud, *, stream: bool
) -> None:
    span, [served] = recorder.only(), provider.served
    checked(span, served)
    assert len(recorder.spans) == 1
    assert span[names.PROVIDER_NAME] == cloud.provider
    assert span[names.REQUEST_MODEL] == cloud.model
    assert span.get(names.USAGE_REGION) == cloud.served_in
    assert str(span[names.RESPONSE_ID]).startswith("msg_")
    # Bedrock's price follows from the id that was asked for, and not from the name in the answer.
    told = None if cloud.provider == "aws.bedrock" else "claude-haiku-4-5-20251001"
    assert span.get(names.RESPONSE_MODEL) == told
    assert span.get(names.REQUEST_STREAM, False) is stream
    assert (names.TIME_TO_FIRST_CHUNK in span) is stream


@each_cloud
def test_a_clouds_stream_that_is_left(
    recorder: Recorder, provider: SimulatedProvider, cloud: Cloud
) -> None:
    provider.enqueue(SLOW)
    with (
        cloud.client(provider) as client,
        client.messages.create(**cloud.ask, stream=True) as stream,
    ):
        for event in stream:
            if event.type == "content_block_delta":
                break
    [served] = provider.wait_for_served(1)
    span = recorder.only()
    assert span[names.ERROR_TYPE] == names.CANCELLED
    assert span[names.INPUT_TOKENS] == served.tokens.input
    assert 0 < int(str(span[names.OUTPUT_TOKENS])) < served.tokens.output
    assert span[names.USAGE_SOURCE] == names.SOURCE_ESTIMATE


@each_cloud
def test_a_clouds_stream_that_breaks_off(
    recorder: Recorder, provider: SimulatedProvider, cloud: Cloud
) -> None:
    provider.enqueue(Reply(chunks=5, error_after=2))
    with (
        cloud.client(provider, max_retries=0) as client,
        pytest.raises(anthropic.APIStatusError),
    ):
        drained(client.messages.create(**cloud.ask, stream=True))
    assert names.ERROR_TYPE in recorder.only()
    assert recorder.only_span().status.status_code is StatusCode.ERROR


@each_cloud
def test_a_clouds_retries_are_attempts(
    recorder: Recorder, provider: SimulatedProvider, cloud: Cloud
) -> None:
    provider.enqueue(Reply(status=429, retry_after=0.01), Reply())
    with cloud.client(provider) as client:
        client.messages.create(**cloud.ask)
    refused, answered = recorder.metered
    assert (refused[names.USAGE_ATTEMPT], answered[names.USAGE_ATTEMPT]) == (1, 2)
    assert refused[names.HTTP_RESPONSE_STATUS_CODE] == 429
    checked(answered, provider.served[-1])


@pytest.mark.parametrize("framing", [Framing(split=1), Framing(split=7), Framing(split=1_000_000)])
def test_bedrocks_frames_may_be_cut_anywhere(
    recorder: Recorder, provider: SimulatedProvider, framing: Framing
) -> None:
    provider.enqueue(Reply(text="naïve café → Zürich", framing=framing))
    with CLOUDS["Bedrock"].client(provider) as client:
        drained(client.messages.create(**CLOUDS["Bedrock"].ask, stream=True))
    checked(recorder.only(), provider.served[0])


@pytest.mark.parametrize(
    ("kind", "host", "served_by"),
    [
        ("Anthropic", "https://api.anthropic.com", "anthropic"),
        ("Anthropic", "https://gateway.internal/anthropic", "anthropic"),
        ("Anthropic", "https://api.deepseek.com/anthropic", "deepseek"),
        ("Anthropic", "https://api.moonshot.ai/anthropic", "moonshot_ai"),
        ("Anthropic", "https://openrouter.ai/api", "openrouter"),
    ],
)
def test_the_provider_is_the_one_that_serves(kind: str, host: str, served_by: str) -> None:
    client = getattr(anthropic, kind)(
        base_url=host, api_key="any", http_client=httpx2.Client(verify=False)
    )
    assert provider_of(client) == served_by
