"""The provider's own usage block: evidence beside the counts, kept only where it is no more."""

import json
import re
from functools import lru_cache
from typing import Final, Never

from spanmeter.metering import attributes as names
from spanmeter.metering.span import Attributes

MAX_LENGTH: Final = 16_384
"""Characters of JSON. The largest blocks known, with a line per modality and tool, have about 2,000."""

MAX_BLOCKS: Final = 256
"""Objects and lists in the block; it bounds their nesting as well."""

MAX_WORD: Final = 64
"""Characters of any text in the block: service tiers and regions have fewer, sentences more."""


MAX_KNOWN_LENGTH: Final = 2048
"""Characters of a block whose form is remembered."""

ANY_DIGITS: Final = bytes.maketrans(b"23456789", b"11111111")
"""What is JSON stays JSON, and what is none stays none: only a leading 0 is not like other digits …"""

EXPONENT: Final = re.compile(rb"[0-9.][eE]")
"""… and the digits of an exponent, which decide whether a number is beyond all counts."""


def raw_usage(attributes: Attributes) -> str | None:
    """The block as it was sent, if it is a JSON object of numbers and short words.

    Nothing is refused for it, and no prompt or completion comes into the ledger by it.
    """
    raw = attributes.get(names.USAGE_RAW)
    if type(raw) is not str or len(raw) > MAX_LENGTH or not raw.startswith("{"):
        return None
    # Escapes are not needed for numbers and short words, and without them texts are easy to find.
    if not raw.isascii() or "\\" in raw:
        return None
    form = raw.encode().translate(ANY_DIGITS) if len(raw) <= MAX_KNOWN_LENGTH else None
    told = None if form is None else is_block_of_form(form)
    fine = _is_block(raw) if told is None else told
    return raw if fine else None


@lru_cache(maxsize=1024)
def is_block_of_form(form: bytes) -> bool | None:
    """`_is_block` of all blocks that differ in the digits of their numbers only, as nearly all of one client's do;
    `None` where the digits decide."""
    return None if EXPONENT.search(form) else _is_block(form.decode())


def _is_block(raw: str) -> bool:
    # Without escapes every second piece between quotation marks is a text of the block, as it stands.
    if max(map(len, raw.split('"')[1::2]), default=0) > MAX_WORD:
        return False
    if raw.count("{") + raw.count("[") > MAX_BLOCKS:
        return False
    try:
        _, end = _decode(raw)
    except ValueError:
        return False
    return end == len(raw)


def _number(literal: str) -> float:
    """Numbers that no double holds are more than PostgreSQL's `jsonb` takes, or nearly."""
    number = float(literal)
    if number - number != 0:
        raise ValueError(f"{literal[:20]} is beyond all counts")
    return number


def _no_constant(name: str) -> Never:
    raise ValueError(f"{name} is no JSON")


_decode = json.JSONDecoder(parse_float=_number, parse_constant=_no_constant).raw_decode
