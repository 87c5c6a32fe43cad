"""The attributes of a span, at a quarter of a microsecond each.

What stands before a value on the wire depends on the attribute's name and on how long the value is.
It is made once for each; then only the value's own bytes are left to make.
"""

import struct
from collections.abc import Mapping
from typing import Final

from spanmeter.instrumentation.pipeline.protobuf import field, varint
from spanmeter.instrumentation.pipeline.values import key_value, text

_SPAN_ATTRIBUTES: Final = b"\x4a"
"""The tag of `Span.attributes`, field 9."""

_MAX_NAMES: Final = 1024
_MAX_LENGTH: Final = 512
"""What is kept for names and lengths that an application makes up without end is bounded by these."""

_known: dict[str, "_Name"] = {}
_double: Final = struct.Struct("<d").pack


class _Name:
    """What stands before the values of one attribute."""

    __slots__ = ("_key", "before_double", "before_integer", "before_text", "false", "true")

    def __init__(self, name: str) -> None:
        self._key = field(1, text(name))
        # From the length of a text, and of a number's varint, to what stands before them.
        self.before_text: dict[int, bytes] = {}
        self.before_integer = (b"", *(self._before(b"\x18", length) for length in range(1, 11)))
        self.before_double = self._before(b"\x21", 8)
        self.false, self.true = (self._before(b"\x10", 1) + value for value in (b"\0", b"\1"))

    def text(self, length: int) -> bytes:
        before = self._before(b"\x0a" + varint(length), length)
        if length <= _MAX_LENGTH:
            self.before_text[length] = before
        return before

    def _before(self, tag: bytes, length: int) -> bytes:
        """All of a field `KeyValue` up to a value of so many bytes after its tag."""
        any_value = len(tag) + length
        opening = self._key + b"\x12" + varint(any_value)
        return _SPAN_ATTRIBUTES + varint(len(opening) + any_value) + opening + tag


def put_attributes(parts: list[bytes], attributes: Mapping[str, object]) -> None:
    """Appends the attributes as fields of a `Span` message."""
    append, known = parts.append, _known
    for name, value in attributes.items():
        of_name = known.get(name) or _learn(name)
        kind = type(value)
        if kind is str:
            written: str = value  # type: ignore[assignment]
            try:
                encoded = written.encode()
            except UnicodeEncodeError:
                encoded = text(written)
            length = len(encoded)
            append(of_name.before_text.get(length) or of_name.text(length))
            append(encoded)
        elif kind is int and 0 <= value < 1 << 63:  # type: ignore[operator]
            encoded = varint(value)  # type: ignore[arg-type]
            append(of_name.before_integer[len(encoded)])
            append(encoded)
        elif kind is float:
            append(of_name.before_double)
            append(_double(value))
        elif kind is bool:
            append(of_name.true if value else of_name.false)
        else:
            append(field(9, key_value(name, value)))


def encoded_integer(name: str, value: int) -> bytes:
    """One attribute, a number from 0 to 2**63 - 1, as a field of a `Span` message."""
    encoded = varint(value)
    return (_known.get(name) or _learn(name)).before_integer[len(encoded)] + encoded


def encoded_attributes(attributes: Mapping[str, object]) -> bytes:
    """The attributes as fields of a `Span` message: within one, they belong to it."""
    parts: list[bytes] = []
    put_attributes(parts, attributes)
    return b"".join(parts)


def _learn(name: str) -> _Name:
    if len(_known) >= _MAX_NAMES:
        _known.clear()
    learnt = _known[name] = _Name(name)
    return learnt
