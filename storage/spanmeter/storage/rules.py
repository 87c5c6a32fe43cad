"""The billable rules that operators set, every version of them; without any, those of the release are in force."""

from collections.abc import Mapping
from datetime import datetime
from functools import cached_property
from typing import Any, Final, NamedTuple

from spanmeter.metering.billable import Rules
from spanmeter.metering.billable_rules import BUILT_IN, DEFAULTS, read_rules
from spanmeter.storage import statements
from spanmeter.storage.connection import Connection, database_errors

# "spanrule" as a number: advisory locks of all programs share one namespace per database.
_LOCK: Final = int.from_bytes(b"spanrule")

_SQL = statements.load("rules")


class RulesVersion(NamedTuple):
    """One version as it was set: its text, when it came in force, who set it (as they say), and the login they had."""

    number: int
    version: str
    text: str
    set_at: datetime
    set_by: str
    login: str
    note: str | None

    def read(self) -> Rules:
        """The rules themselves. Raises RulesError where this release does not know all that they ask for."""
        return read_rules(self.version, self.text)


def set_rules(
    connection: Connection, text: str, set_by: str, note: str | None = None
) -> tuple[RulesVersion, bool]:
    """Put the rules in force from now on; return their version, and whether it is a new one.

    What is in force already is not set again. Booked rows keep their state. Raises RulesError, DatabaseUnavailable.
    """
    read_rules("new", text)
    with database_errors(), connection.transaction():
        connection.execute(_SQL["one_at_a_time"], (_LOCK,))
        latest = _latest(connection, None)
        if latest is not None and latest.text == text:
            return latest, False
        values = {"rules": text, "set_by": set_by, "note": note}
        row = connection.execute(_SQL["add"], values).fetchone()
    return _version(row), True


def rules_in_force(connection: Connection, at: datetime | None = None) -> Rules:
    """The rules in force now, or at a moment. Raises RulesError where this release cannot read them."""
    with database_errors():
        latest = _latest(connection, at)
    return DEFAULTS if latest is None else latest.read()


def rules_history(connection: Connection) -> list[RulesVersion]:
    """Every version that was set, the latest first."""
    with database_errors():
        return [RulesVersion._make(row) for row in connection.execute(_SQL["history"])]


class RuleBook:
    """All versions by name: those of the releases, and those of this ledger as of the first question."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._read: dict[str, Rules] = dict(BUILT_IN)

    def named(self, version: str) -> Rules | None:
        """The rules of this version, or None if there is none. Raises RulesError, DatabaseUnavailable."""
        if version not in self._read and (set_ := self._set.get(version)) is not None:
            self._read[version] = set_.read()
        return self._read.get(version)

    @cached_property
    def _set(self) -> Mapping[str, RulesVersion]:
        return {each.version: each for each in rules_history(self._connection)}


def _latest(connection: Connection, at: datetime | None) -> RulesVersion | None:
    row = connection.execute(_SQL["in_force"], (at,)).fetchone()
    return None if row is None else _version(row)


def _version(row: tuple[Any, ...] | None) -> RulesVersion:
    if row is None:
        raise AssertionError("an INSERT of one row returns it")
    return RulesVersion._make(row)
