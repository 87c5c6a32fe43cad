"""Making wholes of counts: input with the cache, output with reasoning, however an emitter counts."""

from typing import Final

from spanmeter.metering import attributes as names
from spanmeter.metering.dialects.dialect import Counting
from spanmeter.metering.places import Place, Said
from spanmeter.metering.reading import count
from spanmeter.metering.span import AttributeValue

COUNTS: Final = (
    names.INPUT_TOKENS,
    names.OUTPUT_TOKENS,
    names.CACHE_READ_INPUT_TOKENS,
    names.CACHE_WRITE_INPUT_TOKENS,
    names.cache_write("5m"),
    names.cache_write("1h"),
    names.REASONING_OUTPUT_TOKENS,
    names.AUDIO_INPUT_TOKENS,
    names.AUDIO_OUTPUT_TOKENS,
)

Words = dict[str, AttributeValue]
"""The attributes of a span, in our words, while they are being put into them."""


def make_whole(words: Words, how: Counting, total: AttributeValue) -> None:
    """Make input and output wholes of what the emitter gave for them, and for their `total`.

    Raises `Unmeterable` for counts that are none.
    """
    _drop_nothing(words)
    whole, output = count(words, names.INPUT_TOKENS), count(words, names.OUTPUT_TOKENS)
    if how.input == "beside_cache" and whole is not None:
        words[names.INPUT_TOKENS] = whole + _cached(words)
    elif how.input == "of_total" and whole is not None:
        words[names.INPUT_TOKENS] = max(whole, _counted(total) - (output or 0))
    if how.output == "beside_reasoning" and output is not None:
        missing = _counted(total) - (whole or 0) - output
        words[names.OUTPUT_TOKENS] = output + _reasoning(words, missing)


def add_beside(words: Words, name: str, said: Said, places: tuple[Place, ...]) -> None:
    """Add to a whole the counts that its emitter leaves out of it."""
    for place in places:
        added = _counted(said.at(place))
        if added:
            words[name] = (count(words, name) or 0) + added


def _cached(words: Words) -> int:
    read = count(words, names.CACHE_READ_INPUT_TOKENS) or 0
    written = count(words, names.CACHE_WRITE_INPUT_TOKENS)
    if written is None:
        written = sum(count(words, names.cache_write(ttl)) or 0 for ttl in ("5m", "1h"))
    return read + written


def _reasoning(words: Words, missing: int) -> int:
    """The reasoning that an output leaves out: as it was told, or what is missing in the total."""
    told = count(words, names.REASONING_OUTPUT_TOKENS)
    if told is None and missing > 0:
        told = words[names.REASONING_OUTPUT_TOKENS] = missing
    return told or 0


def _counted(value: AttributeValue) -> int:
    return count({"a count": value}, "a count") or 0


def _drop_nothing(words: Words) -> None:
    """No call takes nothing in: a library that says so does not know. Its cost is unknown, and not 0."""
    if count(words, names.INPUT_TOKENS) == 0 and not count(words, names.OUTPUT_TOKENS):
        for name in COUNTS:
            words.pop(name, None)
