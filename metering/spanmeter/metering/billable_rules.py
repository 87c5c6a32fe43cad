"""Billable rules as text, which is TOML: read, checked, and made ready to decide.

    otherwise = "billable"

    [[rule]]
    name = "pilot"
    state = "included"
    when = { tenant = ["acme", "globex"], feature = { glob = "beta-*" }, dimensions = { region = "eu" } }

A rule applies where all that `when` asks for holds; without `when`, always. What can be asked for is in
`billable_facts.FACTS`, how in `billable_conditions`.
"""

import json
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, NamedTuple, cast

from spanmeter.metering.billable import OTHERWISE, STATES, Rule, Rules
from spanmeter.metering.billable_conditions import RulesError, condition
from spanmeter.metering.billable_facts import DIMENSIONS, FACTS, Fact, Facts, dimension
from spanmeter.metering.reading import shown
from spanmeter.metering.usage_event import BillableState

__all__ = ["BUILT_IN", "DEFAULTS", "MAX_BYTES", "RulesError", "read_rules"]

MAX_BYTES: Final = 256 * 1024
MAX_RULES: Final = 500

NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")

DEFAULTS_TEXT: Final = """\
# The rules that spanmeter comes with. The first rule that applies decides.
otherwise = "billable"

[[rule]]
name = "failed"
state = "ignored"
when = { status = "error" }

[[rule]]
name = "no_output"
state = "ignored"
when = { status = ["timeout", "cancelled"], produced_output = false }

[[rule]]
name = "internal"
state = "ignored"
when = { account_type = "internal" }

# Where no customer works.
[[rule]]
name = "environment"
state = "ignored"
when.environment = [
    "dev", "development", "local", "test", "testing", "ci", "qa", "staging", "demo", "sandbox",
]

[[rule]]
name = "trial"
state = "included"
when = { account_type = "trial" }

[[rule]]
name = "free"
state = "included"
when = { account_type = "free" }
"""


class _Asked(NamedTuple):
    """One condition of a rule, ready, and what it looks at."""

    holds: Callable[[Facts], bool]
    fields: tuple[str, ...]
    dimension: str | None = None


def read_rules(version: str, text: str) -> Rules:
    """The rules that the text states, under this version. Raises `RulesError`."""
    document = _document(text)
    unknown = sorted(document.keys() - {"rule", OTHERWISE})
    if unknown:
        raise RulesError(
            f"{shown(unknown[0])} is no key of the file; there are rule and {OTHERWISE}"
        )
    if OTHERWISE not in document:
        raise RulesError(f"{OTHERWISE} is missing; it is the state of what no rule applies to")
    otherwise = _state(document[OTHERWISE], OTHERWISE)
    return Rules(version, list(_rules(document.get("rule", []))), otherwise, text)


def _document(text: str) -> Mapping[str, Any]:
    if len(text.encode(errors="replace")) > MAX_BYTES:
        raise RulesError(f"the file is larger than {MAX_BYTES // 1024} KiB")
    if "\0" in text:
        raise RulesError("the file holds a NUL character, so it is no TOML")
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise RulesError(f"the file is no TOML: {error}") from None
    except RecursionError:
        raise RulesError("the file is no TOML that can be read: it is nested too deeply") from None


def _rules(listed: object) -> Iterator[Rule]:
    items = cast("list[object]", listed) if isinstance(listed, list) else None
    if items is None or len(items) > MAX_RULES:
        raise RulesError(
            f"rule is not a list of up to {MAX_RULES} rules: each begins with [[rule]]"
        )
    names: set[str] = set()
    last: str | None = None
    for place, item in enumerate(items, 1):
        rule = _rule(item, f"rule {place}")
        if rule.name in names:
            raise RulesError(f"rule {place}, name: {rule.name!r} is the name of an earlier rule")
        if last is not None:
            raise RulesError(
                f"rule {rule.name!r}: it is never reached, since rule {last!r} before it always applies"
            )
        names.add(rule.name)
        last = None if rule.conditions else rule.name
        yield rule


def _rule(item: object, where: str) -> Rule:
    if not isinstance(item, dict):
        raise RulesError(f"{where} is no table")
    table = cast("dict[str, object]", item)
    name = table.get("name")
    if not isinstance(name, str) or NAME.fullmatch(name) is None or name == OTHERWISE:
        raise RulesError(
            f"{where}, name: it must be up to 64 of a-z, 0-9, - and _, and not {OTHERWISE!r}"
        )
    where = f"rule {name!r}"
    unknown = sorted(table.keys() - {"name", "state", "when"})
    if unknown:
        raise RulesError(f"{where}, {unknown[0]}: it is no key of a rule; there are state and when")
    state = _state(table.get("state"), f"{where}, state")
    when = table.get("when", {})
    if not isinstance(when, dict):
        raise RulesError(f"{where}, when: it must be a table of conditions")
    asked = list(_asked(cast("dict[str, object]", when), where))
    return Rule(
        name,
        state,
        tuple(each.holds for each in asked),
        _written(cast("dict[str, object]", when)),
        frozenset(field for each in asked for field in each.fields),
        frozenset(each.dimension for each in asked if each.dimension is not None),
    )


def _asked(when: Mapping[str, object], where: str) -> Iterator[_Asked]:
    for name, wanted in when.items():
        if name == DIMENSIONS:
            yield from _dimensions(wanted, f"{where}, {DIMENSIONS}")
        elif name in FACTS:
            fact = FACTS[name]
            yield _Asked(_holds(fact, wanted, f"{where}, {name}"), fact.fields)
        else:
            known = ", ".join([*FACTS, f"{DIMENSIONS}.NAME"])
            raise RulesError(f"{where}, {name}: nothing is known by that name; there are {known}")


def _dimensions(wanted: object, where: str) -> Iterator[_Asked]:
    if not isinstance(wanted, dict) or not wanted:
        raise RulesError(f"{where}: it must be a table of dimensions by name")
    for name, inner in cast("dict[str, object]", wanted).items():
        fact = dimension(name)
        yield _Asked(_holds(fact, inner, f"{where}.{name}"), fact.fields, name)


def _holds(fact: Fact, wanted: object, where: str) -> Callable[[Facts], bool]:
    holds, read = condition(fact, wanted, where), fact.read
    return lambda facts: holds(read(facts))


def _state(given: object, where: str) -> BillableState:
    state = STATES.get(given) if isinstance(given, str) else None
    if state is None:
        raise RulesError(f"{where}: it must be billable, included or ignored")
    return state


def _written(wanted: object) -> str:
    """A value of the file on one line, as TOML."""
    if isinstance(wanted, dict):
        table = cast("dict[str, object]", wanted)
        pairs = ", ".join(f"{_key(name)} = {_written(value)}" for name, value in table.items())
        return f"{{ {pairs} }}" if pairs else "{}"
    if isinstance(wanted, list):
        return f"[{', '.join(map(_written, cast('list[object]', wanted)))}]"
    return json.dumps(wanted, ensure_ascii=False, default=str)


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else json.dumps(name, ensure_ascii=False)


DEFAULTS: Final = read_rules("defaults-1", DEFAULTS_TEXT)
"""The rules in force where the operator has set none."""

BUILT_IN: Final[Mapping[str, Rules]] = {DEFAULTS.version: DEFAULTS}
"""Every version that a release of spanmeter came with: rows name them."""
