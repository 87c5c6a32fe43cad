"""What charges and grants count: tokens of a kind, requests, or any other unit of usage."""

from collections.abc import Collection, Iterator, Mapping
from typing import Final

COST: Final = "cost"
"""What a markup counts: money that the provider charges."""

ACTIONS: Final = "actions"
"""What the price of an action counts: actions that succeeded."""

TOKENS: Final = "tokens"
"""Input and output together."""

PARTS: Final[Mapping[str, tuple[str, ...]]] = {
    TOKENS: ("input_tokens", "output_tokens"),
    "input_tokens": (
        "cache_read_input_tokens",
        "cache_write_input_tokens",
        "audio_input_tokens",
        "image_input_tokens",
    ),
    "output_tokens": (
        "reasoning_output_tokens",
        "audio_output_tokens",
        "image_output_tokens",
    ),
}
"""Units that include others."""

COLUMNS: Final = frozenset(
    {"requests", *(part for parts in PARTS.values() for part in parts)} - {TOKENS}
)
"""Units that are columns of the ledger; every other one is among its quantities."""

_CACHE: Final = frozenset({"cache_read_input_tokens", "cache_write_input_tokens"})
_MEDIA: Final = frozenset({"audio_input_tokens", "image_input_tokens"})


def within(unit: str) -> Iterator[str]:
    """The units that are part of this one, however deep."""
    for part in PARTS.get(unit, ()):
        yield part
        yield from within(part)


def columns_of(unit: str) -> tuple[str, ...]:
    """What is added up for it: itself, or what it is the sum of."""
    return PARTS[TOKENS] if unit == TOKENS else (unit,)


def taken_off(unit: str, claimed: Collection[str]) -> Iterator[str]:
    """The parts of a unit that are charged on their own, and so not with it; parts of such parts go with them."""
    for part in PARTS.get(unit, ()):
        if part in claimed:
            yield part
        else:
            yield from taken_off(part, claimed)


def covers(granted: str, charged: str) -> bool:
    """Whether a grant in one unit is for a charge in another: tokens are for input tokens, too."""
    return granted == charged or charged in within(granted)


def overlapping(units: Collection[str]) -> bool:
    """Whether some of these share usage that nobody tells: cached audio is both audio and cached."""
    return bool(_CACHE & {*units}) and bool(_MEDIA & {*units})
