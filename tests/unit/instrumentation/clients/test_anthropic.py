"""What Anthropic counts beside the plain tokens of a message, in whatever form it comes."""

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

from simulated_provider import Reply, SimulatedProvider
from spanmeter.instrumentation import UsageContext, current_usage, usage
from spanmeter.instrumentation.clients.anthropic_messages import (
    message_attributes,
    read_event,
    read_message,
)
from spanmeter.metering import attributes as names
from unit.instrumentation.clients.anthropic_calls import ASK, checked, drained, drained_async
from unit.instrumentation.recording import Recorder

SLOW = Reply(chunks=50, chunk_delay=0.005)


@pytest.fixture
def client(provider: SimulatedProvider) -> Generator[Anthropic]:
    with Anthropic(
        base_url=provider.url, api_key="any", http_client=httpx2.Client(verify=False)
    ) as client:
        yield client


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
