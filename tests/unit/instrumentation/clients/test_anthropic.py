"""Anthropic's clients, for itself and for the clouds: the record is what the provider has booked."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Generator, Mapping
from typing import Any

import anthropic
import httpx2
import pytest
from anthropic import Anthropic
from opentelemetry.baggage import set_baggage
from opentelemetry.context import attach, detach
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import StatusCode

from simulated_provider import Framing, Reply, Served, SimulatedProvider
from spanmeter.instrumentation import UsageContext, current_usage, usage
from spanmeter.instrumentation.clients.anthropic import provider_of
from spanmeter.instrumentation.clients.anthropic_messages import (
    message_attributes,
    read_event,
    read_message,
)
from spanmeter.metering import attributes as names
from unit.instrumentation.recording import Attributes, Recorder

ASK: Any = {
    "model": "claude-haiku-4-5",
    "max_tokens": 60,
    "messages": [{"role": "user", "content": "How did we do?"}],
}
BEDROCK_MODEL = "global.anthropic.claude-haiku-4-5-20251001-v1:0"
VERTEX_MODEL = "claude-haiku-4-5@20251001"
SLOW = Reply(chunks=50, chunk_delay=0.005)


def checked(span: Attributes, served: Served) -> None:
    """The span says what is in the provider's books, count by count."""
    tokens = served.tokens
    assert span[names.INPUT_TOKENS] == tokens.input
    assert span[names.OUTPUT_TOKENS] == tokens.output
    assert span.get(names.CACHE_READ_INPUT_TOKENS, 0) == tokens.cache_read
    written = tokens.cache_write + tokens.cache_write_1h
    assert span.get(names.CACHE_WRITE_INPUT_TOKENS, 0) == written
    assert span.get(names.cache_write("1h"), 0) == tokens.cache_write_1h
    assert span.get(names.REASONING_OUTPUT_TOKENS, 0) == tokens.reasoning
    assert span[names.USAGE_SOURCE] == names.SOURCE_PROVIDER
    assert names.ERROR_TYPE not in span


def drained(items: Any) -> None:
    for _ in items:
        pass


async def drained_async(items: Any) -> None:
    async for _ in items:
        pass


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


@pytest.fixture
def client(provider: SimulatedProvider) -> Generator[Anthropic]:
    with Anthropic(
        base_url=provider.url, api_key="any", http_client=httpx2.Client(verify=False)
    ) as client:
        yield client


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


ITERATION = {
    "input_tokens": 23_000,
    "output_tokens": 1_000,
    "cache_read_input_tokens": 0,
    "cache_creation_input_tokens": 0,
    "type": "message",
}
COMPACTED = {
    "input_tokens": 23_000,
    "cache_creation_input_tokens": 500,
    "cache_read_input_tokens": 0,
    "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 500},
    "output_tokens": 1_000,
    "service_tier": "standard",
    "inference_geo": "us",
    "iterations": [
        {
            "type": "compaction",
            "input_tokens": 170_000,
            "cache_creation_input_tokens": 2_000,
            "cache_read_input_tokens": 8_000,
            "cache_creation": {"ephemeral_5m_input_tokens": 2_000, "ephemeral_1h_input_tokens": 0},
            "output_tokens": 3_500,
        },
        ITERATION,
    ],
}
each_way = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])


def ask(client: Anthropic, *, stream: bool, **further: Any) -> None:
    answer: Any = client.beta.messages.create(**{**ASK, **further}, stream=stream)
    if stream:
        drained(answer)


@each_way
def test_compactions_are_counted_though_the_totals_leave_them_out(
    recorder: Recorder, provider: SimulatedProvider, client: Anthropic, *, stream: bool
) -> None:
    provider.enqueue(Reply(usage=COMPACTED))
    ask(client, stream=stream)
    span = recorder.only()
    checked(span, provider.served[0])
    assert span[names.INPUT_TOKENS] == 23_500 + 180_000
    assert span[names.OUTPUT_TOKENS] == 4_500
    assert span[names.cache_write("5m")] == 2_000
    assert span[names.cache_write("1h")] == 500
    assert span[names.USAGE_REGION] == "us"


@each_way
def test_an_advisor_is_a_record_of_its_own_at_its_own_model(
    recorder: Recorder, provider: SimulatedProvider, client: Anthropic, *, stream: bool
) -> None:
    advice = {
        "type": "advisor_message",
        "model": "claude-opus-4-5-20251101",
        "input_tokens": 900,
        "cache_read_input_tokens": 100,
        "cache_creation_input_tokens": 0,
        "output_tokens": 531,
    }
    told = {
        "input_tokens": 412,
        "output_tokens": 1230,
        "service_tier": "priority",
        "iterations": [ITERATION, advice, ITERATION],
    }
    provider.enqueue(Reply(usage=told))
    with usage(tenant_id="acme"):
        ask(client, stream=stream)
    asked, advised = recorder.metered
    advisor, executor = provider.served
    checked(asked, executor)
    checked(advised, advisor)
    assert asked[names.INPUT_TOKENS] == 412
    assert advised[names.INPUT_TOKENS] == 1000
    assert advised[names.REQUEST_MODEL] == advised[names.RESPONSE_MODEL] == advice["model"]
    assert asked[names.REQUEST_MODEL] == ASK["model"]
    for span in (asked, advised):
        assert span[names.TENANT_ID] == "acme"
        assert span[names.USAGE_SERVICE_TIER] == "priority"


