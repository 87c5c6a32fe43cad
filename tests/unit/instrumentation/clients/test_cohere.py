"""Every form of a Cohere call is one record, of what the provider has billed."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping
from typing import Any

import cohere
import pytest

from simulated_provider import SimulatedProvider
from spanmeter.instrumentation import usage
from spanmeter.instrumentation.clients.cohere_usage import (
    billed_attributes,
    prompt_in,
    read_batch,
    read_job,
)
from spanmeter.metering import attributes as names
from unit.instrumentation.clients.cohere_calls import (
    ASK,
    EMBED,
    EMBED_V1,
    Form,
    async_client_of,
    check_raw,
    check_usage,
    client_of,
    each_raw_streamed,
    each_streamed,
    each_whole,
)
from unit.instrumentation.recording import Recorder

pytestmark = pytest.mark.usefixtures("nothing_declared")


@each_whole
def test_every_answer_is_one_record(
    recorder: Recorder, provider: SimulatedProvider, form: Form
) -> None:
    with client_of(provider, form.version) as client:
        form.call(client)
    [served] = provider.served
    check_usage(recorder.only(), served, form)


@each_whole
def test_every_async_answer_is_one_record(
    recorder: Recorder, provider: SimulatedProvider, form: Form
) -> None:
    async def call() -> None:
        async with async_client_of(provider, form.version) as client:
            await form.call(client)

    asyncio.run(call())
    [served] = provider.served
    check_usage(recorder.only(), served, form)


@each_streamed
def test_every_stream_is_one_record(
    recorder: Recorder, provider: SimulatedProvider, form: Form
) -> None:
    with client_of(provider, form.version) as client:
        deque(form.call(client))
    [served] = provider.served
    check_usage(recorder.only(), served, form)
    assert recorder.only()[names.REQUEST_STREAM] is True
    assert recorder.only()[names.TIME_TO_FIRST_CHUNK]


@each_raw_streamed
def test_every_raw_stream_is_one_record(
    recorder: Recorder, provider: SimulatedProvider, form: Form
) -> None:
    with client_of(provider, form.version) as client, form.call(client) as response:
        assert deque(response.data)
    [served] = provider.served
    check_usage(recorder.only(), served, form)


@each_streamed
def test_every_async_stream_is_one_record(
    recorder: Recorder, provider: SimulatedProvider, form: Form
) -> None:
    async def call() -> None:
        async with async_client_of(provider, form.version) as client:
            async for _ in form.call(client):
                pass

    asyncio.run(call())
    [served] = provider.served
    check_usage(recorder.only(), served, form)


@each_raw_streamed
def test_every_raw_async_stream_is_one_record(
    recorder: Recorder, provider: SimulatedProvider, form: Form
) -> None:
    async def call() -> None:
        async with (
            async_client_of(provider, form.version) as client,
            form.call(client) as response,
        ):
            async for _ in response.data:
                pass

    asyncio.run(call())
    [served] = provider.served
    check_usage(recorder.only(), served, form)


def test_what_is_billed_counts_and_not_what_was_read(
    recorder: Recorder, provider: SimulatedProvider
) -> None:
    """Cohere puts instructions of its own before a prompt, and does not charge for them."""
    with client_of(provider) as client:
        client.chat(**ASK)
    [served] = provider.served
    assert served.usage["tokens"]["input_tokens"] > served.tokens.input
    span = recorder.only()
    assert span[names.INPUT_TOKENS] == served.tokens.input
    assert type(span[names.INPUT_TOKENS]) is int
    assert names.CACHE_READ_INPUT_TOKENS not in span


DOCUMENTS = ["a report"] * 101
BY_THE_UNIT = {
    "rerank": (
        Form(
            2,
            "rerank",
            {"model": "rerank-v3.5", "query": "q", "documents": DOCUMENTS},
            names.RERANK,
        ),
        {"rerank_searches": 2},
    ),
    "rerank, v1": (
        Form(
            1,
            "rerank",
            {"model": "rerank-v3.5", "query": "q", "documents": DOCUMENTS[:3]},
            names.RERANK,
        ),
        {"rerank_searches": 1},
    ),
    "classify": (
        Form(
            1,
            "classify",
            {"model": "embed-english-v3.0", "inputs": ["rude", "kind", "neither"]},
            names.CLASSIFICATION,
        ),
        {"classifications": 3},
    ),
    "images": (
        Form(
            2,
            "embed",
            {**EMBED, "texts": None, "images": ["data:image/png;base64,aGk="]},
            names.EMBEDDINGS,
        ),
        {"input_images": 1},
    ),
    "parse": (
        Form(
            2,
            "parse",
            {"model": "parse-v1", "document": {"type": "document_url", "url": "https://a/b.pdf"}},
            names.OCR,
        ),
        {"input_document_pages": 3},
    ),
}


@pytest.mark.parametrize(("form", "units"), BY_THE_UNIT.values(), ids=BY_THE_UNIT)
def test_what_is_charged_by_the_unit(
    recorder: Recorder, provider: SimulatedProvider, form: Form, units: Mapping[str, int]
) -> None:
    with client_of(provider, form.version) as client:
        form.call(client)
    span, [served] = recorder.only(), provider.served
    assert span[names.OPERATION_NAME] == form.operation
    assert {unit: span[names.quantity(unit)] for unit in units} == units
    assert span[names.USAGE_SOURCE] == names.SOURCE_PROVIDER
    assert names.INPUT_TOKENS not in span
    check_raw(span, served)


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        ({"billed_units": {"input_tokens": 12.0, "image_tokens": 8.0}}, (12, 8, None)),
        ({"billed_units": {"text_tokens": 4.0, "image_tokens": 8.0}}, (12, 8, None)),
        ({"billed_units": {"input_tokens": 4, "text_tokens": 4, "image_tokens": 8}}, (12, 8, None)),
        ({"billed_units": {"input_tokens": -1.0, "output_tokens": -1.0}}, (None, None, None)),
        ({"billed_units": {"input_tokens": 0, "output_tokens": 0.0}}, (0, None, 0)),
        ({"tokens": {"input_tokens": 71.0, "output_tokens": 9.0}}, (71, None, 9)),
        ({"billed_units": None, "tokens": None}, (None, None, None)),
    ],
)
def test_the_shapes_of_a_bill(block: Mapping[str, Any], expected: tuple[int | None, ...]) -> None:
    read = billed_attributes("search_units", block)
    kinds = (names.INPUT_TOKENS, names.IMAGE_INPUT_TOKENS, names.OUTPUT_TOKENS)
    assert tuple(read.get(kind) for kind in kinds) == expected


def test_jobs_and_batches_say_what_is_billed_when_they_are_done() -> None:
    meta = {"billed_units": {"input_tokens": 7.0}}
    assert read_job({"job_id": "1", "model": "embed-v4.0", "meta": meta}).usage == meta
    assert not read_job({"job_id": "1", "model": "embed-v4.0", "meta": None}).usage
    batch = {"id": "2", "status": "BATCH_STATUS_COMPLETED", "input_tokens": "7"}
    assert read_batch({"batch": batch}).usage == {"billed_units": {"input_tokens": 7}}
    assert read_batch({"batch": batch}).operation == names.EMBEDDINGS
    assert not read_batch({"batch": {**batch, "status": "BATCH_STATUS_IN_PROGRESS"}}).usage


def test_a_prompt_may_be_of_objects() -> None:
    """What is not counted by the provider is estimated: from all that was sent."""
    said = cohere.UserChatMessageV2(content="How did we do?")
    assert list(prompt_in({"messages": [said]})) == ["How did we do?"]
    turns = [{"role": "USER", "message": "Hello"}, cohere.ChatbotMessage(message="Good day")]
    body = {"preamble": "Be brief.", "chat_history": turns, "message": "How?", "model": ...}
    assert sorted(prompt_in(body)) == ["Be brief.", "Good day", "Hello", "How?"]


def test_texts_that_are_embedded_in_threads_are_the_tenants(
    recorder: Recorder, provider: SimulatedProvider
) -> None:
    """The library splits many texts into calls of 96, made in a pool of threads of its own."""
    with client_of(provider, 1) as client, usage(tenant_id="acme"):
        client.embed(**{**EMBED_V1, "texts": ["word"] * 200})
    assert [span[names.TENANT_ID] for span in recorder.metered] == ["acme"] * 3
    counted = [int(str(span[names.INPUT_TOKENS])) for span in recorder.metered]
    assert sum(counted) == sum(served.tokens.input for served in provider.served) == 200


@each_streamed
def test_a_stream_that_is_read_elsewhere_is_the_tenants_who_asked(
    recorder: Recorder, provider: SimulatedProvider, form: Form
) -> None:
    """The library sends nothing before a stream is read."""
    with client_of(provider, form.version) as client:
        with usage(tenant_id="acme"):
            stream = form.call(client)
        with usage(tenant_id="another"):
            deque(stream)

    async def call() -> None:
        async with async_client_of(provider, form.version) as client:
            with usage(tenant_id="acme"):
                stream = form.call(client)
            async for _ in stream:
                pass

    asyncio.run(call())
    assert [span[names.TENANT_ID] for span in recorder.metered] == ["acme", "acme"]
    assert all(b"acme" not in request.raw for request in provider.requests)
