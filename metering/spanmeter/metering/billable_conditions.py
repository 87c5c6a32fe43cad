"""The conditions of a billable rule: what the rule's text says, as a function of one fact.

status = "error"                        equal
status = ["timeout", "cancelled"]       one of
model = { glob = "gpt-5*" }             like, or like one of a list: * and ? and [abc]
tenant = { present = false }            there is none
provider = { not = "openai" }           any of the above, turned round; true of what is absent
byok = true                             flags are true or false
"""

import re
from collections.abc import Callable, Sequence
from fnmatch import translate
from typing import Any, Final, cast

from spanmeter.metering.billable_facts import Fact
from spanmeter.metering.reading import shown

Condition = Callable[[Any], bool]
"""Whether it holds for the value of a fact; `None` is absent."""

MOST_VALUES: Final = 10_000
"""In one list."""

MOST_GLOBS: Final = 100
"""In one list: each is tried in turn."""

DEEPEST: Final = 8
"""How often a condition may be turned round."""


class RulesError(ValueError):
    """The rules cannot be used; the message names the rule and the key."""


def condition(fact: Fact, wanted: object, where: str, depth: int = 0) -> Condition:
    """What `wanted` asks of a fact. Raises `RulesError`, which begins with `where`."""
    operator, inner = _operator(wanted)
    if operator == "not" and depth < DEEPEST:
        holds = condition(fact, inner, f"{where}.not", depth + 1)
        return lambda value: not holds(value)
    if fact.flag and isinstance(wanted, bool):
        return lambda value: value is wanted
    if not fact.flag and isinstance(wanted, str | list):
        return _one_of(fact, _texts(cast("str | list[object]", wanted), MOST_VALUES, where), where)
    if not fact.flag and operator == "present" and isinstance(inner, bool):
        return lambda value: (value is not None) is inner
    if not fact.flag and operator == "glob" and isinstance(inner, str | list):
        globs = _texts(cast("str | list[object]", inner), MOST_GLOBS, f"{where}.glob")
        return _like(fact, globs)
    raise RulesError(f"{where}: {_described(wanted)} is no condition; {_allowed(fact)}")


def _operator(wanted: object) -> tuple[str | None, object]:
    """The one key of a table, and what it asks for."""
    table = cast("dict[str, object]", wanted) if isinstance(wanted, dict) else {}
    return next(iter(table.items())) if len(table) == 1 else (None, None)


def _one_of(fact: Fact, wanted: Sequence[str], where: str) -> Condition:
    unknown = [] if fact.values is None else [text for text in wanted if text not in fact.values]
    if unknown:
        known = ", ".join(sorted(fact.values or ()))
        raise RulesError(f"{where}: {shown(unknown[0])} is none of {known}")
    if not fact.folded:
        values = frozenset(wanted)
        return lambda value: value in values
    lowered = frozenset(text.lower() for text in wanted)
    return lambda value: value is not None and value.lower() in lowered


def _like(fact: Fact, globs: Sequence[str]) -> Condition:
    flags = re.IGNORECASE if fact.folded else re.NOFLAG
    like = re.compile("|".join(f"(?:{translate(glob)})" for glob in globs), flags)
    return lambda value: value is not None and like.match(value) is not None


def _texts(wanted: str | Sequence[object], most: int, where: str) -> list[str]:
    listed = [wanted] if isinstance(wanted, str) else wanted
    texts = [text for text in listed if isinstance(text, str)]
    if not texts or len(texts) != len(listed) or len(texts) > most:
        raise RulesError(f"{where}: a list is of text, and has 1 to {most} of it")
    return texts


def _described(wanted: object) -> str:
    if isinstance(wanted, str | bool | int | float):
        return shown(wanted)
    if isinstance(wanted, dict):
        names = cast("dict[str, object]", wanted)
        return f"a table of {', '.join(map(shown, names)) or 'nothing'}"
    return f"a {type(wanted).__name__}"


def _allowed(fact: Fact) -> str:
    if fact.flag:
        return "true, false or { not = ... } is one"
    return "text, a list of text, or a table of glob, present or not is one"
