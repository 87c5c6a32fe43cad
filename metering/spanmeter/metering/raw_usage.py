"""The provider's own usage block: evidence beside the counts, kept only where it is no more."""

import json
from typing import Final, Never

from spanmeter.metering import attributes as names
from spanmeter.metering.span import Attributes

MAX_LENGTH: Final = 16_384
"""Characters of JSON. The largest blocks known, with a line per modality and tool, have about 2,000."""

MAX_BLOCKS: Final = 256
"""Objects and lists in the block; it bounds their nesting as well."""

MAX_WORD: Final = 64
"""Characters of any text in the block: service tiers and regions have fewer, sentences more."""


def raw_usage(attributes: Attributes) -> str | None:
    """The block as it was sent, if it is a JSON object of numbers and short words.

    Nothing is refused for it, and no prompt or completion comes into the ledger by it.
    """
    raw = attributes.get(names.USAGE_RAW)
    if type(raw) is not str or len(raw) > MAX_LENGTH or not raw.startswith("{"):
        return None
    # Without escapes every second piece between quotation marks is a text of the block, as it stands.
    if (
        not raw.isascii()
        or "\\" in raw
        or max(map(len, raw.split('"')[1::2]), default=0) > MAX_WORD
    ):
        return None
    if raw.count("{") + raw.count("[") > MAX_BLOCKS:
        return None
    try:
        _, end = _decode(raw)
    except ValueError:
        return None
    return raw if end == len(raw) else None


def _number(literal: str) -> float:
    """Numbers that no double holds are more than PostgreSQL's `jsonb` takes, or nearly."""
    number = float(literal)
    if number - number != 0:
        raise ValueError(f"{literal[:20]} is beyond all counts")
    return number


def _no_constant(name: str) -> Never:
    raise ValueError(f"{name} is no JSON")


_decode = json.JSONDecoder(parse_float=_number, parse_constant=_no_constant).raw_decode
