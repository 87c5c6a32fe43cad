"""A streamed chat reports its usage only when asked. It is asked, and the application sees nothing of it."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest
from openai import AsyncOpenAI, AzureOpenAI, OpenAI

from simulated_provider import Framing, Reply, SimulatedProvider
from spanmeter.metering import attributes as names
from unit.instrumentation.forms import CHAT, COMPLETIONS, Api, client_of
from unit.instrumentation.recording import Recorder, check_usage

each_api = pytest.mark.parametrize("api", [CHAT, COMPLETIONS], ids=["chat", "completions"])


def normalised(body: bytes) -> bytes:
    """A stream without what differs from one answer to the next, without comments, of which there is
    one before each event, and without `"usage": null`."""
    body = body.replace(b": keep-alive\n\n", b"")
    body = re.sub(rb'"id":"[\w-]+"', b'"id":"the same"', body)
    body = re.sub(rb'"created":\d+', b'"created":1', body)
    return body.replace(b',"usage":null', b"").replace(b'"usage":null,', b"")


def stream_bytes(client: Any, api: Api, **further: Any) -> bytes:
    """The stream as the application gets it."""
    create = api.resource(client).with_streaming_response.create
    with create(**api.arguments, **further, stream=True) as response:
        return b"".join(response.iter_bytes())


@each_api
@pytest.mark.parametrize(
    "reply",
    [
        Reply(),
        Reply(framing=Framing(line_end="\r\n", split=7)),
        Reply(framing=Framing(line_end="\r")),
        Reply(framing=Framing(split=1)),
        Reply(framing=Framing(comments=True)),
        Reply(gzip=True, framing=Framing(split=13)),
        Reply(without_usage=True),
        Reply(error_after=3),
    ],
    ids=["plain", "crlf cut", "cr", "bytes", "comments", "gzip", "not obeyed", "error event"],
)
def test_the_application_gets_the_bytes_it_would_have_got(
    recorder: Recorder, provider: SimulatedProvider, api: Api, reply: Reply
) -> None:
    provider.enqueue(reply, reply)
    with client_of(api, provider) as client:
        metered = stream_bytes(client, api)
        recorder.stop()
        unmetered = stream_bytes(client, api)
    assert normalised(metered) == normalised(unmetered)
    asked, unasked = (request.json() for request in provider.requests)
    assert asked == unasked | {"stream_options": {"include_usage": True}}
    if not reply.without_usage and reply.error_after is None:
        check_usage(recorder.only(), provider.served[0])


def test_the_application_gets_the_raw_bytes_it_would_have_got(
    recorder: Recorder, provider: SimulatedProvider
) -> None:
    def raw_bytes(client: Any) -> bytes:
        create = CHAT.resource(client).with_streaming_response.create
        with create(**CHAT.arguments, stream=True) as response:
            return b"".join(response.http_response.iter_raw(5))

    provider.enqueue(Reply(gzip=False), Reply(gzip=False))
    with client_of(CHAT, provider) as client:
        metered = raw_bytes(client)
        recorder.stop()
        unmetered = raw_bytes(client)
    assert normalised(metered) == normalised(unmetered)
    check_usage(recorder.only(), provider.served[0])


def test_the_application_gets_the_chunks_it_would_have_got(
    recorder: Recorder, provider: SimulatedProvider
) -> None:
    """Code that takes `choices[0]` of every chunk goes on working."""

    def chunks(client: Any) -> list[Any]:
        stream = CHAT.resource(client).create(**CHAT.arguments, stream=True)
        return [chunk.choices[0].model_dump() for chunk in stream]

    with client_of(CHAT, provider) as client:
        metered = chunks(client)
        recorder.stop()
        assert metered == chunks(client)
    assert len(recorder.metered) == 1


async def count_choices(provider: SimulatedProvider) -> list[int]:
    async with AsyncOpenAI(base_url=provider.openai_base_url, api_key="any") as client:
        stream = await client.chat.completions.create(
            model="gpt-4o-mini", messages=[{"role": "user", "content": "How?"}], stream=True
        )
        return [len(chunk.choices) async for chunk in stream]


def test_an_async_application_gets_the_chunks_it_would_have_got(
    recorder: Recorder, provider: SimulatedProvider
) -> None:
    choices = asyncio.run(count_choices(provider))
    assert set(choices) == {1}
    check_usage(recorder.only(), provider.served[0])


@each_api
def test_an_application_that_asked_itself_gets_its_answer(
    recorder: Recorder, provider: SimulatedProvider, api: Api
) -> None:
    ask = {"stream_options": {"include_usage": True}}
    with client_of(api, provider) as client:
        metered = stream_bytes(client, api, **ask)
        recorder.stop()
        unmetered = stream_bytes(client, api, **ask)
    assert b'"prompt_tokens"' in metered
    # Nothing was added, so `"usage": null` may not differ either.
    assert metered.count(b'"usage":null') == unmetered.count(b'"usage":null') > 0
    assert normalised(metered) == normalised(unmetered)
    check_usage(recorder.only(), provider.served[0])


def test_other_stream_options_are_kept_and_the_applications_dicts_are_its_own(
    recorder: Recorder, provider: SimulatedProvider, openai_client: OpenAI
) -> None:
    options: Any = {"include_obfuscation": False}
    body: Any = {**CHAT.arguments, "stream": True, "stream_options": options}
    openai_client.post(
        "/chat/completions", body=body, cast_to=object, options={"headers": {"accept": "*/*"}}
    )
    assert options == {"include_obfuscation": False}
    assert body == {**CHAT.arguments, "stream": True, "stream_options": options}
    [request] = provider.requests
    assert request.json()["stream_options"] == {
        "include_obfuscation": False,
        "include_usage": True,
    }
    assert len(recorder.metered) == 1


@each_api
@pytest.mark.parametrize(
    ("opted_out", "asked"),
    [("127.0.0.1", False), ("old.example, 127.0.0.1", False), ("127.0.0.2", True)],
)
def test_hosts_may_be_opted_out(
    recorder: Recorder,
    provider: SimulatedProvider,
    api: Api,
    monkeypatch: pytest.MonkeyPatch,
    opted_out: str,
    *,
    asked: bool,
) -> None:
    """Some servers, old versions of Azure's among them, refuse `stream_options`."""
    monkeypatch.setenv("SPANMETER_STREAM_USAGE_OPT_OUT", opted_out)
    with client_of(api, provider) as client:
        stream_bytes(client, api)
    assert ("stream_options" in provider.requests[0].json()) is asked
    assert (recorder.only()[names.USAGE_SOURCE] == names.SOURCE_PROVIDER) is asked


