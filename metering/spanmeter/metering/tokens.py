"""Token counts, normalised: whatever the dialect, input includes cache reads and writes, output includes reasoning."""

from collections.abc import Mapping
from typing import NamedTuple

from spanmeter.metering import attributes as names
from spanmeter.metering.dialects import Dialect
from spanmeter.metering.reading import count, first_count
from spanmeter.metering.span import Attributes
from spanmeter.metering.unmeterable import Unmeterable


class Tokens(NamedTuple):
    """The counts of one call. `None` is *not reported*, which is not 0."""

    input: int | None = None
    cache_read: int | None = None
    cache_write: int | None = None
    cache_write_by_ttl: Mapping[str, int] = {}
    output: int | None = None
    reasoning: int | None = None
    audio_input: int | None = None
    audio_output: int | None = None
    image_input: int | None = None
    image_output: int | None = None

    @property
    def reported(self) -> bool:
        """Whether the emitter gave any count at all."""
        return self.input is not None or self.output is not None


def read_tokens(attributes: Attributes, dialect: Dialect) -> Tokens:
    """The span's counts, inclusive. Raises `Unmeterable` where they contradict each other."""
    by_ttl = _cache_write_by_ttl(attributes)
    cache_write = first_count(attributes, dialect.cache_write_input_tokens)
    if cache_write is None and by_ttl:
        cache_write = sum(by_ttl.values())
    tokens = Tokens(
        input=first_count(attributes, dialect.input_tokens),
        cache_read=first_count(attributes, dialect.cache_read_input_tokens),
        cache_write=cache_write,
        cache_write_by_ttl=by_ttl,
        output=first_count(attributes, dialect.output_tokens),
        reasoning=first_count(attributes, dialect.reasoning_output_tokens),
        audio_input=first_count(attributes, dialect.audio_input_tokens),
        audio_output=first_count(attributes, dialect.audio_output_tokens),
        image_input=first_count(attributes, dialect.image_input_tokens),
        image_output=first_count(attributes, dialect.image_output_tokens),
    )
    if not dialect.input_includes_cache and tokens.input is not None:
        tokens = tokens._replace(
            input=tokens.input + (tokens.cache_read or 0) + (tokens.cache_write or 0)
        )
    _check(tokens)
    return tokens


def _cache_write_by_ttl(attributes: Attributes) -> dict[str, int]:
    prefix, suffix = names.USAGE_CACHE_WRITE_PREFIX, names.USAGE_CACHE_WRITE_SUFFIX
    return {
        name[len(prefix) : -len(suffix)]: tokens
        for name in attributes
        if name.startswith(prefix) and name.endswith(suffix) and (tokens := count(attributes, name))
    }


def _check(tokens: Tokens) -> None:
    """The parts of a count cannot exceed it; where they do, the emitter counts in a way its dialect does not say."""
    _contain(
        "input",
        tokens.input,
        "cache reads and writes",
        (tokens.cache_read or 0) + (tokens.cache_write or 0),
    )
    _contain(
        "input",
        tokens.input,
        "audio and image input",
        (tokens.audio_input or 0) + (tokens.image_input or 0),
    )
    _contain(
        "cache write",
        tokens.cache_write,
        "writes by time-to-live",
        sum(tokens.cache_write_by_ttl.values()),
    )
    _contain("output", tokens.output, "reasoning", tokens.reasoning or 0)
    _contain(
        "output",
        tokens.output,
        "audio and image output",
        (tokens.audio_output or 0) + (tokens.image_output or 0),
    )


def _contain(whole_name: str, whole: int | None, part_name: str, part: int) -> None:
    if part > (whole or 0):
        raise Unmeterable(
            "inconsistent_tokens",
            f"{part_name} make {part} tokens, but {whole_name} is {'not given' if whole is None else whole}; "
            f"{whole_name} tokens must include them",
        )
