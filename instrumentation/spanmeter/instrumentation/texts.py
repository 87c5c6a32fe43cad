"""The texts in request bodies and answers, for counting tokens where the provider's count never
came.

They are counted and forgotten: no text is ever recorded.
"""

from collections.abc import Iterable
from typing import Any

from spanmeter.instrumentation.endpoint import Json, items, mapping

CONTENT: tuple[str, ...] = (
    "text",
    "content",
    "parts",
    "thinking",
    "reasoning",
    "reasoning_content",
    "refusal",
    "arguments",
    "partial_json",
    "input",
    "function",
    "tool_calls",
)
"""Members of messages and their parts that hold text, or hold what does."""

PROMPT: tuple[str, ...] = (
    "messages",
    "system",
    "instructions",
    "input",
    "inputText",
    "prompt",
    "message",
    "contents",
    "texts",
    "query",
    "documents",
    "system_instruction",
    "systemInstruction",
)
"""Members of request bodies that hold the prompt, across providers."""


def prompt_of(body: Json) -> Iterable[str]:
    """The texts of a request, whoever's API it is for."""
    for member in PROMPT:
        if member in body:
            yield from texts_in(body[member])


def texts_in(value: Any) -> Iterable[str]:
    """The texts of a message, of parts of one, or of a list of either."""
    if isinstance(value, str):
        yield value
    for item in items(value):
        yield from texts_in(item)
    holder = mapping(value)
    for member in CONTENT:
        if member in holder:
            yield from texts_in(holder[member])
