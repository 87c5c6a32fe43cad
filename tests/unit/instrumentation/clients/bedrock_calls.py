"""Calls of Bedrock through boto3 and aiobotocore, and what a span should say of them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import boto3  # type: ignore[import-untyped]
import pytest
from aiobotocore.session import get_session  # type: ignore[import-untyped]
from botocore.config import Config  # type: ignore[import-untyped]

from simulated_provider import Served, SimulatedProvider
from spanmeter.metering import attributes as names
from unit.instrumentation.recording import Attributes, Recorder

HAIKU = "us.anthropic.claude-haiku-4-5-20251001-v1:0"
LLAMA = "meta.llama3-3-70b-instruct-v1:0"
KEYS = {
    "region_name": "eu-west-1",
    "aws_access_key_id": "any",
    "aws_secret_access_key": "any",
}
MESSAGES = [{"role": "user", "content": [{"text": "How did we do?"}]}]
CLAUDE_BODY = json.dumps(
    {
        "anthropic_version": "bedrock-2023-05-31",
        "max_tokens": 60,
        "messages": [{"role": "user", "content": "How did we do?"}],
    }
)
LLAMA_BODY = json.dumps({"prompt": "How did we do?"})

AsyncForm = Callable[[Any], Awaitable[None]]
Form = Callable[[Any], object]


def without_retries(**options: Any) -> Config:
    return Config(retries={"total_max_attempts": 1}, **options)


def client_of(provider: SimulatedProvider, service: str = "bedrock-runtime", **options: Any) -> Any:
    """A client of one of AWS's services."""
    boto: Any = boto3
    return boto.client(service, endpoint_url=provider.url, **KEYS, **options)


def run(provider: SimulatedProvider, form: AsyncForm, **options: Any) -> None:
    """Runs a form with an async client."""

    async def call() -> None:
        session: Any = get_session()
        async with session.create_client(
            "bedrock-runtime", endpoint_url=provider.url, **KEYS, **options
        ) as client:
            await form(client)

    asyncio.run(call())


def check_usage(span: Attributes, served: Served) -> None:
    """The span says of a complete answer what the provider has in its books."""
    tokens = served.tokens
    assert span[names.PROVIDER_NAME] == "aws.bedrock"
    assert span[names.INPUT_TOKENS] == tokens.input
    assert span.get(names.OUTPUT_TOKENS, 0) == tokens.output
    assert span.get(names.CACHE_READ_INPUT_TOKENS, 0) == tokens.cache_read
    written = tokens.cache_write + tokens.cache_write_1h
    assert span.get(names.CACHE_WRITE_INPUT_TOKENS, 0) == written
    assert span.get(names.cache_write("1h"), 0) == tokens.cache_write_1h
    assert span[names.USAGE_SOURCE] == names.SOURCE_PROVIDER
    assert span[names.RESPONSE_ID] == served.response_id
    assert names.ERROR_TYPE not in span
    raw = span[names.USAGE_RAW]
    assert isinstance(raw, str)
    assert json.loads(raw) == {
        name: count for name, count in served.usage.items() if count is not None
    }


def check_the_one(recorder: Recorder, provider: SimulatedProvider, *, streamed: bool) -> None:
    """One call was made, and it is one complete span."""
    [served] = provider.served
    span = recorder.only()
    check_usage(span, served)
    assert span.get(names.REQUEST_STREAM, False) is streamed
    assert (names.TIME_TO_FIRST_CHUNK in span) is streamed


def need_converse(client: Any, *path: str) -> None:
    """Skips the test where this release of botocore knows no such part of what Converse is asked."""
    shape = client.meta.service_model.operation_model("Converse").input_shape
    for name in path:
        members = getattr(shape, "member", shape).members
        if name not in members:
            pytest.skip(f"Converse takes no {'.'.join(path)} in this release")
        shape = members[name]


def converse(client: Any, **further: Any) -> Any:
    return client.converse(modelId=HAIKU, messages=MESSAGES, **further)


def converse_stream(client: Any, **further: Any) -> Any:
    return client.converse_stream(modelId=HAIKU, messages=MESSAGES, **further)


def invoke(client: Any, **further: Any) -> Any:
    return client.invoke_model(**{"modelId": HAIKU, "body": CLAUDE_BODY, **further})


def invoke_stream(client: Any, **further: Any) -> Any:
    return client.invoke_model_with_response_stream(
        **{"modelId": HAIKU, "body": CLAUDE_BODY, **further}
    )


def in_pieces(body: Any) -> None:
    while body.read(7):
        pass


async def converse_async(client: Any) -> None:
    await converse(client)


async def drain_converse(client: Any) -> None:
    async for _ in (await converse_stream(client))["stream"]:
        pass


async def drain_invoke(client: Any) -> None:
    async for _ in (await invoke_stream(client))["body"]:
        pass
