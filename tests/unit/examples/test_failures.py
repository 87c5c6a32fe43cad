"""What goes wrong on the wire makes the real SDKs do what they do in life."""

import asyncio
import time
from collections.abc import Callable, Iterator
from typing import Any

import anthropic
import httpx
import httpx2
import openai
import pytest
from anthropic import Anthropic
from openai import AsyncOpenAI, OpenAI, Stream
from openai.types.chat import ChatCompletionChunk, ChatCompletionUserMessageParam

from simulated_provider import Reply, SimulatedProvider

ASK: list[ChatCompletionUserMessageParam] = [{"role": "user", "content": "How did we do?"}]
CLAUDE = "claude-haiku-4-5"


def start_stream(client: OpenAI) -> Stream[ChatCompletionChunk]:
    return client.chat.completions.create(model="gpt-4o-mini", messages=ASK, stream=True)


def said(stream: Stream[ChatCompletionChunk]) -> Iterator[str]:
    """Each piece of text as it comes."""
    for chunk in stream:
        yield from (choice.delta.content for choice in chunk.choices if choice.delta.content)


@pytest.mark.parametrize("status", [429, 500, 503])
def test_openai_tries_again_and_each_attempt_is_booked(
    provider: SimulatedProvider, openai_client: OpenAI, status: int
) -> None:
    provider.enqueue(Reply(status=status, retry_after=0.001), Reply(text="Fine."))
    completion = openai_client.chat.completions.create(model="gpt-4o-mini", messages=ASK)
    assert completion.choices[0].message.content == "Fine."
    assert [served.status for served in provider.served] == [status, 200]
    assert [request.header("x-stainless-retry-count") for request in provider.requests] == [
        "0",
        "1",
    ]


@pytest.mark.parametrize("status", [429, 500, 529])
def test_anthropic_tries_again_and_each_attempt_is_booked(
    provider: SimulatedProvider, anthropic_client: Anthropic, status: int
) -> None:
    provider.enqueue(Reply(status=status, retry_after=0.001), Reply())
    anthropic_client.messages.create(
        model=CLAUDE, max_tokens=50, messages=[{"role": "user", "content": "How?"}]
    )
    assert [served.status for served in provider.served] == [status, 200]


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, openai.BadRequestError),
        (401, openai.AuthenticationError),
        (429, openai.RateLimitError),
        (500, openai.InternalServerError),
    ],
)
def test_openai_raises_by_status(
    provider: SimulatedProvider,
    openai_client: OpenAI,
    status: int,
    error: type[openai.APIStatusError],
) -> None:
    provider.enqueue(Reply(status=status))
    with pytest.raises(error) as caught:
        openai_client.with_options(max_retries=0).chat.completions.create(
            model="gpt-4o-mini", messages=ASK
        )
    assert caught.value.status_code == status
    assert caught.value.request_id is not None
    body: Any = caught.value.body
    assert set(body) == {"message", "type", "param", "code"}


@pytest.mark.parametrize(
    ("status", "error", "kind"),
    [
        (401, anthropic.AuthenticationError, "authentication_error"),
        (429, anthropic.RateLimitError, "rate_limit_error"),
        (500, anthropic.InternalServerError, "api_error"),
        (529, anthropic.OverloadedError, "overloaded_error"),
    ],
)
def test_anthropic_raises_by_status(
    provider: SimulatedProvider,
    anthropic_client: Anthropic,
    status: int,
    error: type[anthropic.APIStatusError],
    kind: str,
) -> None:
    provider.enqueue(Reply(status=status))
    with pytest.raises(error) as caught:
        anthropic_client.with_options(max_retries=0).messages.create(
            model=CLAUDE, max_tokens=50, messages=[{"role": "user", "content": "How?"}]
        )
    assert kind in str(caught.value)


def test_an_error_object_may_be_scripted(
    provider: SimulatedProvider, openai_client: OpenAI
) -> None:
    quota = {"message": "Pay first.", "type": "insufficient_quota", "code": "insufficient_quota"}
    provider.enqueue(Reply(status=429, error=quota, headers={"x-should-retry": "false"}))
    with pytest.raises(openai.RateLimitError) as caught:
        openai_client.chat.completions.create(model="gpt-4o-mini", messages=ASK)
    assert caught.value.code == "insufficient_quota"


def test_a_chat_stream_may_end_in_an_error(
    provider: SimulatedProvider, openai_client: OpenAI
) -> None:
    provider.enqueue(Reply(chunks=5, error_after=2))
    seen: list[str] = []
    with pytest.raises(openai.APIError, match="The server had an error"):
        seen.extend(said(start_stream(openai_client)))
    assert len(seen) == 2
    [served] = provider.served
    assert (served.status, served.completed) == (200, False)
    assert served.cost > 0


def test_a_responses_stream_may_end_in_an_error(
    provider: SimulatedProvider, openai_client: OpenAI
) -> None:
    provider.enqueue(Reply(chunks=5, error_after=2))
    stream = openai_client.responses.create(model="gpt-4.1-mini", input="How?", stream=True)
    types: list[str] = []
    with pytest.raises(openai.APIError, match="The server had an error"):
        types.extend(event.type for event in stream)
    assert types.count("response.output_text.delta") == 2
    # The SDK raises at the `error` event, so that what follows it is never seen.
    raw = provider_stream(provider, "/v1/responses", {"model": "gpt-4.1-mini", "input": "How?"})
    assert raw.rstrip().rsplit("event: ", 1)[1].startswith("response.failed\n")