def test_an_answer_of_a_fallback_model_is_priced_as_its() -> None:
    iterations = [
        {**ITERATION, "model": "claude-fable-5"},
        {**ITERATION, "type": "fallback_message", "model": "claude-opus-4-8"},
    ]
    told = {"input_tokens": 1, "output_tokens": 1, "iterations": iterations}
    whole = read_message({"id": "msg_1", "model": "claude-fable-5", "usage": told})
    assert whole.model == "claude-opus-4-8"
    assert read_event({"type": "message_delta", "usage": told}).model == "claude-opus-4-8"


@each_way
def test_server_tools_speed_and_tier(
    recorder: Recorder, provider: SimulatedProvider, client: Anthropic, *, stream: bool
) -> None:
    told = {
        "input_tokens": 10,
        "output_tokens": 20,
        "server_tool_use": {"web_search_requests": 3, "web_fetch_requests": 2},
        "service_tier": "standard",
        "inference_geo": "not_available",
        "speed": "fast",
    }
    provider.enqueue(Reply(usage=told), Reply(usage={**told, "speed": "standard"}))
    ask(client, stream=stream)
    ask(client, stream=stream)
    fast, standard = recorder.metered
    assert fast[names.quantity("web_searches")] == 3
    assert fast[names.quantity("web_fetches")] == 2
    assert fast[names.USAGE_SERVICE_TIER] == "fast"
    assert standard[names.USAGE_SERVICE_TIER] == "standard"
    assert names.USAGE_REGION not in fast


def test_a_split_that_a_later_event_has_outdated_is_left_out() -> None:
    """`message_delta` revises the sum of what was written, and not its parts."""
    told = {"cache_creation_input_tokens": 5, "cache_creation": {"ephemeral_1h_input_tokens": 9}}
    assert message_attributes(told) == {names.CACHE_WRITE_INPUT_TOKENS: 5}


def made_batch(client: Anthropic) -> str:
    requests: Any = [
        {"custom_id": "one", "params": ASK},
        {"custom_id": "two", "params": {**ASK, "model": "claude-sonnet-4-5"}},
        {"custom_id": "wrong", "params": {**ASK, "model": "none"}},
    ]
    return client.messages.batches.create(requests=requests).id


@pytest.mark.parametrize("beta", [False, True], ids=["", "beta"])
def test_each_result_of_a_batch_is_a_record(
    recorder: Recorder, provider: SimulatedProvider, client: Anthropic, *, beta: bool
) -> None:
    batch = made_batch(client)
    assert recorder.spans == []
    batches: Any = (client.beta if beta else client).messages.batches
    with usage(tenant_id="acme"):
        lines = list(batches.results(batch))
    assert [line.result.type for line in lines] == ["succeeded", "succeeded", "errored"]
    # The file itself is a request, and no use of a model.
    *results, fetch = recorder.metered
    assert fetch[names.OPERATION_NAME] == names.FETCH_RESPONSE
    assert names.INPUT_TOKENS not in fetch
    assert len(results) == 2
    for span, served in zip(results, provider.served, strict=True):
        checked(span, served)
        assert span[names.OPERATION_NAME] == names.CHAT
        assert span[names.USAGE_SERVICE_TIER] == "batch"
        assert span[names.RESPONSE_ID] == served.response_id
        assert span[names.RESPONSE_MODEL] == served.response_model
        assert span[names.TENANT_ID] == "acme"


def test_results_that_are_fetched_again_are_counted_once(
    recorder: Recorder, client: Anthropic
) -> None:
    batch = made_batch(client)
    for _ in range(2):
        drained(client.messages.batches.results(batch))
    counted = [span for span in recorder.metered if names.INPUT_TOKENS in span]
    assert len(counted) == 2


def test_results_of_an_async_client(recorder: Recorder, provider: SimulatedProvider) -> None:
    async def fetch(batch: str) -> None:
        http = httpx2.AsyncClient(verify=False)
        async with anthropic.AsyncAnthropic(
            base_url=provider.url, api_key="any", http_client=http
        ) as client:
            await drained_async(await client.messages.batches.results(batch))

    with Anthropic(
        base_url=provider.url, api_key="any", http_client=httpx2.Client(verify=False)
    ) as client:
        batch = made_batch(client)
    asyncio.run(fetch(batch))
    assert sum(names.INPUT_TOKENS in span for span in recorder.metered) == 2


def test_counting_tokens_is_no_use_of_a_model(recorder: Recorder, client: Anthropic) -> None:
    counted = client.messages.count_tokens(model=ASK["model"], messages=ASK["messages"])
    assert counted.input_tokens
    assert recorder.metered == []


