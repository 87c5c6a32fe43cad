"""The model's part: tokens of a text, and an answer that depends on the prompt alone."""

import hashlib
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

# About one token to a short word, several to a long one: the proportions of a real tokenizer.
_TOKEN = re.compile(r"\w{1,6}|[^\w\s]")

# Keys whose strings are markup rather than prompt.
_MARKUP = frozenset({"type", "role", "cache_control", "image_url", "source", "id", "data"})

# Not all ASCII, so that a stream cut at a byte boundary may cut a character in two.
_TEXT = (
    "the report shows that revenue grew in every region while costs stayed flat and café sales "
    "in Zürich doubled → the team should review naïve forecasts before the next quarter because "
    "customers ask for faster answers clear invoices and fewer surprises überall"
)
_VOCABULARY = _TEXT.split()


@dataclass(frozen=True, slots=True)
class Answer:
    """What the model says, in the pieces it streams, and what that counts."""

    deltas: tuple[str, ...]
    text_tokens: int
    reasoning_tokens: int
    truncated: bool

    @property
    def text(self) -> str:
        """The whole text."""
        return "".join(self.deltas)

    @property
    def output_tokens(self) -> int:
        """Visible and reasoning tokens together, as providers bill them."""
        return self.text_tokens + self.reasoning_tokens


def tokens(text: str) -> list[str]:
    """`text` cut into tokens."""
    return _TOKEN.findall(text)


def prompt_of(*parts: Any) -> str:
    """All the text in some JSON, in order; names of roles and types do not count."""
    return "\n".join(text for part in parts for text in _strings(part))


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:  # pyright: ignore[reportUnknownVariableType]
            yield from _strings(item)
    elif isinstance(value, dict):
        for key, item in value.items():  # pyright: ignore[reportUnknownVariableType]
            if key not in _MARKUP:
                yield from _strings(item)


def compose(
    prompt: str,
    *,
    text: str | None = None,
    chunks: int | None = None,
    limit: int | None = None,
    reasons: bool = False,
) -> Answer:
    """Answer `prompt`, or say `text`; never more than `limit` output tokens.

    The same prompt always gets the same answer. A model that `reasons` spends tokens on that first.
    """
    chance = random.Random(hashlib.sha256(prompt.encode()).digest())
    # Reasoning is reported in steps of 64, as OpenAI does.
    reasoning = 64 * chance.randint(1, 12) if reasons else 0
    if limit is not None:
        reasoning = min(reasoning, limit)
    said = _ramble(chance) if text is None else text
    room = None if limit is None else limit - reasoning
    kept, truncated = _truncate(said, room)
    return Answer(_pieces(kept, chunks), len(tokens(kept)), reasoning, truncated)


def _ramble(chance: random.Random) -> str:
    first, *others = chance.choices(_VOCABULARY, k=chance.randint(12, 60))
    return " ".join([first.capitalize(), *others]) + "."


def _truncate(text: str, room: int | None) -> tuple[str, bool]:
    ends = [match.end() for match in _TOKEN.finditer(text)]
    if room is None or len(ends) <= room:
        return text, False
    return text[: ends[room - 1] if room else 0], True


def _pieces(text: str, count: int | None) -> tuple[str, ...]:
    if count is None:
        return tuple(re.findall(r"\s*\S+\s*$|\s*\S+", text)) or ((text,) if text else ())
    size, larger = divmod(len(text), count)
    cuts = [i * size + min(i, larger) for i in range(count + 1)]
    return tuple(text[start:end] for start, end in pairwise(cuts))
