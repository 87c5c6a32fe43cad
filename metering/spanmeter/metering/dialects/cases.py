"""Which cases of a table a span is."""

import re
from collections.abc import Iterable

from spanmeter.metering.dialects.dialect import Case
from spanmeter.metering.places import Place, Said


def is_scope(scope: str, named: str) -> bool:
    """Whether a scope is the one that is named, or one inside it."""
    if named.endswith(("/", ".", "-")):
        return scope.startswith(named)
    return scope == named or scope.startswith(f"{named}.")


def comes_before(version: str, limit: str) -> bool:
    """Whether a version is known, and lower: `0.1.59` than `0.1.60`."""
    parts = _numbers(version)
    return bool(parts) and parts < _numbers(limit)


def cases_of(cases: Iterable[Case], scope: str, version: str) -> tuple[Case, ...]:
    """The cases that spans of this scope can be."""
    return tuple(case for case in cases if can_be(case, scope, version))


def can_be(case: Case, scope: str, version: str) -> bool:
    """Whether spans of this scope can be the case."""
    if case.scope and not is_scope(scope, case.scope):
        return False
    return not case.before or comes_before(version, case.before)


def fits(case: Case, said: Said, provider: str, model: str) -> bool:
    """Whether a span of a scope that can be the case is it."""
    if case.provider and not is_scope(provider, case.provider):
        return False
    if case.model and re.match(case.model, model) is None:
        return False
    if case.having and said.at(Place.named(case.having)) is None:
        return False
    if case.lacking and said.at(Place.named(case.lacking)) is not None:
        return False
    return all(said.attributes.get(name) == value for name, value in case.saying.items())


def _numbers(version: str) -> list[int]:
    """`0.62.4` → [0, 62, 4]; what follows the numbers (`b1`, `rc2`) is passed over."""
    leading = re.match(r"[0-9]{1,9}(\.[0-9]{1,9}){0,3}", version)
    return [int(part) for part in leading[0].split(".")] if leading else []
