"""JSON, in and out, as fast as what is installed allows.

What is small and plain, as usage blocks are, is read and written in C (`_json.c`), and no more of an answer than what
is asked for.

The client libraries of today bring pydantic along, whose parser takes half the time of Python's
own. Where it is missing, or refuses what Python takes (lone surrogates, deep nesting), Python's is
used: what is read is the same.
"""

import json
from typing import Any, Final

from spanmeter.instrumentation.compiled import compiled

try:
    from pydantic_core import from_json, to_json
except ImportError:  # no pydantic, or its first major
    from_json = None  # type: ignore[assignment]
    to_json = None  # type: ignore[assignment]

REVISION: Final = 1
"""Of what `_json.c` is called with."""

_json = compiled("spanmeter.instrumentation._json", REVISION)

_decode: Final = json.JSONDecoder().decode
_encode: Final = json.JSONEncoder(separators=(",", ":"), default=str).encode


def decoded(data: bytes) -> Any:
    """The value that a JSON document in UTF-8 holds, integers exactly. Raises `ValueError` for what
    is none."""
    if from_json is not None:
        try:
            # Keys come again and again; texts would only be kept in memory for nothing.
            return from_json(data, cache_strings="keys")
        except ValueError:
            pass
    # As text, or the decoder would first look which encoding it is in.
    return _decode(data.decode())


def members(document: bytes, names: tuple[str, ...]) -> Any:
    """The value that a document holds; where it is an object, perhaps without the members of other names, which take
    no time then however large they are. Raises `ValueError` for what is no document, as far as it is looked at."""
    found = None if _json is None else _json.members(document, names)
    return decoded(document) if found is None else found


def encoded(value: object) -> str:
    """The value as a JSON document without spaces; what JSON knows no form of, as its text."""
    if _json is not None and (written := _json.compact(value)) is not None:
        return str(written)
    if to_json is not None:
        try:
            return to_json(value).decode()
        except ValueError:
            pass
    return _encode(value)
