"""OpenAI's own SDK reads from the wire what the provider booked."""

import asyncio
from typing import Any

import pytest
from openai import AsyncOpenAI, AzureOpenAI, NotFoundError, OpenAI
from openai.types.chat import ChatCompletionChunk, ChatCompletionUserMessageParam
from pydantic import BaseModel

from simulated_provider import Reply, Served, SimulatedProvider

ASK: list[ChatCompletionUserMessageParam] = [{"role": "user", "content": "How did we do?"}]


def as_sent(usage: BaseModel | None) -> dict[str, Any]:
    """What the SDK was sent, without the fields it knows but did not get."""
    assert usage is not None
    return usage.model_dump(exclude_unset=True)


def the_one_served(provider: SimulatedProvider) -> Served:
    [served] = provider.served
    return served


def test_chat_is_booked_as_the_sdk_reads_it(
    provider: SimulatedProvider, openai_client: OpenAI
) -> None:
    completion = openai_client.chat.completions.create(model="gpt-4o-mini", messages=ASK)

    served = the_one_served(provider)
    assert as_sent(completion.usage) == served.usage
    assert completion.usage is not None
    assert completion.usage.prompt_tokens_details is not None
    assert completion.usage.prompt_tokens_details.cached_tokens == 0
    assert completion.id == served.response_id
    assert completion.model == served.response_model == "gpt-4o-mini-2024-07-18"
    assert (served.api, served.status, served.completed) == ("openai.chat", 200, True)
    assert completion.choices[0].message.content


def test_the_same_question_gets_the_same_answer_under_another_id(openai_client: OpenAI) -> None:
    first, second = (
        openai_client.chat.completions.create(model="gpt-4o-mini", messages=ASK) for _ in range(2)
    )
    assert first.choices == second.choices
    assert first.usage == second.usage
    assert first.id != second.id


def test_a_stream_shows_usage_only_to_who_asks(
    provider: SimulatedProvider, openai_client: OpenAI
) -> None:
    plain = list(
        openai_client.chat.completions.create(model="gpt-4o-mini", messages=ASK, stream=True)
    )
    asked = list(
        openai_client.chat.completions.create(
            model="gpt-4o-mini",
            messages=ASK,
            stream=True,
            stream_options={"include_usage": True},
        )
    )
    unasked, shown = provider.served
    assert not any("usage" in chunk.model_fields_set for chunk in plain)
    assert all("usage" in chunk.model_fields_set for chunk in asked)
    assert [chunk.usage for chunk in asked[:-1]] == [None] * (len(asked) - 1)
    assert asked[-1].choices == []
    assert as_sent(asked[-1].usage) == shown.usage == unasked.usage
    assert text_of(plain) == text_of(asked)
    assert {chunk.id for chunk in asked} == {shown.response_id}
    assert unasked.streamed
    assert unasked.completed


def text_of(chunks: list[ChatCompletionChunk]) -> str:
    return "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)


def test_the_async_client_reads_the_same(provider: SimulatedProvider) -> None:
    async def ask() -> tuple[str, dict[str, Any]]:
        async with AsyncOpenAI(base_url=provider.openai_base_url, api_key="any") as client:
            stream = await client.chat.completions.create(
                model="gpt-4o-mini",
                messages=ASK,
                stream=True,
                stream_options={"include_usage": True},
            )
            chunks = [chunk async for chunk in stream]
            return text_of(chunks), as_sent(chunks[-1].usage)

    provider.enqueue(Reply(text="We grew.", chunks=3))
    text, usage = asyncio.run(ask())
    assert text == "We grew."
    assert usage == the_one_served(provider).usage


def test_raw_responses_carry_the_headers_of_the_service(openai_client: OpenAI) -> None:
    raw = openai_client.chat.completions.with_raw_response.create(model="gpt-4o-mini", messages=ASK)
    assert raw.headers["content-type"] == "application/json"
    assert raw.headers["content-encoding"] == "gzip"
    assert raw.headers["x-request-id"].startswith("req_")
    assert raw.headers["openai-processing-ms"].isdigit()
    assert int(raw.headers["x-ratelimit-remaining-tokens"]) > 0
    assert raw.parse().usage is not None


@pytest.mark.parametrize("model", ["o4-mini", "gpt-5-mini"])
def test_reasoning_models_report_what_they_thought(
    provider: SimulatedProvider, openai_client: OpenAI, model: str
) -> None:
    completion = openai_client.chat.completions.create(model=model, messages=ASK)
    usage = completion.usage
    assert usage is not None
    assert usage.completion_tokens_details is not None
    reasoning = usage.completion_tokens_details.reasoning_tokens
    assert reasoning is not None
    assert 0 < reasoning < usage.completion_tokens
    assert the_one_served(provider).tokens.reasoning == reasoning


def test_the_output_stops_at_the_limit(openai_client: OpenAI) -> None:
    completion = openai_client.chat.completions.create(
        model="gpt-4o-mini", messages=ASK, max_completion_tokens=5
    )
    assert completion.choices[0].finish_reason == "length"
    assert completion.usage is not None
    assert completion.usage.completion_tokens == 5


