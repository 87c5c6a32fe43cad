"""Results of Gemini's batches: each is a call once, however often and wherever it is fetched."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Generator
from typing import Any

import pytest
from google.genai import errors

from simulated_provider import SimulatedProvider
from spanmeter.instrumentation import usage
from spanmeter.metering import attributes as names
from unit.instrumentation.clients.google_calls import MODEL, client_of
from unit.instrumentation.recording import Attributes, Recorder, check_raw_usage

# The SDK's own sessions are a subclass of aiohttp's, made on first use.
pytestmark = pytest.mark.filterwarnings("ignore:Inheritance class:DeprecationWarning")

ASKED = [
    {"contents": [{"role": "user", "parts": [{"text": text}]}]}
    for text in ("How?", "Why is it so?")
]


@pytest.fixture
def client(provider: SimulatedProvider) -> Generator[Any]:
    # Where OpenAI has no batches of its own.
    with client_of(provider, api_version="v1beta") as client:
        yield client


def check(recorder: Recorder, provider: SimulatedProvider, operation: str) -> list[Attributes]:
    """There are as many records as results, and what only fetched them has no usage."""
    made = [span for span in recorder.metered if span[names.OPERATION_NAME] == operation]
    assert len(made) == len(provider.served) == 2
    for span, served in zip(made, provider.served, strict=True):
        assert span[names.USAGE_SERVICE_TIER] == "batch"
        assert span[names.USAGE_SOURCE] == names.SOURCE_PROVIDER
        assert span[names.INPUT_TOKENS] == served.tokens.input > 0
        assert span.get(names.OUTPUT_TOKENS, 0) == served.tokens.output
        assert span[names.RESPONSE_MODEL] == served.response_model
        check_raw_usage(span, served)
    others = [span for span in recorder.metered if span not in made]
    assert all(span[names.OPERATION_NAME] == names.FETCH_RESPONSE for span in others)
    assert not any(names.USAGE_SOURCE in span for span in others)
    return made


def test_results_in_the_batch(recorder: Recorder, provider: SimulatedProvider, client: Any) -> None:
    job = client.batches.create(model=MODEL, src=ASKED)
    with usage(tenant_id="acme"):
        done = client.batches.get(name=job.name)
    assert len(done.dest.inlined_responses) == 2
    client.batches.get(name=job.name)
    list(client.batches.list())
    made = check(recorder, provider, names.GENERATE_CONTENT)
    assert all(span[names.TENANT_ID] == "acme" for span in made)
    assert [span[names.RESPONSE_ID] for span in made] == [
        each.response_id for each in provider.served
    ]


def test_results_in_a_list_of_batches(
    recorder: Recorder, provider: SimulatedProvider, client: Any
) -> None:
    client.batches.create(model=MODEL, src=ASKED)
    assert len(list(client.batches.list())) == 1
    check(recorder, provider, names.GENERATE_CONTENT)


def test_results_in_a_file(recorder: Recorder, provider: SimulatedProvider, client: Any) -> None:
    provider.keep(
        "asked", {"lines": [{"key": str(at), "request": each} for at, each in enumerate(ASKED)]}
    )
    job = client.batches.create(model=MODEL, src="files/asked")
    file = client.batches.get(name=job.name).dest.file_name
    for _ in range(2):
        content = client.files.download(file=file)
        assert [json.loads(line)["key"] for line in content.splitlines()] == ["0", "1"]
    check(recorder, provider, names.GENERATE_CONTENT)


def test_results_of_async_clients(
    recorder: Recorder, provider: SimulatedProvider, client: Any
) -> None:
    provider.keep(
        "asked", {"lines": [{"key": str(at), "request": each} for at, each in enumerate(ASKED)]}
    )

    async def call() -> None:
        async with client.aio as aio:
            job = await aio.batches.create(model=MODEL, src="files/asked")
            done = await aio.batches.get(name=job.name)
            await aio.files.download(file=done.dest.file_name)

    asyncio.run(call())
    check(recorder, provider, names.GENERATE_CONTENT)


@pytest.mark.filterwarnings("ignore:batches.create_embeddings:Warning")
def test_embeddings_which_have_no_ids_are_known_by_their_place(
    recorder: Recorder, provider: SimulatedProvider, client: Any
) -> None:
    job = client.batches.create_embeddings(
        model="gemini-embedding-001",
        src={"inlined_requests": {"contents": ["How did we do?", "And why?"]}},
    )
    for _ in range(2):
        client.batches.get(name=job.name)
    check(recorder, provider, names.EMBEDDINGS)


def test_other_files_are_no_results(
    recorder: Recorder, provider: SimulatedProvider, client: Any
) -> None:
    provider.keep("notes", {"lines": [{"text": "What we said"}]})
    client.files.download(file="files/notes")
    assert recorder.only()[names.OPERATION_NAME] == names.FETCH_RESPONSE
    assert names.USAGE_SOURCE not in recorder.only()


def test_a_batch_that_is_deleted_is_no_record(
    recorder: Recorder, provider: SimulatedProvider, client: Any
) -> None:
    with pytest.raises(errors.APIError):
        client.batches.delete(name="batches/any")
    assert recorder.metered == []
