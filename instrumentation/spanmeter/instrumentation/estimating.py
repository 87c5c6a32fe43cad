"""Counting tokens where the provider's count never came: a stream cut short, a server that reports
none.

Tokenizers are asked in the order of `register_tokenizer`, the latest first; each says whether it
knows the model. OpenAI's own encodings are there where the package `bpe-openai` is installed (the
extra `tokenizers`). Where nobody knows the model, text is taken at four bytes of UTF-8 a token:
English averages 4 to 5 in today's vocabularies, and other scripts, with more bytes a character,
more tokens a character (help.openai.com/en/articles/4936856,
platform.claude.com/docs/en/about-claude/glossary#tokens).
"""

import functools
import warnings
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

from spanmeter.instrumentation.guard import guarded
from spanmeter.metering import attributes as names

BYTES_PER_TOKEN: Final = 4

Tokenizer = Callable[[str], int]
"""Text to its number of tokens."""


class Estimate(NamedTuple):
    """A number of tokens, and who says so: `tokenizer` or `estimate`."""

    tokens: int
    source: str


finders: Final[list[Callable[[str, str], Tokenizer | None]]] = []


def register_tokenizer(find: Callable[[str, str], Tokenizer | None]) -> None:
    """Adds tokenizers. `find` is given a provider and a model, and returns the model's tokenizer or
    `None`."""
    finders.insert(0, find)


def estimated(texts: Iterable[str], provider: str, model: str) -> Estimate:
    """The tokens of the texts, by the model's own tokenizer where one is known."""
    texts = list(texts)
    counted = _tokenized(texts, provider, model)
    if counted is not None:
        return Estimate(counted, names.SOURCE_TOKENIZER)
    size = sum(len(text.encode("utf-8", "replace")) for text in texts)
    return Estimate(-(-size // BYTES_PER_TOKEN), names.SOURCE_ESTIMATE)


@guarded
def _tokenized(texts: Iterable[str], provider: str, model: str) -> int | None:
    """What the model's own tokenizer counts; `None` where there is none, or it fails."""
    tokenizer = next((found for find in finders if (found := find(provider, model))), None)
    return None if tokenizer is None else sum(map(tokenizer, texts))


CL100K: Final = ("gpt-4-", "gpt-4", "gpt-3.5", "text-embedding-3", "text-embedding-ada-002")
"""Starts of the models before o200k; `gpt-4o` and `gpt-4.1` are not among them. Source:
openai/tiktoken, model.py."""


def openai_tokenizer(provider: str, model: str) -> Tokenizer | None:
    """OpenAI's encodings: cl100k for the models up to GPT-4, o200k for all since."""
    if provider not in {"openai", "azure.ai.openai"}:
        return None
    older = model.startswith(CL100K) and not model.startswith(("gpt-4o", "gpt-4.1", "gpt-4.5"))
    return encoding("cl100k_base" if older else "o200k_base")


register_tokenizer(openai_tokenizer)


@functools.cache
def encoding(name: str) -> Tokenizer | None:
    """One of OpenAI's encodings, by its name in tiktoken; `None` where the extra is not installed."""
    with warnings.catch_warnings():
        # It reads its data, when imported or first used, by a function that Python 3.11 calls
        # deprecated.
        warnings.simplefilter("ignore", DeprecationWarning)
        try:
            from bpe_openai import (  # type: ignore[import-untyped]  # pyright: ignore[reportMissingTypeStubs]
                get_encoding,
            )
        except ImportError:
            return None
        encode = get_encoding(name).encode_ordinary
        encode("")
    return lambda text: len(encode(text))