@each_way
def test_completions_of_before_have_no_counts_and_are_estimated(
    recorder: Recorder, provider: SimulatedProvider, client: Anthropic, *, stream: bool
) -> None:
    """SDKs up to 1.x have a method for them."""
    text = "four bytes a token, as documented"
    provider.enqueue(Reply(text=text))
    body = {
        "model": "claude-haiku-4-5",
        "prompt": "\n\nHuman: Hi\n\nAssistant:",
        "max_tokens_to_sample": 60,
        "stream": stream,
    }
    with httpx2.Client(verify=False) as http:
        made = client.with_options(http_client=http)
        options: Any = {"cast_to": object, "body": body}
        if stream:
            drained(
                made.post("/v1/complete", **options, stream=True, stream_cls=anthropic.Stream[Any])
            )
        else:
            made.post("/v1/complete", **options)
    span = recorder.only()
    assert span[names.OPERATION_NAME] == names.TEXT_COMPLETION
    assert span[names.RESPONSE_ID] == provider.served[0].response_id
    assert span[names.OUTPUT_TOKENS] == -(-len(text) // 4)
    assert span[names.INPUT_TOKENS] == -(-len(body["prompt"]) // 4)  # type: ignore[arg-type]
    assert span[names.USAGE_SOURCE] == names.SOURCE_ESTIMATE
    assert names.ERROR_TYPE not in span


@pytest.fixture
def own_spans(recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> TracerProvider:
    """Anthropic's own tracing, on as by default, to the same place as ours."""
    monkeypatch.delenv("ANTHROPIC_OPEN_TELEMETRY", raising=False)
    return recorder.tracer_provider


@each_way
def test_one_call_is_one_span_though_the_sdk_traces_itself(
    recorder: Recorder, provider: SimulatedProvider, own_spans: TracerProvider, *, stream: bool
) -> None:
    client: Any = Anthropic(
        base_url=provider.url,
        api_key="any",
        http_client=httpx2.Client(verify=False),
        open_telemetry={"tracer_provider": own_spans},
    )
    with client:
        answer = client.messages.create(**ASK, stream=stream)
        if stream:
            drained(answer)
        [span] = recorder.spans
        # What we do not meter it goes on tracing.
        client.messages.count_tokens(model=ASK["model"], messages=ASK["messages"])
        recorder.stop()
        client.messages.create(**ASK)
    scopes = [each.instrumentation_scope for each in recorder.spans[1:]]
    assert [scope and scope.name for scope in scopes] == ["com.anthropic.sdk.python"] * 2
    assert (span.attributes or {})[names.INPUT_TOKENS] == provider.served[0].tokens.input


@pytest.mark.parametrize("metered", [True, False], ids=["metered", "unmetered"])
def test_no_tenant_leaves_for_the_provider(
    recorder: Recorder, provider: SimulatedProvider, own_spans: TracerProvider, *, metered: bool
) -> None:
    """Its propagation sends the application's baggage, of which ours is no part."""
    client: Any = Anthropic(
        base_url=provider.url,
        api_key="any",
        http_client=httpx2.Client(verify=False),
        open_telemetry={"tracer_provider": own_spans},
    )
    token = attach(set_baggage("theirs", "stays"))
    try:
        with client, usage(tenant_id="acme-secret"):
            if metered:
                client.messages.create(**ASK)
            else:
                client.messages.count_tokens(model=ASK["model"], messages=ASK["messages"])
            assert current_usage() == UsageContext(tenant_id="acme-secret")
    finally:
        detach(token)
    [request] = provider.requests
    assert b"acme-secret" not in request.raw
    # Metered calls have no span of the SDK's own, and so no headers of its own.
    assert request.header("baggage") == (None if metered else "theirs=stays")
    assert [span[names.TENANT_ID] for span in recorder.metered] == ["acme-secret"] * metered


def leave_helper(client: Any) -> None:
    with client.messages.stream(**ASK) as stream:
        for _ in stream.text_stream:
            break


GIVE_UP: Mapping[str, Callable[[Any], Any]] = {
    "helper": leave_helper,
    "forgotten": lambda client: next(iter(client.messages.create(**ASK, stream=True))),
}


@pytest.mark.parametrize("give_up", GIVE_UP.values(), ids=GIVE_UP)
def test_a_stream_that_is_left_ends_once(
    recorder: Recorder,
    provider: SimulatedProvider,
    client: Anthropic,
    give_up: Callable[[Any], Any],
) -> None:
    provider.enqueue(SLOW)
    give_up(client)
    gc.collect()
    [served] = provider.wait_for_served(1)
    span = recorder.only()
    assert span[names.ERROR_TYPE] == names.CANCELLED
    assert span[names.INPUT_TOKENS] == served.tokens.input
    assert int(str(span[names.OUTPUT_TOKENS])) >= 3
    assert span[names.USAGE_SOURCE] == names.SOURCE_ESTIMATE
