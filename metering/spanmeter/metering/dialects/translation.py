"""Putting what another library's span says into our words, and its counts into our meaning."""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Final, NamedTuple

from spanmeter.metering import attributes as names
from spanmeter.metering.dialects.cases import can_be, cases_of, fits
from spanmeter.metering.dialects.dialect import WHOLE, Case, Counting, Dialect
from spanmeter.metering.places import Place, Said
from spanmeter.metering.providers import UNKNOWN, canonical_provider, maker_of
from spanmeter.metering.reading import count, text
from spanmeter.metering.span import Attributes, AttributeValue

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

_TOTAL: Final = "total"
"""Where a translation holds the emitter's total meanwhile."""

NO_PROVIDERS: Final = frozenset({"", "strands-agents", "langchain", "llamaindex", "litellm"})
"""What frameworks put for a provider where they do not know it."""

Words = dict[str, AttributeValue]


class Emitter(NamedTuple):
    """One version of one emitting library: its dialect, and what of it applies to its spans."""

    dialect: Dialect
    places: Mapping[str, tuple[Place, ...]]
    told_by: Mapping[str, tuple[str, ...]]
    """Attribute → those of ours that it may stand for."""
    beside: tuple[tuple[str, tuple[Place, ...]], ...]
    first_token_milliseconds: tuple[Place, ...]
    counting: tuple[tuple[Case, Counting], ...]
    estimates: tuple[Case, ...]
    outside: tuple[Case, ...]
    routes: tuple[Place, ...]


class Translation(NamedTuple):
    """A span in our words. `by_model` says that its provider was told by its model's name."""

    attributes: Attributes
    by_model: bool


@lru_cache(maxsize=1024)
def emitter(dialect: Dialect, scope: str, version: str) -> Emitter:
    """What of a dialect applies to the spans of a scope."""
    places = {
        name: _places(written)
        for name, written in {**dialect.places, _TOTAL: dialect.total}.items()
    }
    return Emitter(
        dialect,
        places,
        _told_by(places),
        tuple((name, _places(places)) for name, places in dialect.beside.items()),
        _places(dialect.first_token_milliseconds),
        tuple(
            (case, counting) for case, counting in dialect.counting if can_be(case, scope, version)
        ),
        cases_of(dialect.estimates, scope, version),
        cases_of(dialect.outside, scope, version),
        _places(dialect.routes),
    )


def translate(attributes: Attributes, by: Emitter, *, failed: bool) -> Translation | None:
    """What a call's span says, in our words; `None` for one that turns out to be none.

    Raises `Unmeterable` for counts that are none.
    """
    said = Said(attributes)
    words = _words(said, by)
    provider, by_model = _provider(words, said, by)
    model = text(words, names.REQUEST_MODEL) or text(words, names.RESPONSE_MODEL) or ""
    _count(words, said, by, provider, model)
    counted = names.INPUT_TOKENS in words or names.OUTPUT_TOKENS in words
    if not counted and by.dialect.vague and not model:
        return None
    nothing = not counted and not failed and names.RESPONSE_ID not in words
    if nothing and any(fits(case, said, provider, model) for case in by.outside):
        return None
    if counted and any(fits(case, said, provider, model) for case in by.estimates):
        words.setdefault(names.USAGE_SOURCE, names.SOURCE_ESTIMATE)
    return Translation(words, by_model)


def _places(written: tuple[str, ...]) -> tuple[Place, ...]:
    return tuple(Place.named(place) for place in written)


def _told_by(places: Mapping[str, tuple[Place, ...]]) -> dict[str, tuple[str, ...]]:
    """The places by their attributes. An attribute of ours that has other places is none of its own."""
    heard: dict[str, list[str]] = {name: [name] for name in places}
    for name, of_name in places.items():
        for place in of_name:
            heard.setdefault(place.attribute, []).append(name)
    return {attribute: tuple(dict.fromkeys(told)) for attribute, told in heard.items()}


def _words(said: Said, by: Emitter) -> Words:
    words = dict(said.attributes)
    for name in {name for heard in by.told_by.keys() & words.keys() for name in by.told_by[heard]}:
        value = said.first(by.places[name])
        if value is None:
            words.pop(name, None)
        else:
            words[name] = value
    milliseconds = said.first(by.first_token_milliseconds)
    if isinstance(milliseconds, int | float):
        words[names.TIME_TO_FIRST_CHUNK] = milliseconds / 1000
    own_id, response_id = by.dialect.own_id, words.get(names.RESPONSE_ID)
    if own_id and isinstance(response_id, str) and re.fullmatch(own_id, response_id):
        del words[names.RESPONSE_ID]
    return words


