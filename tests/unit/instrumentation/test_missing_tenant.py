"""A call of which nobody knows whose it is: recorded, warned of once per place, or refused before it leaves."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from anthropic import Anthropic
from google.genai import types
from openai import AsyncOpenAI, OpenAI

from simulated_provider import SimulatedProvider
from spanmeter.instrumentation import (
    MissingTenant,
    SpanmeterError,
    missing_tenant,
    refine,
    usage,
)
from spanmeter.instrumentation.missing_tenant import MISSING_TENANT
from spanmeter.metering import attributes as names
from unit.instrumentation.clients import google_calls
from unit.instrumentation.clients.test_never_in_the_way_of_others import LIBRARIES
from unit.instrumentation.forms import APIS, CHAT, Api, async_client_of, client_of
from unit.instrumentation.recording import Recorder

# The SDK's own sessions are a subclass of aiohttp's, made on first use.
pytestmark = pytest.mark.filterwarnings("ignore:Inheritance class:DeprecationWarning")


@pytest.fixture
def refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(MISSING_TENANT, "raise")


@pytest.fixture
def policy(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    monkeypatch.setenv(MISSING_TENANT, request.param)
    monkeypatch.setattr(missing_tenant, "_warned", set[str]())


def calls_of_openai(provider: SimulatedProvider, api: Api) -> Mapping[str, Callable[[], object]]:
    """Every form of a call of a Stainless-made SDK."""

    def plainly() -> object:
        with client_of(api, provider) as client:
            return api.resource(client).create(**api.arguments)

    def raw() -> object:
        with client_of(api, provider) as client:
            return api.resource(client).with_raw_response.create(**api.arguments)

    def async_() -> object:
        async def call() -> object:
            async with async_client_of(api, provider) as client:
                return await api.resource(client).create(**api.arguments)

        return asyncio.run(call())

    return {"plain": plainly, "raw": raw, "async": async_}


@pytest.mark.usefixtures("refused")
@pytest.mark.parametrize("form", ["plain", "raw", "async"])
@pytest.mark.parametrize("api", APIS.values(), ids=APIS)
def test_a_call_is_refused_before_it_leaves(
    recorder: Recorder, provider: SimulatedProvider, api: Api, form: str
) -> None:
    call = calls_of_openai(provider, api)[form]
    with pytest.raises(MissingTenant, match=r"/test_missing_tenant\.py:\d+ ") as caught:
        call()
    with pytest.raises(MissingTenant), refine(feature="search"):
        call()
    assert isinstance(caught.value, SpanmeterError)
    assert caught.value.callsite in str(caught.value)
    assert provider.requests == []
    assert recorder.spans == []
    with usage(tenant_id="acme"):
        call()
    assert recorder.only()[names.TENANT_ID] == "acme"


@pytest.mark.usefixtures("refused")
@pytest.mark.parametrize("library", LIBRARIES.values(), ids=LIBRARIES)
def test_so_is_that_of_every_library(
    recorder: Recorder, provider: SimulatedProvider, library: Any
) -> None:
    with library(provider) as ask:
        with pytest.raises(MissingTenant):
            ask()
        assert provider.requests == []
        with usage(tenant_id="acme"):
            ask()
    assert {str(span[names.TENANT_ID]) for span in recorder.metered} == {"acme"}


@pytest.mark.usefixtures("refused")
def test_a_session_is_refused_before_it_is_opened(
    recorder: Recorder, provider: SimulatedProvider
) -> None:
    socket_url = provider.openai_base_url.replace("http", "ws")
    urls: Any = {"base_url": provider.openai_base_url, "websocket_base_url": socket_url}

    async def connect() -> None:
        async with AsyncOpenAI(api_key="any", **urls) as client:
            with pytest.raises(MissingTenant):
                async with client.realtime.connect(model="gpt-realtime"):
                    pass
        async with google_calls.client_of(provider).aio as aio:
            with pytest.raises(MissingTenant):
                async with aio.live.connect(model="gemini-live-2.5-flash-preview"):
                    pass

    with OpenAI(api_key="any", **urls) as client, pytest.raises(MissingTenant):
        client.realtime.connect(model="gpt-realtime").enter()
    asyncio.run(connect())
    assert provider.requests == []
    with OpenAI(api_key="any", **urls) as client, usage(tenant_id="acme"):
        client.realtime.connect(model="gpt-realtime").enter().close()


@pytest.mark.usefixtures("refused")
def test_what_has_been_made_already_is_not_refused(
    recorder: Recorder, provider: SimulatedProvider, openai_client: OpenAI
) -> None:
    """Fetching a response costs nothing, and is how its usage is known."""
    with usage(tenant_id="acme"):
        made = openai_client.responses.create(model="gpt-5-mini", input="How?", background=True)
    openai_client.responses.retrieve(made.id)


@pytest.mark.usefixtures("refused")
def test_requests_that_use_no_model_are_not_refused(
    recorder: Recorder, provider: SimulatedProvider
) -> None:
    with Anthropic(base_url=provider.url, api_key="any") as client:
        client.messages.count_tokens(
            model="claude-haiku-4-5", messages=[{"role": "user", "content": "How?"}]
        )


@pytest.mark.usefixtures("refused")
def test_a_function_that_the_model_calls_has_the_tenant_of_the_call(
    recorder: Recorder, provider: SimulatedProvider
) -> None:
    with google_calls.client_of(provider) as client:

        def ask_another() -> str:
            """Asks another model."""
            client.models.generate_content(model="gemini-2.5-pro", contents="And you?")
            return "asked"

        config = types.GenerateContentConfig(tools=[ask_another])
        with usage(tenant_id="acme"):
            client.models.generate_content(**google_calls.ASK, config=config)
    assert [span[names.TENANT_ID] for span in recorder.metered] == ["acme"] * 3


@pytest.mark.usefixtures("refused")
def test_nothing_is_refused_while_nothing_is_metered(
    recorder: Recorder, provider: SimulatedProvider, openai_client: OpenAI
) -> None:
    recorder.stop()
    openai_client.chat.completions.create(**CHAT.arguments)


def warnings_in(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [each.getMessage() for each in caplog.records if each.levelno >= logging.WARNING]


@pytest.mark.parametrize("policy", ["warn"], indirect=True)
def test_a_place_is_warned_of_once(
    policy: None, recorder: Recorder, openai_client: OpenAI, caplog: pytest.LogCaptureFixture
) -> None:
    create = openai_client.chat.completions.create
    for _ in range(3):
        create(**CHAT.arguments)
    here = inspect.stack(context=0)[0].lineno - 1
    create(**CHAT.arguments)
    with usage(tenant_id="acme"):
        create(**CHAT.arguments)
    first, second = warnings_in(caplog)
    assert f"test_missing_tenant.py:{here}: a call of openai has no tenant" in first
    assert f"test_missing_tenant.py:{here + 2}: " in second
    assert len(recorder.metered) == 5


@pytest.mark.parametrize("policy", ["record", ""], indirect=True)
def test_by_default_it_is_recorded_with_its_place(
    policy: None, recorder: Recorder, openai_client: OpenAI, caplog: pytest.LogCaptureFixture
) -> None:
    openai_client.chat.completions.create(**CHAT.arguments)
    assert "test_missing_tenant.py:" in str(recorder.only()[names.USAGE_CALLSITE])
    assert warnings_in(caplog) == []


@pytest.mark.parametrize("policy", ["explode"], indirect=True)
def test_a_setting_that_is_none_is_said_once_and_nothing_is_refused(
    policy: None, recorder: Recorder, openai_client: OpenAI, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(2):
        openai_client.chat.completions.create(**CHAT.arguments)
    [warning] = warnings_in(caplog)
    assert "SPANMETER_MISSING_TENANT='explode' is none of record, warn and raise" in warning
    assert len(recorder.metered) == 2
