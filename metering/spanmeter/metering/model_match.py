"""Which names of models a rate is for: a clause in JSON, of the kinds that genai-prices has, and globs.

`{"equals": "gpt-4o"}` `{"starts_with": ...}` `{"ends_with": ...}` `{"contains": ...}` `{"regex": ...}`
`{"glob": "gpt-4o*"}` `{"or": [...]}` `{"and": [...]}`. Case does not matter.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, Final, cast

Clause = Mapping[str, Any]

MAX_DEPTH: Final = 8
MAX_PARTS: Final = 500
MAX_TEXT: Final = 512

_WILD: Final = re.compile(r"[*?\[]")

_OF_TEXT: Final[Mapping[str, Callable[[str, str], bool]]] = {
    "equals": lambda text, model: model == text.lower(),
    "starts_with": lambda text, model: model.startswith(text.lower()),
    "ends_with": lambda text, model: model.endswith(text.lower()),
    "contains": lambda text, model: text.lower() in model,
    "regex": lambda text, model: re.search(text, model) is not None,
    "glob": lambda text, model: fnmatchcase(model, text.lower()),
}


class BadClause(ValueError):
    """JSON that is no clause."""


def named(pattern: str) -> Clause:
    """The clause of what a person wrote: a model's name, or a pattern with `*`, `?` or `[...]`."""
    return {"glob": pattern} if _WILD.search(pattern) else {"equals": pattern}


def matches(clause: Clause, model: str) -> bool:
    """Whether the clause takes a model's name, which is in lower case."""
    ((kind, told),) = clause.items()
    if kind == "or":
        return any(matches(part, model) for part in told)
    if kind == "and":
        return all(matches(part, model) for part in told)
    return _OF_TEXT[kind](told, model)


def is_exact(clause: Clause) -> bool:
    """Whether the clause takes one name alone."""
    return "equals" in clause


def checked(value: object, depth: int = MAX_DEPTH) -> Clause:
    """JSON from outside as a clause. Raises `BadClause`."""
    if not isinstance(value, Mapping) or len(cast("Clause", value)) != 1 or not depth:
        raise BadClause("a model's match has one clause, of at most eight levels")
    ((kind, told),) = cast("Clause", value).items()
    if kind in {"or", "and"} and isinstance(told, Sequence) and len(cast("str", told)) <= MAX_PARTS:
        return {kind: [checked(part, depth - 1) for part in cast("Sequence[object]", told)]}
    if kind not in _OF_TEXT or not isinstance(told, str) or len(told) > MAX_TEXT:
        raise BadClause(f"a model's match has a clause {str(kind)[:40]!r} that is not understood")
    if kind == "regex":
        try:
            re.compile(told)
        except re.error as error:
            raise BadClause(f"a model's match has a pattern that is none: {error}") from None
    return {kind: told}
