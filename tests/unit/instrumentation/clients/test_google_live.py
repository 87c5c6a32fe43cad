"""Each turn of a live session is a record, for whoever opened the session."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Generator
from typing import Any

import pytest
from google.genai import Client, errors, types
from websockets.asyncio.client import connect

from simulated_provider import Reply, SimulatedProvider
from spanmeter.instrumentation import usage
from spanmeter.instrumentation.clients import google_live
from spanmeter.metering import attributes as names
from unit.instrumentation.recording import Recorder, check_raw_usage

MODEL = "gemini-3.8-live"


@pytest.fixture(autouse=True)
def in_the_clear(monkeypatch: pytest.MonkeyPatch) -> None:
    """Websockets are not encrypted: the provider has no certificate."""

    def connect_in_the_clear(uri: str, **options: Any) -> Any:
        options.pop("ssl", None)
        return connect(uri.replace("wss:", "ws:", 1), **options)

    monkeypatch.setattr("google.genai.live.ws_connect", connect_in_the_clear)


@pytest.fixture
def client(provider: SimulatedProvider) -> Generator[Any]:
    options = types.HttpOptions(base_url=provider.url)
    with Client(api_key="any", http_options=options) as client:
        yield client


def talk(client: Any, use: Callable[[Any], Awaitable[None]], **config: Any) -> None:
    """Opens a session for acme, and uses it for nobody."""

    async def session() -> None:
        with usage(tenant_id="acme"):
            connecting = client.aio.live.connect(model=MODEL, config=config)
        async with connecting as session:
            await use(session)

    asyncio.run(session())


async def say(session: Any, text: str) -> None:
    turn = types.Content(role="user", parts=[types.Part(text=text)])
    await session.send_client_content(turns=turn, turn_complete=True)


async def two_turns(session: Any) -> None:
    for text in ("How did we do?", "And before?"):
        await say(session, text)
        async for _ in session.receive():
            pass


@pytest.mark.parametrize("modality", ["TEXT", "AUDIO"])
def test_each_turn_is_what_was_booked(
    recorder: Recorder, provider: SimulatedProvider, client: Any, modality: str
) -> None:
    talk(client, two_turns, response_modalities=[modality])
    for span, served in zip(recorder.metered, provider.served, strict=True):
        assert span[names.OPERATION_NAME] == names.REALTIME
        assert span[names.PROVIDER_NAME] == "gcp.gemini"
        assert span[names.REQUEST_MODEL] == MODEL
        assert span[names.INPUT_TOKENS] == served.tokens.input
        assert span[names.OUTPUT_TOKENS] == served.tokens.output
        spoken = served.tokens.output if modality == "AUDIO" else None
        assert span.get(names.AUDIO_OUTPUT_TOKENS) == spoken
        assert span[names.USAGE_SOURCE] == names.SOURCE_PROVIDER
        assert span[names.TENANT_ID] == "acme"
        check_raw_usage(span, served)


def test_the_second_turn_is_billed_for_the_first_too(
    recorder: Recorder, provider: SimulatedProvider, client: Any
) -> None:
    talk(client, two_turns)
    first, second = provider.served
    assert second.tokens.input > first.tokens.input + first.tokens.output
    assert len(recorder.metered) == 2


def test_vertex_ai_behind_a_gateway(recorder: Recorder, provider: SimulatedProvider) -> None:
    path = "/ws/google.cloud.aiplatform.v1beta1.LlmBidiService/BidiGenerateContent"
    address = provider.url.replace("http:", "ws:") + path
    client = Client(vertexai=True, http_options=types.HttpOptions(base_url=address))
    talk(client, two_turns)
    assert [span[names.PROVIDER_NAME] for span in recorder.metered] == ["gcp.vertex_ai"] * 2


def test_a_turn_that_is_cut_is_a_record(
    recorder: Recorder, provider: SimulatedProvider, client: Any
) -> None:
    provider.enqueue(Reply(abort_after=1))
    with pytest.raises(errors.APIError):
        talk(client, two_turns)
    assert recorder.only()[names.ERROR_TYPE] == "google.genai.errors.APIError"
    assert names.INPUT_TOKENS not in recorder.only()


def test_a_turn_that_is_left_is_cancelled(recorder: Recorder, client: Any) -> None:
    async def leave(session: Any) -> None:
        await say(session, "How did we do?")
        async for _ in session.receive():
            break

    talk(client, leave)
    assert recorder.only()[names.ERROR_TYPE] == names.CANCELLED


def test_a_session_without_a_turn_is_no_record(recorder: Recorder, client: Any) -> None:
    async def listen(session: Any) -> None:
        assert session.session_id

    talk(client, listen)
    assert recorder.metered == []


def test_searches_are_counted_beside_the_tokens() -> None:
    message = {
        "serverContent": {"groundingMetadata": {"webSearchQueries": ["one", "two"]}},
        "usageMetadata": {"promptTokenCount": 3, "trafficType": "PROVISIONED_THROUGHPUT"},
    }
    reading = google_live.read_message(message)
    assert reading.quantities == {"web_searches": 2}
    assert reading.service_tier == "provisioned_throughput"
