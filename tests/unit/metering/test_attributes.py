"""The names on the wire."""

from collections import Counter

import pytest

from spanmeter.metering import attributes as names
from spanmeter.metering.attribution import PLACES, RESOURCE
from spanmeter.metering.dialects import DIALECTS
from spanmeter.metering.meter import PREFIXES
from spanmeter.metering.places import Place
from spanmeter.metering.reads import places_of

CONSTANTS = {
    name: value for name, value in vars(names).items() if name.isupper() and isinstance(value, str)
}
VALUES = frozenset(
    name
    for name in CONSTANTS
    if name.startswith("SOURCE_")
    or name in {"CHAT", "GENERATE_CONTENT", "TEXT_COMPLETION", "EMBEDDINGS", "TIMEOUT", "CANCELLED"}
)
NAMES = {name: value for name, value in CONSTANTS.items() if name not in VALUES}


def test_every_wire_name_is_unique() -> None:
    assert len(NAMES) > 40
    assert [value for value, times in Counter(NAMES.values()).items() if times > 1] == []


@pytest.mark.parametrize("value", NAMES.values())
def test_no_name_but_those_of_a_family_begins_like_one(value: str) -> None:
    """Names beginning with a family's prefix are read as its members."""
    assert value in PREFIXES or not value.startswith(PREFIXES)


def test_the_name_of_cache_writes_holds_their_time_to_live() -> None:
    assert names.cache_write("5m") == "usage.cache_write.5m.input_tokens"


def test_what_may_be_passed_on_is_all_that_is_read() -> None:
    """Whoever leaves content out keeps these: a call metered from them is metered as from the whole."""
    read = {Place.named(place).attribute for dialect in DIALECTS for place in places_of(dialect)}
    for listed in PLACES.values():
        read |= {Place.named(place).attribute for place in listed if not place.startswith(RESOURCE)}
    known = names.READ | names.READ_USAGE | names.READ_METADATA
    families = (*names.READ_PREFIXES, *names.READ_METADATA_PREFIXES)
    assert {name for name in read - known if not name.startswith(families)} == set()


@pytest.mark.parametrize(
    "content",
    [
        *("gen_ai.input.messages", "gen_ai.output.messages", "gen_ai.prompt.0.content"),
        *("input.value", "llm.input_messages.0.message.content", "ai.prompt", "ai.response.text"),
        *("langfuse.observation.input", "traceloop.entity.input", "all_messages", "request_data"),
        *("gen_ai.system_instructions", "gen_ai.tool.definitions", "tool_response"),
    ],
)
def test_content_is_not_among_it(content: str) -> None:
    exact = names.READ | names.READ_USAGE | names.READ_METADATA
    assert content not in exact
    assert not content.startswith((*names.READ_PREFIXES, *names.READ_METADATA_PREFIXES))
