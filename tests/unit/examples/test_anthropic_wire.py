"""Anthropic's own SDK reads from the wire what the provider booked."""

import asyncio
from typing import Any

import pytest
from anthropic import Anthropic, AsyncAnthropic, BadRequestError
from anthropic.types import MessageParam
from pydantic import BaseModel

from simulated_provider import Reply, Served, SimulatedProvider

MODEL = "claude-haiku-4-5"
ASK: list[MessageParam] = [{"role": "user", "content": "How did we do?"}]
LONG = "word " * 1500


def as_sent(usage: BaseModel) -> dict[str, Any]:
    return usage.model_dump(exclude_unset=True)


def the_one_served(provider: SimulatedProvider) -> Served:
    [served] = provider.served
    return served


def test_messages_are_booked_as_the_sdk_reads_them(
    provider: SimulatedProvider, anthropic_client: Anthropic
) -> None:
    message = anthropic_client.messages.create(model=MODEL, max_tokens=500, messages=ASK)
    served = the_one_served(provider)
    assert as_sent(message.usage) == served.usage
    assert message.usage.service_tier == "standard"
    assert message.id == served.response_id
    assert message.model == served.response_model == "claude-haiku-4-5-20251001"
    assert message.stop_reason == "end_turn"
    assert served.api == "anthropic.messages"


def test_a_stream_counts_up_to_its_end(
    provider: SimulatedProvider, anthropic_client: Anthropic
) -> None:
    events = list(
        anthropic_client.messages.create(model=MODEL, max_tokens=500, messages=ASK, stream=True)
    )
    served = the_one_served(provider)
    start, *_, delta, stop = events
    assert start.type == "message_start"
    assert start.message.usage.input_tokens == served.usage["input_tokens"]
    assert start.message.usage.output_tokens == 3
    assert start.message.usage.cache_creation is not None
    assert start.message.stop_reason is None
    assert delta.type == "message_delta"
    assert delta.usage.output_tokens == served.usage["output_tokens"]
    assert delta.usage.input_tokens == served.usage["input_tokens"]
    assert stop.type == "message_stop"
    assert {event.type for event in events} >= {"content_block_start", "content_block_stop"}


def test_the_stream_helper_puts_the_message_together(
    provider: SimulatedProvider, anthropic_client: Anthropic
) -> None:
    provider.enqueue(Reply(text="We grew in Zürich.", chunks=5))
    with anthropic_client.messages.stream(model=MODEL, max_tokens=500, messages=ASK) as stream:
        assert "".join(stream.text_stream) == "We grew in Zürich."
        final = stream.get_final_message()
    assert final.usage.output_tokens == the_one_served(provider).tokens.output


def test_the_async_client_and_the_beta_endpoint_read_the_same(provider: SimulatedProvider) -> None:
    async def ask() -> dict[str, Any]:
        async with AsyncAnthropic(base_url=provider.url, api_key="any") as client:
            message = await client.beta.messages.create(
                model=MODEL,
                max_tokens=500,
                messages=[{"role": "user", "content": "How?"}],
                # As SDKs before 2.0 ask for it by themselves.
                extra_query={"beta": "true"},
            )
            return as_sent(message.usage)

    assert asyncio.run(ask()) == the_one_served(provider).usage
    assert provider.requests[0].path == "/v1/messages?beta=true"


def test_raw_responses_carry_the_headers_of_the_service(anthropic_client: Anthropic) -> None:
    raw = anthropic_client.messages.with_raw_response.create(
        model=MODEL, max_tokens=500, messages=ASK
    )
    assert raw.headers["content-type"] == "application/json"
    assert raw.headers["content-encoding"] == "gzip"
    assert raw.headers["request-id"].startswith("req_011")
    assert int(raw.headers["anthropic-ratelimit-requests-remaining"]) > 0


def test_a_kept_prompt_is_written_once_and_then_read(
    provider: SimulatedProvider, anthropic_client: Anthropic
) -> None:
    def ask(question: str) -> dict[str, Any]:
        message = anthropic_client.messages.create(
            model=MODEL,
            max_tokens=500,
            system=[
                {"type": "text", "text": LONG, "cache_control": {"type": "ephemeral", "ttl": "1h"}},
                {"type": "text", "text": LONG, "cache_control": {"type": "ephemeral"}},
            ],
            messages=[{"role": "user", "content": question}],
        )
        return as_sent(message.usage)

    written, read = ask("Why so?"), ask("How come?")
    assert written["cache_creation"] == {
        "ephemeral_5m_input_tokens": 1500,
        "ephemeral_1h_input_tokens": 1500,
    }
    assert written["cache_creation_input_tokens"] == 3000
    assert written["cache_read_input_tokens"] == 0
    assert written["input_tokens"] == 3
    assert read["cache_read_input_tokens"] == 3000
    assert read["cache_creation_input_tokens"] == 0
    assert [served.tokens.input for served in provider.served] == [3003, 3003]


def test_a_short_prompt_is_not_kept(anthropic_client: Anthropic) -> None:
    message = anthropic_client.messages.create(
        model=MODEL,
        max_tokens=500,
        system=[{"type": "text", "text": "Be kind.", "cache_control": {"type": "ephemeral"}}],
        messages=ASK,
    )
    assert message.usage.cache_creation_input_tokens == 0


def test_server_tools_may_revise_the_input_at_the_end(
    provider: SimulatedProvider, anthropic_client: Anthropic
) -> None:
    final = {
        "input_tokens": 120,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 40,
        "output_tokens": 15,
        "server_tool_use": {"web_search_requests": 2, "web_fetch_requests": 0},
    }
    provider.enqueue(Reply(start_usage={"input_tokens": 10, "output_tokens": 1}, usage=final))
    start, *_, delta, _ = anthropic_client.messages.create(
        model=MODEL, max_tokens=500, messages=ASK, stream=True
    )
    assert start.type == "message_start"
    assert as_sent(start.message.usage) == {"input_tokens": 10, "output_tokens": 1}
    assert delta.type == "message_delta"
    assert as_sent(delta.usage) == final
    assert the_one_served(provider).tokens.input == 160


def test_the_output_stops_at_the_limit(anthropic_client: Anthropic) -> None:
    message = anthropic_client.messages.create(model=MODEL, max_tokens=5, messages=ASK)
    assert message.stop_reason == "max_tokens"
    assert message.usage.output_tokens == 5


def test_an_error_body_names_the_request(
    provider: SimulatedProvider, anthropic_client: Anthropic
) -> None:
    provider.enqueue(Reply(status=400))
    with pytest.raises(BadRequestError) as caught:
        anthropic_client.messages.create(model=MODEL, max_tokens=500, messages=ASK)
    body: Any = caught.value.body
    assert body["type"] == "error"
    assert body["error"]["type"] == "invalid_request_error"
    assert body["request_id"] == caught.value.request_id
    assert the_one_served(provider).status == 400
    assert the_one_served(provider).cost == 0
