"""JSON, in and out, as fast as what is installed allows.

The client libraries of today bring pydantic along, whose parser takes half the time of Python's
own. Where it is missing, or refuses what Python takes (lone surrogates, deep nesting), Python's is
used: what is read is the same.
"""

import json
from typing import Any, Final

try:
    from pydantic_core import from_json, to_json
except ImportError:  # no pydantic, or its first major
    from_json = None  # type: ignore[assignment]
    to_json = None  # type: ignore[assignment]

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


def encoded(value: object) -> str:
    """The value as a JSON document without spaces; what JSON knows no form of, as its text."""
    if to_json is not None:
        try:
            return to_json(value).decode()
        except ValueError:
            pass
    return _encode(value)
