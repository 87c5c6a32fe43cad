"""Calls of Anthropic's API, and what a span should say of them."""

from __future__ import annotations

from typing import Any

from simulated_provider import Served
from spanmeter.metering import attributes as names
from unit.instrumentation.recording import Attributes

ASK: Any = {
    "model": "claude-haiku-4-5",
    "max_tokens": 60,
    "messages": [{"role": "user", "content": "How did we do?"}],
}


def checked(span: Attributes, served: Served) -> None:
    """The span says what is in the provider's books, count by count."""
    tokens = served.tokens
    assert span[names.INPUT_TOKENS] == tokens.input
    assert span[names.OUTPUT_TOKENS] == tokens.output
    assert span.get(names.CACHE_READ_INPUT_TOKENS, 0) == tokens.cache_read
    written = tokens.cache_write + tokens.cache_write_1h
    assert span.get(names.CACHE_WRITE_INPUT_TOKENS, 0) == written
    assert span.get(names.cache_write("1h"), 0) == tokens.cache_write_1h
    assert span.get(names.REASONING_OUTPUT_TOKENS, 0) == tokens.reasoning
    assert span[names.USAGE_SOURCE] == names.SOURCE_PROVIDER
    assert names.ERROR_TYPE not in span


def drained(items: Any) -> None:
    for _ in items:
        pass


async def drained_async(items: Any) -> None:
    async for _ in items:
        pass
