"""Putting what another library's span says into our words, and its counts into our meaning."""

import re
from functools import lru_cache
from typing import Final, NamedTuple

from spanmeter.metering import attributes as names
from spanmeter.metering.dialects.cases import fits
from spanmeter.metering.dialects.dialect import WHOLE, Dialect
from spanmeter.metering.dialects.emitter import TOTAL, Emitter
from spanmeter.metering.dialects.wholes import Words, add_beside, make_whole
from spanmeter.metering.places import Said
from spanmeter.metering.providers import UNKNOWN, canonical_provider, maker_of
from spanmeter.metering.reading import text
from spanmeter.metering.span import Attributes

NO_PROVIDERS: Final = frozenset({"", "strands-agents", "langchain", "llamaindex", "litellm"})
"""What frameworks put for a provider where they do not know it."""


class Translation(NamedTuple):
    """A span in our words. `by_model` says that its provider was told by its model's name."""

    attributes: Attributes
    by_model: bool


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


@lru_cache(maxsize=1024)
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
    total = words.pop(TOTAL, None)
    how = next((how for case, how in by.counting if fits(case, said, provider, model)), WHOLE)
    make_whole(words, how, total)
    for name, places in by.beside:
        add_beside(words, name, said, places)
