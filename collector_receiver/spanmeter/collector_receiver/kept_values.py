"""How much of an attribute is kept, such that metering reads of it what it would read of the whole."""

import json
from collections.abc import Mapping
from typing import Any, Final

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from spanmeter.collector_receiver.parsed_values import value_of
from spanmeter.metering import attributes as names
from spanmeter.metering.places import Place, Said
from spanmeter.metering.raw_usage import raw_usage
from spanmeter.metering.reads import WHOLE, Members

MAX_VALUE_BYTES: Final = 2048
"""Text beyond this is cut: metering refuses what is longer than 1,024 bytes, and refuses it again."""

QUOTED: Final = ("",)
"""The way to a value that may be written as JSON itself."""


def kept(attribute: KeyValue, members: Members) -> KeyValue | None:
    """The attribute, or as much of it as has these members; None if nothing of it is read."""
    if WHOLE in members and (whole := _whole(attribute)) is not None:
        return whole
    said = Said({attribute.key: value_of(attribute.value)})
    if QUOTED in members:
        value = said.at(Place(attribute.key, QUOTED))
        return cut(attribute, MAX_VALUE_BYTES) if isinstance(value, str | int | float) else None
    tree = _members(said, attribute.key, members)
    if not tree:
        return None
    return KeyValue(key=attribute.key, value=AnyValue(string_value=json.dumps(tree)))


def cut(attribute: KeyValue, size: int) -> KeyValue:
    """An attribute that is too large for any row, cut so that it is still too large and refused again; one of at most
    `size` bytes as it is."""
    if attribute.ByteSize() <= size and attribute.value.WhichOneof("value") not in _NO_TEXT:
        return attribute
    key = attribute.key.encode()[:size].decode(errors="ignore")
    if attribute.value.WhichOneof("value") == "string_value":
        text = attribute.value.string_value.encode()[:size].decode(errors="ignore")
        return KeyValue(key=key, value=AnyValue(string_value=text))
    # No row takes bytes, lists or maps for text, however short they are.
    return KeyValue(key=key, value=AnyValue(bytes_value=b""))


_NO_TEXT: Final = frozenset({"bytes_value", "array_value", "kvlist_value"})


def _whole(attribute: KeyValue) -> KeyValue | None:
    if attribute.key not in names.READ_USAGE:
        return cut(attribute, MAX_VALUE_BYTES)
    block = {names.USAGE_RAW: attribute.value.string_value}
    return None if raw_usage(block) is None else attribute


def _members(said: Said, name: str, ways: Members) -> dict[str, Any]:
    """The values at the ends of these ways, nested as they were; shorter ways first."""
    tree: dict[str, Any] = {}
    for way in sorted(ways - {WHOLE}, key=lambda way: (len(way), way)):
        value = said.at(Place(name, way))
        if value is None:
            continue
        *around, last = [member for member in way if member]
        node = tree
        for member in around:
            node = node.setdefault(member, {})
        node[last] = _end(value)
    return tree


def _end(value: object) -> object:
    """The value itself; of what is none, that it is there."""
    if isinstance(value, str):
        return value[:MAX_VALUE_BYTES]
    if isinstance(value, bool | int | float):
        return value
    return {} if isinstance(value, Mapping) else []
