"""What users of other instrumentations complain of: whose a call was, how often it was tried, and what is
left to compare with an invoice. Each has a test which fails where the complaint would be justified
here; `test_pains.py` has the others."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from openai import OpenAI
from opentelemetry import propagate
from opentelemetry.context import attach, detach

from simulated_provider import Reply, SimulatedProvider
from spanmeter.instrumentation import current_usage, usage
from spanmeter.instrumentation.asgi import UsageMiddleware
from spanmeter.metering import attributes as names
from unit.instrumentation.clients import cohere_calls
from unit.instrumentation.clients.asking import GEMINI, gemini_client
from unit.instrumentation.forms import CHAT, MESSAGES, Api, client_of
from unit.instrumentation.recording import Recorder, check_raw_usage, check_usage


@pytest.mark.parametrize("api", [CHAT, MESSAGES], ids=["openai", "anthropic"])
def test_pain_12_retries_that_look_like_one_request(
    recorder: Recorder, provider: SimulatedProvider, api: Api
) -> None:
    """Each attempt is a record with its number, and only the one that was answered has tokens."""
    provider.enqueue(Reply(status=429, retry_after=0.001), Reply(status=500, retry_after=0.001))
    with client_of(api, provider) as client:
        api.resource(client).create(**api.arguments)
    attempts = recorder.metered
    assert [span[names.USAGE_ATTEMPT] for span in attempts] == [1, 2, 3]
    assert [span.get(names.ERROR_TYPE) for span in attempts] == ["429", "500", None]
    assert [names.INPUT_TOKENS in span for span in attempts] == [False, False, True]
    check_usage(attempts[2], provider.served[2])


def ask(client: Any, question: str = "How did we do?") -> None:
    """One small chat."""
    messages = [{"role": "user", "content": question}]
    client.chat.completions.create(model="gpt-4o-mini", messages=messages)


def test_pain_13_a_call_that_is_put_down_to_another_tenant(
    recorder: Recorder, provider: SimulatedProvider, openai_client: OpenAI
) -> None:
    """Many tenants at once, over one client: each has the tokens of its own question."""

    def call(words: int) -> None:
        with usage(tenant_id=f"tenant {words}"):
            ask(openai_client, "word " * words)

    with ThreadPoolExecutor(8) as pool:
        deque(pool.map(call, range(1, 25)))
    tokens = {span[names.TENANT_ID]: span[names.INPUT_TOKENS] for span in recorder.metered}
    least = int(str(tokens["tenant 1"]))
    assert tokens == {f"tenant {words}": least + words - 1 for words in range(1, 25)}


def test_pain_13_a_customer_who_names_another_tenant(
    recorder: Recorder, openai_client: OpenAI
) -> None:
    """What a request from outside says in its baggage is not believed; the call has no tenant then,
    and the place in the code where to give it one."""

    async def application(scope: Any, receive: Any, send: Any) -> None:
        ask(openai_client)

    async def nothing(*message: Any) -> Any:
        raise AssertionError

    # As OpenTelemetry's own middleware does.
    token = attach(propagate.extract({"baggage": "tenant.id=mallory"}))
    try:
        guarded = UsageMiddleware(application)
        asyncio.run(guarded({"type": "http", "headers": []}, nothing, nothing))
        ask(openai_client)
    finally:
        detach(token)
    guarded_call, unguarded = recorder.metered
    assert names.TENANT_ID not in guarded_call
    assert "test_pains_of_tenants.py:" in str(guarded_call[names.USAGE_CALLSITE])
    # Without it, in a service that is called by others of ours, it is.
    assert unguarded[names.TENANT_ID] == "mallory"


def test_pain_15_the_tenant_is_lost_in_another_thread(
    recorder: Recorder, provider: SimulatedProvider, openai_client: OpenAI
) -> None:
    """A stream that is first sent when another thread reads it is of whoever asked for it; what runs
    in the thread of a coroutine is of its tenant."""

    async def in_a_thread() -> None:
        with usage(tenant_id="globex"):
            await asyncio.to_thread(ask, openai_client)

    with gemini_client(provider) as client, ThreadPoolExecutor(1) as pool:
        with usage(tenant_id="acme"):
            stream = client.models.generate_content_stream(**GEMINI)
        assert provider.requests == []
        pool.submit(deque, stream).result()
    asyncio.run(in_a_thread())
    assert [span[names.TENANT_ID] for span in recorder.metered] == ["acme", "globex"]


def test_pain_15_the_tenant_of_an_async_generator(
    recorder: Recorder, openai_client: OpenAI, caplog: pytest.LogCaptureFixture
) -> None:
    """Between two of its items its consumer's calls are not the generator's tenant's; and another
    task may finish it, without a word from OpenTelemetry."""

    @usage(tenant_id="acme")
    async def answers() -> AsyncGenerator[None]:
        try:
            ask(openai_client)
            yield
            ask(openai_client)
            yield
        finally:
            ask(openai_client)

    async def finish(generator: AsyncGenerator[None]) -> None:
        await generator.aclose()
        assert current_usage() is None

    async def consume() -> None:
        generator = answers()
        await anext(generator)
        with usage(tenant_id="globex"):
            ask(openai_client)
        await asyncio.create_task(finish(generator))
        ask(openai_client)

    asyncio.run(consume())
    tenants = [span.get(names.TENANT_ID) for span in recorder.metered]
    assert tenants == ["acme", "globex", "acme", None]
    assert caplog.records == []


def test_pain_also_nothing_is_left_to_compare_with_an_invoice(
    recorder: Recorder, provider: SimulatedProvider, openai_client: OpenAI
) -> None:
    """There is the provider's own block of counts, its response's id and the tier that it served."""
    provider.enqueue(Reply(service_tier="priority"))
    ask(openai_client)
    [served] = provider.served
    check_raw_usage(recorder.only(), served)
    assert recorder.only()[names.RESPONSE_ID] == served.response_id
    assert recorder.only()[names.USAGE_SERVICE_TIER] == "priority"


def test_pain_also_cohere_bills_other_tokens_than_it_counts(
    recorder: Recorder, provider: SimulatedProvider
) -> None:
    """What it adds to a prompt itself it does not bill; the raw block has both."""
    billed = {"input_tokens": 7, "output_tokens": 5}
    counted = {"input_tokens": 503, "output_tokens": 5}
    provider.enqueue(Reply(usage={"billed_units": billed, "tokens": counted}))
    with cohere_calls.client_of(provider) as client:
        client.chat(**cohere_calls.ASK)
    assert recorder.only()[names.INPUT_TOKENS] == 7
    cohere_calls.check_raw(recorder.only(), provider.served[0])