def test_responses_whole_and_streamed_agree(
    provider: SimulatedProvider, openai_client: OpenAI
) -> None:
    response = openai_client.responses.create(model="gpt-5-mini", input="How did we do?")
    events = list(
        openai_client.responses.create(model="gpt-5-mini", input="How did we do?", stream=True)
    )
    whole, streamed = provider.served
    assert as_sent(response.usage) == whole.usage == streamed.usage
    assert response.id == whole.response_id
    types = [event.type for event in events]
    assert types[:3] == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
    ]
    assert types[-3:] == [
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    assert [event.sequence_number for event in events] == list(range(len(events)))
    deltas = [event.delta for event in events if event.type == "response.output_text.delta"]
    assert "".join(deltas) == response.output_text
    last = events[-1]
    assert last.type == "response.completed"
    assert as_sent(last.response.usage) == streamed.usage
    assert [item.type for item in last.response.output] == ["reasoning", "message"]


def test_the_sdk_helper_for_response_streams_ends_with_the_response(openai_client: OpenAI) -> None:
    with openai_client.responses.stream(model="gpt-4.1-mini", input="How did we do?") as stream:
        final = stream.get_final_response()
    assert final.status == "completed"
    assert final.output_text


def test_a_limited_response_is_incomplete(openai_client: OpenAI) -> None:
    response = openai_client.responses.create(
        model="gpt-4.1-mini", input="How did we do?", max_output_tokens=4
    )
    assert response.status == "incomplete"
    assert response.incomplete_details is not None
    assert response.incomplete_details.reason == "max_output_tokens"


def test_legacy_completions_whole_and_streamed_agree(
    provider: SimulatedProvider, openai_client: OpenAI
) -> None:
    model = "gpt-3.5-turbo-instruct"
    whole = openai_client.completions.create(model=model, prompt="Once")
    chunks = list(
        openai_client.completions.create(
            model=model, prompt="Once", stream=True, stream_options={"include_usage": True}
        )
    )
    first, second = provider.served
    assert as_sent(whole.usage) == first.usage == as_sent(chunks[-1].usage) == second.usage
    assert "".join(c.choices[0].text for c in chunks if c.choices) == whole.choices[0].text
    assert whole.model == first.response_model == "gpt-3.5-turbo-instruct:20230824-v2"
    # The legacy default.
    assert first.usage["completion_tokens"] <= 16


def test_embeddings_in_both_encodings_are_the_same_vector(
    provider: SimulatedProvider, openai_client: OpenAI
) -> None:
    model = "text-embedding-3-small"
    packed = openai_client.embeddings.create(model=model, input=["a b c", "d"])
    floats = openai_client.embeddings.create(
        model=model, input=["a b c", "d"], encoding_format="float"
    )
    assert as_sent(packed.usage) == {"prompt_tokens": 4, "total_tokens": 4}
    assert provider.served[0].usage == as_sent(packed.usage)
    for one, other in zip(packed.data, floats.data, strict=True):
        assert len(one.embedding) == 1536
        assert one.embedding == pytest.approx(other.embedding, abs=1e-6)


def test_embeddings_of_token_numbers_and_fewer_dimensions(openai_client: OpenAI) -> None:
    embedded = openai_client.embeddings.create(
        model="text-embedding-3-large", input=[[1, 2, 3], [4, 5]], dimensions=8
    )
    assert embedded.usage.prompt_tokens == 5
    assert [len(each.embedding) for each in embedded.data] == [8, 8]


def test_azure_serves_a_deployment_and_filters_its_content(provider: SimulatedProvider) -> None:
    with AzureOpenAI(
        azure_endpoint=provider.url, api_key="any", api_version="2025-04-01-preview"
    ) as client:
        whole = client.chat.completions.create(model="chat-eu", messages=ASK)
        chunks = list(client.chat.completions.create(model="chat-eu", messages=ASK, stream=True))
    assert whole.model == "gpt-4o-mini-2024-07-18"
    assert "prompt_filter_results" in (whole.model_extra or {})
    assert (chunks[0].id, chunks[0].choices) == ("", [])
    assert text_of(chunks) == whole.choices[0].message.content
    assert provider.requests[0].path.startswith("/openai/deployments/chat-eu/chat/completions?")
    assert [served.model for served in provider.served] == ["gpt-4o-mini"] * 2


def test_a_scripted_usage_is_sent_and_billed(
    provider: SimulatedProvider, openai_client: OpenAI
) -> None:
    usage = {
        "prompt_tokens": 1_000_000,
        "completion_tokens": 0,
        "total_tokens": 1_000_000,
        "prompt_tokens_details": {"cached_tokens": 500_000},
    }
    provider.enqueue(Reply(usage=usage, service_tier="flex"))
    completion = openai_client.chat.completions.create(model="gpt-4o", messages=ASK)
    assert as_sent(completion.usage) == usage
    assert completion.service_tier == "flex"
    assert str(the_one_served(provider).cost) == "1.875"


def test_a_server_may_leave_usage_out(provider: SimulatedProvider, openai_client: OpenAI) -> None:
    provider.enqueue(Reply(without_usage=True))
    completion = openai_client.chat.completions.create(model="gpt-4o", messages=ASK)
    assert completion.usage is None
    assert the_one_served(provider).cost > 0


def test_an_unknown_model_is_refused_as_the_service_does(
    provider: SimulatedProvider, openai_client: OpenAI
) -> None:
    with pytest.raises(NotFoundError) as caught:
        openai_client.chat.completions.create(model="gpt-nonesuch", messages=ASK)
    assert caught.value.code == "model_not_found"
    assert "gpt-nonesuch" in caught.value.message
    assert the_one_served(provider).cost == 0


def test_requests_are_kept_to_the_byte(provider: SimulatedProvider, openai_client: OpenAI) -> None:
    openai_client.chat.completions.create(
        model="gpt-4o-mini", messages=ASK, extra_headers={"X-Trace": "tenant-acme"}
    )
    [request] = provider.requests
    assert (request.method, request.path) == ("POST", "/v1/chat/completions")
    assert request.header("x-trace") == "tenant-acme"
    assert b"tenant-acme" in request.raw
    assert b"How did we do?" in request.raw
    assert request.json()["model"] == "gpt-4o-mini"
