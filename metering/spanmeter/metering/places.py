"""Where a span says something: in an attribute, or in a member of the JSON that an attribute holds."""

import ast
import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Final, NamedTuple, cast

from spanmeter.metering.span import Attributes, AttributeValue

MAX_LENGTH: Final = 16_384
"""Characters of JSON in one attribute; usage blocks and metadata have a tenth of it at most."""


class Place(NamedTuple):
    """An attribute's name, and the way from member to member inside its JSON.

    Written `gen_ai.usage.raw/prompt_tokens_details/cached_tokens`. A name that ends in `/` is a value
    that may itself be written as JSON: `"acme"` with its quotation marks.
    """

    attribute: str
    members: tuple[str, ...] = ()

    @staticmethod
    @lru_cache(maxsize=1024)
    def named(written: str) -> "Place":
        """The place that is written so."""
        attribute, *members = written.split("/")
        return Place(attribute, tuple(members))


class Said:
    """What one span says: its attributes, and the members of those that hold JSON, parsed once each."""

    __slots__ = ("_parsed", "attributes")

    def __init__(self, attributes: Attributes) -> None:
        self.attributes = attributes
        self._parsed: dict[str, AttributeValue] = {}

    def at(self, place: Place) -> AttributeValue:
        """The value at a place; `None` where there is none, or no JSON around it. Empty text is none."""
        value = self.attributes.get(place.attribute)
        if not place.members or value is None:
            return None if value == "" else value
        value = self._object(place.attribute, value)
        for member in place.members:
            value = _member(value, member)
        return None if value == "" else value

    def first(self, places: tuple[Place, ...]) -> AttributeValue:
        """The value at the first of the places that has one."""
        for place in places:
            value = self.at(place)
            if value is not None:
                return value
        return None

    def _object(self, name: str, value: AttributeValue) -> AttributeValue:
        if not isinstance(value, str):
            return value
        if name not in self._parsed:
            self._parsed[name] = _parse(value)
        return self._parsed[name]


def _member(value: AttributeValue, name: str) -> AttributeValue:
    if not name:
        return value
    if not isinstance(value, Mapping):
        return None
    members: Attributes = value
    return members.get(name)


def _parse(value: str) -> AttributeValue:
    """The JSON in a text, or the dictionary that was printed into it; the text itself if it is neither."""
    if len(value) > MAX_LENGTH:
        return value
    for parse in (json.loads, ast.literal_eval):
        try:
            return cast("AttributeValue", parse(value))
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
    return value
