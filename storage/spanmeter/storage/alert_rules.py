"""The rules of alerts that operators set, every version of them; without any, those of the release are in force."""

from datetime import datetime
from typing import Final, NamedTuple

from spanmeter.metering.alerts.rule_file import DEFAULTS, AlertRules, read_alert_rules
from spanmeter.storage import statements
from spanmeter.storage.connection import Connection, database_errors

# "spanalru" as a number: advisory locks of all programs share one namespace per database.
_LOCK: Final = int.from_bytes(b"spanalru")

_SQL = statements.load("alerts")


class AlertRulesVersion(NamedTuple):
    """One version as it was set: its text, when it came in force, who set it (as they say), and the login they had."""

    number: int
    version: str
    text: str
    set_at: datetime
    set_by: str
    login: str
    note: str | None


def set_alert_rules(
    connection: Connection, text: str, set_by: str, note: str | None = None
) -> tuple[str, bool]:
    """Put the rules in force from now on; return their version, and whether it is a new one.

    What is in force already is not set again. Raises AlertRulesError, DatabaseUnavailable.
    """
    read_alert_rules("new", text)
    with database_errors(), connection.transaction():
        connection.execute(_SQL["one_at_a_time"], (_LOCK,))
        row = connection.execute(_SQL["rules_in_force"]).fetchone()
        if row is not None and (latest := AlertRulesVersion._make(row)).text == text:
            return latest.version, False
        values = {"rules": text, "set_by": set_by, "note": note}
        row = connection.execute(_SQL["add_rules"], values).fetchone()
    if row is None:
        raise AssertionError("an INSERT of one row returns it")
    return AlertRulesVersion._make(row).version, True


def alert_rules_in_force(connection: Connection) -> AlertRules:
    """The rules in force. Raises AlertRulesError where this release cannot read them, DatabaseUnavailable."""
    with database_errors():
        row = connection.execute(_SQL["rules_in_force"]).fetchone()
    if row is None:
        return DEFAULTS
    latest = AlertRulesVersion._make(row)
    return read_alert_rules(latest.version, latest.text)


def alert_rules_history(connection: Connection) -> list[AlertRulesVersion]:
    """Every version that was set, the latest first. Raises DatabaseUnavailable."""
    with database_errors():
        return [AlertRulesVersion._make(row) for row in connection.execute(_SQL["rules_history"])]
