"""What of a span's attributes is passed on: what metering reads, and never a prompt or a completion.

Others' spans are full of texts, and new ones come with each release. Numbers cannot be one; of texts, those
are passed on that metering is known to read, short ones that only identify, and what the operator names.
"""

import ast
import json
import os
import re
from collections.abc import Mapping, Sequence
from functools import cache, lru_cache
from typing import Final, cast

from spanmeter.metering import attributes as names

ALSO: Final = "SPANMETER_HARVEST_ATTRIBUTES"
"""Names of further attributes that are passed on, comma-separated: where the collector is told to find the
tenant (its setting `attribution`), say."""

MAX_TEXT: Final = 1024
"""Characters of a text that is passed on: metering takes no longer ones."""

MAX_USAGE_TEXT: Final = 16 * 1024
"""Characters of a usage block, or of metadata."""

MAX_COUNT_TEXT: Final = 20
"""Characters of a count that was written as text."""

_OTHERWISE: Final = 0

_IDENTIFIER: Final = re.compile(r"[^\s]{1,128}")
"""A text that is one word names something, and tells nothing."""

_LONG_WORD: Final = re.compile(r"""["'][^"']{65}""")
"""In a usage block nothing is said at such a length."""

_MAX_DEPTH: Final = 4


def metered(attributes: Mapping[str, object]) -> dict[str, object]:
    """Those of the attributes that are passed on."""
    return {
        name: kept
        for name, value in attributes.items()
        if (kept := value if isinstance(value, bool | int | float) else _kept(name, value))
        is not None
    }


def _kept(name: str, value: object) -> object:
    """The text, or what of it is passed on; `None` where nothing is."""
    if isinstance(value, str):
        return _text(name, value)
    return value if name == names.RESPONSE_FINISH_REASONS and _is_short(value) else None


def _text(name: str, value: str) -> str | None:
    room = MAX_TEXT if name in further() else _room(name)
    if room == MAX_USAGE_TEXT and len(value) <= room:
        if name in names.READ_METADATA:
            return _metadata(value)
        return None if _LONG_WORD.search(value) else value
    if room == _OTHERWISE:
        return value if _is_identity(name) and _IDENTIFIER.fullmatch(value) else None
    return value if len(value) <= room else None


def _metadata(value: str) -> str | None:
    """The members that are numbers or words, as JSON."""
    for parse in (json.loads, ast.literal_eval):
        try:
            return json.dumps(_words(parse(value), _MAX_DEPTH))
        except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
            continue
    return None


def _words(value: object, depth: int) -> dict[str, object]:
    """The members of a mapping, and of those in it, that tell nothing in sentences. Raises `TypeError` for
    what is none."""
    if not isinstance(value, Mapping):
        raise TypeError("no mapping")
    words: dict[str, object] = {}
    for name, member in cast("Mapping[object, object]", value).items():
        if isinstance(member, Mapping) and depth > 1:
            words[str(name)] = _words(cast("object", member), depth - 1)
        elif isinstance(member, bool | int | float) or (
            isinstance(member, str) and _IDENTIFIER.fullmatch(member)
        ):
            words[str(name)] = member
    return words


def _is_short(value: object) -> bool:
    if not isinstance(value, Sequence):
        return False
    items = cast("Sequence[object]", value)
    return sum(len(item) if isinstance(item, str) else MAX_TEXT for item in items) <= MAX_TEXT


# The same names come with every span.
@lru_cache(maxsize=4096)
def _room(name: str) -> int:
    """How long a text may be that is passed on under this name as it is."""
    if name in names.READ_USAGE or name in names.READ_METADATA:
        return MAX_USAGE_TEXT
    if name in names.READ or name.startswith("usage."):
        return MAX_TEXT
    return MAX_COUNT_TEXT if name.startswith(names.READ_PREFIXES) else _OTHERWISE


@lru_cache(maxsize=4096)
def _is_identity(name: str) -> bool:
    """Whether an attribute is for telling whose or which something is."""
    if name.startswith(names.READ_METADATA_PREFIXES):
        return True
    return re.search(r"([._-]|^)id$|[a-z]I[dD]$", name) is not None


@cache
def further() -> frozenset[str]:
    """The names that the operator gives, read once."""
    return frozenset(each.strip() for each in os.environ.get(ALSO, "").split(",") if each.strip())
