"""What of a span's attributes is passed on: what metering reads, and never a prompt or a completion.

Others' spans are full of texts. Numbers cannot be one; a text is passed on if it is short and nothing
in its name says that it may be content, or a secret.
"""

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Final, cast

from spanmeter.metering import attributes as names

MAX_TEXT: Final = 1024
"""Characters of a text that is passed on: metering takes no longer ones."""

MAX_USAGE_TEXT: Final = 16 * 1024
"""Characters of a usage block."""

MAX_COUNT_TEXT: Final = 20
"""Characters of a count that was written as text."""

USAGE_TEXTS: Final = frozenset(
    {
        names.USAGE_RAW,
        "gen_ai.usage.raw",
        "langfuse.observation.usage_details",
        "metadata.usage_object",
    }
)
"""Attributes that hold counts as JSON, or as a mapping that was printed."""

_IDENTIFIERS: Final = frozenset({"id", "model", "name", "provider", "tier", "type"})
"""Last words of names by which a value is no content, whatever the words before."""

_CONTENT: Final = frozenset(
    {
        *("answer", "argument", "arg", "kwarg", "audio", "body", "call", "choice", "comment"),
        *("completion", "content", "data", "delta", "description", "document", "embedding"),
        *("exception", "function", "image", "input", "instruction", "message", "msg", "object"),
        *("observation", "output"),
        *("parameter", "prompt", "query", "querie", "question", "reasoning"),
        *("result", "schema", "stack", "stacktrace", "statement", "summary", "template", "text"),
        *("thinking", "thought", "title", "tool", "transcript", "value", "vector", "url", "uri"),
        *("authorization", "cookie", "header", "key", "password", "secret", "target", "token"),
    }
)
"""Words, in the singular, of names whose values may be content, or a secret."""


def metered(attributes: Mapping[str, object]) -> dict[str, object]:
    """Those of the attributes that are passed on."""
    return {name: value for name, value in attributes.items() if _is_metered(name, value)}


def _is_metered(name: str, value: object) -> bool:
    if isinstance(value, bool | int | float):
        return True
    if isinstance(value, str):
        return len(value) <= _room(name)
    return name == names.RESPONSE_FINISH_REASONS and _is_short(value)


def _is_short(value: object) -> bool:
    if not isinstance(value, Sequence):
        return False
    items = cast("Sequence[object]", value)
    return sum(len(item) if isinstance(item, str) else MAX_TEXT for item in items) <= MAX_TEXT


# The same names come with every span.
@lru_cache(maxsize=4096)
def _room(name: str) -> int:
    """How long a text may be that is passed on under this name."""
    if name in USAGE_TEXTS:
        return MAX_USAGE_TEXT
    if name.startswith("usage."):
        return MAX_TEXT
    words = [word.lower().removesuffix("s") for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+", name)]
    if words and words[-1] in _IDENTIFIERS:
        return MAX_TEXT
    if "usage" in words or "count" in words:
        return MAX_COUNT_TEXT
    return -1 if not _CONTENT.isdisjoint(words) else MAX_TEXT
