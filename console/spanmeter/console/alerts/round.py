"""One round: what the rules find is told, and what they find no longer is over."""

import logging
from collections.abc import Callable, Generator, Sequence
from contextlib import closing, contextmanager
from datetime import datetime
from typing import Final, NamedTuple

import psycopg

from spanmeter.console.alerts.messages import fired_payload, resolved_payload
from spanmeter.metering.alerts.alert_rules import AlertRule, BudgetThreshold, Forecast
from spanmeter.metering.alerts.budgets import BudgetState
from spanmeter.metering.alerts.evaluating import Moment, evaluate, over
from spanmeter.metering.alerts.finding import Finding
from spanmeter.metering.alerts.rule_file import AlertRules
from spanmeter.storage.alert_deliveries import store_delivery
from spanmeter.storage.alerts import Alert, fire, open_alerts, orphaned_alerts, resolve
from spanmeter.storage.connection import Connection, connect, database_errors
from spanmeter.storage.errors import StorageError
from spanmeter.storage.usage_history import LedgerHistory

logger = logging.getLogger(__name__)

BudgetStates = Callable[[Connection, datetime], Sequence[BudgetState]]
"""The budgets of a ledger, as of a moment. The connection may be written to: spending may be counted first."""

_OF_BUDGETS: Final = (BudgetThreshold, Forecast)


class Round(NamedTuple):
    """How many alerts a round has fired and resolved, and how many rules could not be judged."""

    fired: int
    resolved: int
    failed: int


class _Judged(NamedTuple):
    found: Sequence[Finding]
    over: Sequence[Alert]


def run_round(
    connection: Connection,
    dsn: str,
    rules: AlertRules,
    now: datetime,
    budgets: BudgetStates,
) -> Round:
    """Judge every rule as of `now`, and keep and store what is to be told on `connection`.

    A rule that cannot be judged is told in the log, and neither fires nor resolves. Raises DatabaseUnavailable.
    """
    fired = resolved = failed = 0
    for rule in rules.rules:
        try:
            told = open_alerts(connection, rule.name)
            states = budgets(connection, now) if isinstance(rule, _OF_BUDGETS) else ()
            with _snapshot(dsn) as reading:
                judged = _judge(rule, told, Moment(now, LedgerHistory(reading), states))
        except StorageError as error:
            logger.warning("cannot judge the alerts of rule %s for now: %s", rule.name, error)
            failed += 1
            continue
        # First what is over: a budget's next window begins where the last one ended.
        resolved += sum(_resolved(connection, rules, alert) for alert in judged.over)
        fired += sum(_fired(connection, rules, finding) for finding in judged.found)
    orphans = orphaned_alerts(connection, [rule.name for rule in rules.rules])
    resolved += sum(_resolved(connection, rules, alert) for alert in orphans)
    return Round(fired, resolved, failed)


def no_budgets(connection: Connection, now: datetime) -> Sequence[BudgetState]:
    """There are none."""
    return ()


@contextmanager
def _snapshot(dsn: str) -> Generator[Connection]:
    with closing(connect(dsn)) as connection, database_errors():
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        with connection.transaction():
            yield connection


def _judge(rule: AlertRule, told: Sequence[Alert], moment: Moment) -> _Judged:
    found = evaluate(rule, moment)
    ids = {finding.alert_id for finding in found}
    renewed = [finding.subject for finding in found if not finding.lasting]
    ended = [each for each in told if each.alert_id not in ids and each.subject in renewed]
    subjects = [finding.subject for finding in found]
    left = [each for each in told if each.subject not in subjects]
    gone = over(rule, [each.subject for each in left], moment)
    return _Judged(found, [*ended, *(each for each in left if each.subject in gone)])


def _fired(connection: Connection, rules: AlertRules, finding: Finding) -> bool:
    def tell(finding: Finding) -> None:
        payload = fired_payload(finding)
        for channel in rules.channels_of(finding.rule):
            store_delivery(connection, finding.alert_id, "fired", channel.name, payload)

    new = fire(connection, finding, rules.version, tell)
    if new:
        logger.warning("alert: %s", finding.title)
    return new


def _resolved(connection: Connection, rules: AlertRules, alert: Alert) -> bool:
    def tell(resolved_at: datetime) -> None:
        payload = resolved_payload(alert, resolved_at)
        for channel in rules.channels_of(alert.rule):
            if channel.resolved:
                store_delivery(connection, alert.alert_id, "resolved", channel.name, payload)

    new = resolve(connection, alert, tell)
    if new:
        logger.info("alert is over: %s", alert.title)
    return new