def _provider(words: Words, said: Said, by: Emitter) -> tuple[str, bool]:
    """The canonical provider, and whether the model told it. Puts both in order in `words`."""
    dialect = by.dialect
    named = text(words, names.PROVIDER_NAME)
    provider = canonical_provider(_shortest(named, dialect) if named else _routed(said, by))
    model = text(words, names.RESPONSE_MODEL) or text(words, names.REQUEST_MODEL) or ""
    by_model = False
    if not dialect.names_providers and provider in NO_PROVIDERS:
        made = maker_of(model)
        provider, by_model = made or UNKNOWN, made is not None
    if provider:
        words[names.PROVIDER_NAME] = provider
    for name in (names.REQUEST_MODEL, names.RESPONSE_MODEL):
        _drop_prefix(words, name, provider)
    return provider, by_model


def _routed(said: Said, by: Emitter) -> str:
    """The provider before a model's name; empty where there is none."""
    routed = said.first(by.routes)
    return routed.partition("/")[0] if isinstance(routed, str) and "/" in routed else ""


def _shortest(named: str, dialect: Dialect) -> str:
    """A provider's name in the dialect's own words: `openai.responses` → `openai`."""
    lowered = named.lower()
    known = [
        own
        for own in dialect.providers
        if lowered.startswith((f"{own}.", f"{own}-")) or lowered == own
    ]
    return dialect.providers[max(known, key=len)] if known else named


def _drop_prefix(words: Words, name: str, provider: str) -> None:
    """`anthropic/claude-opus-4-6`, as gateways name models, where the provider is Anthropic."""
    model = words.get(name)
    if isinstance(model, str) and "/" in model:
        prefix, _, rest = model.partition("/")
        if rest and canonical_provider(prefix) == provider:
            words[name] = rest


def _count(words: Words, said: Said, by: Emitter, provider: str, model: str) -> None:
    """Makes wholes of the counts, as `Counting` tells."""
    total = count(words, _TOTAL)
    words.pop(_TOTAL, None)
    _drop_nothing(words)
    whole, output = count(words, names.INPUT_TOKENS), count(words, names.OUTPUT_TOKENS)
    how = next((how for case, how in by.counting if fits(case, said, provider, model)), WHOLE)
    if whole is not None:
        if how.input == "beside_cache":
            whole += _cached(words)
        elif how.input == "of_total" and total is not None:
            whole = max(whole, total - (output or 0))
        words[names.INPUT_TOKENS] = whole
    if how.output == "beside_reasoning" and output is not None:
        words[names.OUTPUT_TOKENS] = output + _reasoning(words, total, whole, output)
    for name, places in by.beside:
        _add(words, name, said, places)


def _cached(words: Words) -> int:
    read = count(words, names.CACHE_READ_INPUT_TOKENS) or 0
    written = count(words, names.CACHE_WRITE_INPUT_TOKENS)
    if written is None:
        written = sum(count(words, names.cache_write(ttl)) or 0 for ttl in ("5m", "1h"))
    return read + written


def _reasoning(words: Words, total: int | None, whole: int | None, output: int) -> int:
    """The reasoning that an output leaves out: as it was told, or what is missing in the total."""
    told = count(words, names.REASONING_OUTPUT_TOKENS)
    if told is None and total is not None:
        told = max(0, total - (whole or 0) - output)
        words[names.REASONING_OUTPUT_TOKENS] = told
    return told or 0


def _add(words: Words, name: str, said: Said, places: tuple[Place, ...]) -> None:
    for place in places:
        found: Words = {name: said.at(place)}
        added = count(found, name)
        if added:
            words[name] = (count(words, name) or 0) + added


def _drop_nothing(words: Words) -> None:
    """No call takes nothing in: a library that says so does not know. Its cost is unknown, and not 0."""
    if count(words, names.INPUT_TOKENS) == 0 and not count(words, names.OUTPUT_TOKENS):
        for name in COUNTS:
            words.pop(name, None)
