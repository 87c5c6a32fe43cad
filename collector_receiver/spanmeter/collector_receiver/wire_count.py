"""Counts what an export request holds, on the wire, before protobuf parses it.

A parsed message takes some hundred bytes of memory where it had two on the wire, so 16 MiB of empty ones would become
1.4 GiB. Only the way to what is repeated is followed; every other field is stepped over.
"""

from collections.abc import Iterator
from typing import Final

from spanmeter.collector_receiver.received import Malformed, TooLarge

VARINT: Final = 0
FIXED64: Final = 1
LENGTH_DELIMITED: Final = 2
START_GROUP: Final = 3
END_GROUP: Final = 4
FIXED32: Final = 5

MAX_DEPTH: Final = 100
"""What the parser bounds the nesting of messages and groups to."""

SPAN: Final = "span"
TEXT: Final = "text"

MEMBERS: Final[dict[str, dict[int, tuple[str, bool]]]] = {
    "request": {1: ("resource_spans", True)},
    "resource_spans": {1: ("resource", False), 2: ("scope_spans", True)},
    "resource": {1: ("attribute", True), 3: ("entity", True)},
    "entity": {3: (TEXT, True), 4: (TEXT, True)},
    "scope_spans": {1: ("scope", False), 2: (SPAN, True)},
    "scope": {3: ("attribute", True)},
    SPAN: {9: ("attribute", True), 11: ("event", True), 13: ("link", True)},
    "event": {3: ("attribute", True)},
    "link": {4: ("attribute", True)},
    "attribute": {2: ("value", False)},
    "value": {5: ("list", False), 6: ("map", False)},
    "list": {1: ("value", True)},
    "map": {1: ("attribute", True)},
}
"""Message → field number → what it holds, and whether there can be many. Source: opentelemetry-proto."""

TO_SPANS: Final = ("request", "resource_spans", "scope_spans")

Piece = tuple[str, int, int, int]
"""What it is, where it starts and ends in the body, and how many messages may be nested in it."""


def check_counts(body: bytes, max_spans: int, max_attributes: int) -> None:
    """Raises `TooLarge` for more spans, or more of all else that is repeated, and `Malformed`."""
    try:
        spans = sum(1 for _ in _spans(body, 0, 0, len(body)))
        if spans > max_spans:
            raise TooLarge(f"{spans} spans")
        # An element takes two bytes at least, so the long way is seldom gone.
        if len(body) > 2 * max_attributes:
            _check_attributes(body, max_attributes)
    except IndexError:
        raise Malformed("the message ends in the middle of a field") from None


def _spans(body: bytes, level: int, at: int, end: int) -> Iterator[None]:
    within = TO_SPANS[level]
    for number, start, stop in fields(body, at, end, MAX_DEPTH - level):
        kind, _ = MEMBERS[within].get(number, ("", False))
        if kind == SPAN:
            yield None
        elif kind in TO_SPANS:
            yield from _spans(body, level + 1, start, stop)


def _check_attributes(body: bytes, most: int) -> None:
    count = 0
    left: list[Piece] = [("request", 0, len(body), MAX_DEPTH)]
    while left:
        within, at, end, depth = left.pop()
        members = MEMBERS[within]
        for number, start, stop in fields(body, at, end, depth):
            kind, repeated = members.get(number, ("", False))
            count += repeated and kind != SPAN
            if count > most:
                raise TooLarge(f"more than {most} attributes")
            if kind in MEMBERS:
                if depth == 0:
                    raise Malformed("messages are nested too deeply")
                left.append((kind, start, stop, depth - 1))


def fields(body: bytes, at: int, end: int, depth: int) -> Iterator[tuple[int, int, int]]:
    """Number, start and end of every length-delimited field of the message that lies in `body[at:end]`."""
    while at < end:
        key, at = _varint(body, at, 5)
        number, wire = key >> 3, key & 7
        if wire == LENGTH_DELIMITED:
            length, at = _varint(body, at, 5)
            if at + length > end:
                raise Malformed("a field is longer than the message that holds it")
            yield number, at, at + length
            at += length
        else:
            at = _after(body, at, end, wire, number, depth)
    if at > end:
        raise Malformed("a field is longer than the message that holds it")


def _after(body: bytes, at: int, end: int, wire: int, number: int, depth: int) -> int:
    """Where the value of another wire type ends."""
    if wire == VARINT:
        return _varint(body, at, 10)[1]
    if wire == FIXED64:
        return at + 8
    if wire == FIXED32:
        return at + 4
    if wire == START_GROUP and depth:
        return _after_group(body, at, end, number, depth - 1)
    raise Malformed(f"no OTLP field has wire type {wire}")


def _after_group(body: bytes, at: int, end: int, group: int, depth: int) -> int:
    """Groups went out of use before OTLP began; an unknown field may be one all the same."""
    while at < end:
        key, at = _varint(body, at, 5)
        number, wire = key >> 3, key & 7
        if wire == END_GROUP and number == group:
            return at
        if wire == LENGTH_DELIMITED:
            length, at = _varint(body, at, 5)
            at += length
        else:
            at = _after(body, at, end, wire, number, depth)
    raise Malformed("a group does not end")


def _varint(body: bytes, at: int, longest: int) -> tuple[int, int]:
    byte = body[at]
    if byte < 0x80:
        return byte, at + 1
    value = byte & 0x7F
    for shift in range(7, 7 * longest, 7):
        at += 1
        byte = body[at]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at + 1
    raise Malformed("a number does not end")