def test_whole_answers_are_asked_nothing(
    recorder: Recorder, provider: SimulatedProvider, openai_client: OpenAI
) -> None:
    openai_client.chat.completions.create(**CHAT.arguments)
    assert "stream_options" not in provider.requests[0].json()
    assert len(recorder.metered) == 1


def test_azure_streams_open_with_a_chunk_that_says_nothing(
    recorder: Recorder, provider: SimulatedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has no id and no choices; it goes through, and the response is identified all the same."""
    monkeypatch.delenv("SPANMETER_PROVIDER_HOSTS")  # which would have the last word
    provider.enqueue(Reply(chunks=5, abort_after=2))
    with AzureOpenAI(
        azure_endpoint=provider.url, api_key="any", api_version="2025-04-01-preview", max_retries=0
    ) as client:
        stream = client.chat.completions.create(
            model="chat-eu", messages=[{"role": "user", "content": "How?"}], stream=True
        )
        opening = next(stream)
        next(stream)
        stream.close()
    assert opening.choices == []
    span = recorder.only()
    [served] = provider.wait_for_served(1)
    assert span[names.PROVIDER_NAME] == "azure.ai.openai"
    assert span[names.REQUEST_MODEL] == "chat-eu"
    assert span[names.RESPONSE_MODEL] == served.response_model
    assert span[names.RESPONSE_ID] == served.response_id