def provider_stream(provider: SimulatedProvider, path: str, body: dict[str, object]) -> str:
    """The raw stream that a reply with an error after two deltas gives."""
    provider.enqueue(Reply(chunks=5, error_after=2))
    return httpx.post(provider.url + path, json=body | {"stream": True}).text


def test_an_anthropic_stream_may_end_in_an_error(
    provider: SimulatedProvider, anthropic_client: Anthropic
) -> None:
    provider.enqueue(Reply(chunks=5, error_after=2))
    stream = anthropic_client.messages.create(
        model=CLAUDE, max_tokens=50, messages=[{"role": "user", "content": "How?"}], stream=True
    )
    types: list[str] = []
    with pytest.raises(anthropic.APIStatusError, match="overloaded_error"):
        types.extend(event.type for event in stream)
    assert types.count("content_block_delta") == 2


@pytest.mark.parametrize("after", [0, 2, 5])
def test_an_aborted_stream_gives_its_deltas_and_breaks(
    provider: SimulatedProvider, openai_client: OpenAI, after: int
) -> None:
    provider.enqueue(Reply(chunks=5, abort_after=after))
    seen: list[str] = []
    with pytest.raises(openai.APIConnectionError) as caught:
        seen.extend(said(start_stream(openai_client)))
    assert len(seen) == after
    assert isinstance(caught.value.__cause__, httpx2.RemoteProtocolError)
    [served] = provider.served
    assert not served.completed


def test_an_aborted_answer_breaks_half_way(
    provider: SimulatedProvider, openai_client: OpenAI
) -> None:
    provider.enqueue(Reply(abort_after=1), Reply(drop=True))
    with pytest.raises(openai.APIConnectionError):
        openai_client.with_options(max_retries=1).chat.completions.create(
            model="gpt-4o-mini", messages=ASK
        )
    assert [served.completed for served in provider.served] == [False, False]


def test_a_dropped_request_is_tried_again(
    provider: SimulatedProvider, openai_client: OpenAI
) -> None:
    provider.enqueue(Reply(drop=True), Reply(text="Fine."))
    completion = openai_client.chat.completions.create(model="gpt-4o-mini", messages=ASK)
    assert completion.choices[0].message.content == "Fine."
    assert [served.completed for served in provider.served] == [False, True]


def use_chat(client: OpenAI) -> None:
    client.chat.completions.create(model="gpt-4o-mini", messages=ASK)


def use_stream(client: OpenAI) -> None:
    for _ in start_stream(client):
        pass


@pytest.mark.parametrize(
    ("reply", "use"),
    [
        (Reply(hang=True), use_chat),
        (Reply(hang_after=1), use_chat),
        (Reply(hang_after=2, chunks=5), use_stream),
    ],
    ids=["before the headers", "after the headers", "in a stream"],
)
def test_a_hanging_answer_times_out(
    provider: SimulatedProvider,
    openai_client: OpenAI,
    reply: Reply,
    use: Callable[[OpenAI], None],
) -> None:
    provider.enqueue(reply)
    with pytest.raises(openai.APITimeoutError):
        use(openai_client.with_options(timeout=0.2, max_retries=0))
    [served] = provider.wait_for_served(1)
    assert not served.completed


def test_who_leaves_early_is_noticed(provider: SimulatedProvider, openai_client: OpenAI) -> None:
    provider.enqueue(Reply(chunks=50, chunk_delay=0.01))
    with start_stream(openai_client) as stream:
        next(stream)
    [served] = provider.wait_for_served(1)
    assert not served.completed
    assert served.cost > 0


def test_a_cancelled_task_is_noticed(provider: SimulatedProvider) -> None:
    async def ask_and_cancel() -> None:
        async with AsyncOpenAI(base_url=provider.openai_base_url, api_key="any") as client:
            async with asyncio.timeout(0.1):
                await client.chat.completions.create(model="gpt-4o-mini", messages=ASK)

    provider.enqueue(Reply(delay=30))
    with pytest.raises(TimeoutError):
        asyncio.run(ask_and_cancel())
    [served] = provider.wait_for_served(1)
    assert not served.completed


def test_delays_are_kept(provider: SimulatedProvider, openai_client: OpenAI) -> None:
    provider.enqueue(Reply(delay=0.1, chunks=5, chunk_delay=0.02))
    begun = time.monotonic()
    stream = start_stream(openai_client)
    first_byte = time.monotonic() - begun
    for _ in stream:
        pass
    whole = time.monotonic() - begun
    assert first_byte >= 0.1
    assert whole >= first_byte + 0.1


def test_what_is_not_json_is_refused(provider: SimulatedProvider) -> None:
    answer = httpx.post(f"{provider.url}/v1/messages", content=b"{")
    assert answer.status_code == 400
    assert answer.json()["error"]["type"] == "invalid_request_error"


def test_a_reply_ends_in_one_way_only() -> None:
    with pytest.raises(ValueError, match="one way"):
        Reply(abort_after=1, hang=True)
