"""The names on the wire."""

from collections import Counter

import pytest

from spanmeter.metering import attributes as names
from spanmeter.metering.meter import PREFIXES

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
