"""Token counts, in the one meaning that every dialect is translated to.

Input includes cache reads and writes, output includes reasoning.
"""

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final, NamedTuple

from spanmeter.metering import attributes as names
from spanmeter.metering.reading import count, counts, shown
from spanmeter.metering.span import Attributes
from spanmeter.metering.unmeterable import Unmeterable

TIME_TO_LIVE: Final = re.compile(r"[0-9]{1,5}[smhd]")


NAMES: Final = (
    names.INPUT_TOKENS,
    names.CACHE_READ_INPUT_TOKENS,
    names.CACHE_WRITE_INPUT_TOKENS,
    names.OUTPUT_TOKENS,
    names.REASONING_OUTPUT_TOKENS,
    names.AUDIO_INPUT_TOKENS,
    names.AUDIO_OUTPUT_TOKENS,
    names.IMAGE_INPUT_TOKENS,
    names.IMAGE_OUTPUT_TOKENS,
)


class Tokens(NamedTuple):
    """The counts of one call, in the row's order. `None` is *not reported*, which is not 0."""

    input_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_write_input_tokens: int | None = None
    cache_write_by_ttl: Mapping[str, int] = MappingProxyType({})
    output_tokens: int | None = None
    reasoning_output_tokens: int | None = None
    audio_input_tokens: int | None = None
    audio_output_tokens: int | None = None
    image_input_tokens: int | None = None
    image_output_tokens: int | None = None

    @property
    def reported(self) -> bool:
        """Whether the emitter gave any count at all."""
        return self.input_tokens is not None or self.output_tokens is not None


def read_tokens(attributes: Attributes, prefixed: Sequence[str]) -> Tokens:
    """The span's counts, inclusive. `prefixed` are its attribute names that may be cache writes.

    Raises `Unmeterable` where the counts contradict each other.
    """
    by_ttl = _cache_write_by_ttl(attributes, prefixed) if prefixed else {}
    whole, read, written, output, reasoning, *media = counts(attributes, NAMES)
    if written is None and by_ttl:
        written = sum(by_ttl.values())
    tokens = Tokens(whole, read, written, by_ttl, output, reasoning, *media)
    # Nearly all spans: no part that could exceed its whole but these.
    if (
        by_ttl
        or any(media)
        or (read or 0) + (written or 0) > (whole or 0)
        or (reasoning or 0) > (output or 0)
    ):
        _check(tokens)
    return tokens


def _cache_write_by_ttl(attributes: Attributes, prefixed: Sequence[str]) -> dict[str, int]:
    by_ttl: dict[str, int] = {}
    for name in prefixed:
        written_for = _time_to_live(name)
        if written_for is not None and (tokens := count(attributes, name)):
            by_ttl[written_for] = tokens
    return by_ttl


def _time_to_live(name: str) -> str | None:
    """`usage.cache_write.5m.input_tokens` → `5m`; `None` for a name that is no such count."""
    prefix, suffix = names.USAGE_CACHE_WRITE_PREFIX, names.USAGE_CACHE_WRITE_SUFFIX
    if not name.startswith(prefix):
        return None
    rest = name[len(prefix) :]
    if not rest.endswith(suffix):
        return None
    ttl = rest[: -len(suffix)]
    if TIME_TO_LIVE.fullmatch(ttl) is None:
        raise Unmeterable(
            "bad_count", f"{shown(name)} names no time-to-live; a number of s, m, h or d is needed"
        )
    return ttl


def _check(tokens: Tokens) -> None:
    """No part may exceed its whole: such an emitter counts in a way that its dialect does not say."""
    written = tokens.cache_write_input_tokens or 0
    whole = tokens.input_tokens
    _contain(
        "input", whole, "cache reads and writes", (tokens.cache_read_input_tokens or 0) + written
    )
    modal = (tokens.audio_input_tokens or 0) + (tokens.image_input_tokens or 0)
    _contain("input", whole, "audio and image input", modal)
    if tokens.cache_write_by_ttl:
        by_ttl = sum(tokens.cache_write_by_ttl.values())
        _contain("cache write", written, "writes by time-to-live", by_ttl)
    whole = tokens.output_tokens
    _contain("output", whole, "reasoning", tokens.reasoning_output_tokens or 0)
    modal = (tokens.audio_output_tokens or 0) + (tokens.image_output_tokens or 0)
    _contain("output", whole, "audio and image output", modal)


def _contain(whole_name: str, whole: int | None, part_name: str, part: int) -> None:
    if part > (whole or 0):
        raise Unmeterable(
            "inconsistent_tokens",
            f"{part_name} make {part} tokens, but {whole_name} is "
            f"{'not given' if whole is None else whole}; {whole_name} tokens must include them",
        )
