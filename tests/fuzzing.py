"""Export requests as nobody would send them: fields repeated, split, of wrong types, with bytes changed."""

from __future__ import annotations

import os
import random
import struct
import time
from collections.abc import Iterator
from typing import Final

Kind = str

# Field number → what it holds. Source: opentelemetry-proto, trace/v1/trace.proto and common/v1/common.proto.
SCHEMA: Final[dict[Kind, dict[int, Kind]]] = {
    "request": {1: "resource_spans"},
    "resource_spans": {1: "resource", 2: "scope_spans", 3: "text"},
    "resource": {1: "attribute", 2: "varint", 3: "entity"},
    "entity": {1: "text", 2: "text", 3: "text", 4: "text"},
    "scope_spans": {1: "scope", 2: "span", 3: "text"},
    "scope": {1: "text", 2: "text", 3: "attribute", 4: "varint"},
    "span": {
        1: "bytes",
        2: "bytes",
        3: "text",
        4: "bytes",
        5: "text",
        6: "varint",
        7: "fixed64",
        8: "fixed64",
        9: "attribute",
        10: "varint",
        11: "event",
        12: "varint",
        13: "link",
        14: "varint",
        15: "status",
        16: "fixed32",
    },
    "event": {1: "fixed64", 2: "text", 3: "attribute", 4: "varint"},
    "link": {1: "bytes", 2: "bytes", 3: "text", 4: "attribute", 5: "varint", 6: "fixed32"},
    "status": {2: "text", 3: "varint"},
    "attribute": {1: "text", 2: "value", 3: "varint"},
    "value": {
        1: "text",
        2: "varint",
        3: "varint",
        4: "fixed64",
        5: "list",
        6: "map",
        7: "bytes",
        8: "varint",
    },
    "list": {1: "value"},
    "map": {1: "attribute"},
}
WIRE: Final = {"varint": 0, "fixed64": 1, "fixed32": 5}
TEXTS: Final = (b"", b"chat", b"tenant.id", "é\U0001f600".encode(), b"x" * 60, b"a\0b")
BAD_TEXTS: Final = (
    b"\xff",
    b"\xed\xa0\x80",
    b"\xc0\x80",
    b"\xf4\x90\x80\x80",
    b"good, then \xe2\x82",
)
NUMBERS: Final = (0, 1, 2, 3, 127, 128, 2**31, 2**32 + 2, 2**63, 2**64 - 1)


def seconds() -> float:
    """How long a fuzz test runs: moments in `make test`, `SPANMETER_FUZZ_SECONDS` in `make fuzz`."""
    return float(os.environ.get("SPANMETER_FUZZ_SECONDS", "1"))


def requests(seed: int) -> Iterator[bytes]:
    """Requests for as long as the test may take; the same seed gives the same ones."""
    rng = random.Random(seed)
    end = time.monotonic() + seconds()
    while time.monotonic() < end:
        body = message(rng, "request")
        yield mutated(rng, body) if rng.random() < 0.3 else body


def message(rng: random.Random, kind: Kind, depth: int = 0) -> bytes:
    """A message of some fields: mostly such as it has, in any order and number."""
    # Requests hold spans, and what is nested ends some time.
    fields = rng.randint(1, 3) if depth < 4 else rng.randint(0, max(0, 12 - depth))
    return b"".join(_field(rng, kind, depth) for _ in range(fields))


def mutated(rng: random.Random, body: bytes) -> bytes:
    """The bytes with one thing changed."""
    at = rng.randrange(len(body) + 1)
    end = min(len(body), at + rng.randint(0, 20))
    return rng.choice(
        (
            body[:at],
            body[:at] + rng.randbytes(1) + body[at + 1 :],
            body[:at] + rng.randbytes(rng.randint(1, 4)) + body[at:],
            body[:at] + body[end:],
            body[:at] + body[at:end] * 2 + body[end:],
        )
    )


def _field(rng: random.Random, kind: Kind, depth: int) -> bytes:
    if rng.random() < 0.03:
        return _stray(rng)
    number = rng.choice(list(SCHEMA[kind]))
    inside = SCHEMA[kind][number]
    if inside in SCHEMA:
        content = message(rng, inside, depth + 1)
        return _tag(rng, number, 2) + _varint(rng, len(content)) + content
    return _scalar(rng, number, inside)


def _scalar(rng: random.Random, number: int, kind: Kind) -> bytes:
    if kind in {"text", "bytes"}:
        content = _content(rng, kind)
        return _tag(rng, number, 2) + _varint(rng, len(content)) + content
    tag = _tag(rng, number, WIRE[kind])
    if kind == "varint":
        return tag + _varint(rng, rng.choice(NUMBERS))
    return tag + (_double(rng) if kind == "fixed64" else rng.randbytes(4))


def _content(rng: random.Random, kind: Kind) -> bytes:
    if kind == "bytes":
        return rng.randbytes(rng.choice((0, 8, 16, 16, 17)))
    return rng.choice(BAD_TEXTS) if rng.random() < 0.005 else rng.choice(TEXTS)


def _double(rng: random.Random) -> bytes:
    special = struct.pack("<d", rng.choice((0.0, -0.0, 1.5, float("inf"), float("nan"))))
    return rng.choice((special, rng.randbytes(8)))


def _stray(rng: random.Random) -> bytes:
    """A field that the message does not have, or has in another type; groups among them."""
    number = rng.choice((1, 2, 3, 5, 9, 17, 1000, 2**29 - 1))
    kind = rng.choice(("varint", "fixed64", "fixed32", "text", "group"))
    if kind != "group":
        return _scalar(rng, number, kind)
    inside = b"".join(_stray(rng) for _ in range(rng.randint(0, 2)))
    end = number if rng.random() < 0.95 else number + 1
    return _tag(rng, number, 3) + inside + _tag(rng, end, 4)


def _tag(rng: random.Random, number: int, wire: int) -> bytes:
    return _varint(rng, number << 3 | wire)


def _varint(rng: random.Random, value: int) -> bytes:
    """The number, now and then with more bytes than it needs."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    if rng.random() < 0.01:
        out[-1] |= 0x80
        out += b"\x80" * rng.randint(0, 3) + b"\x00"
    return bytes(out)
