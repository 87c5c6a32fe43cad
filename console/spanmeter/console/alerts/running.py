"""Rounds again and again, and messages in between. Of all that run on a ledger one works, and the others stand by."""

import logging
import threading
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Final

from spanmeter.console.alerts.budget_states import budget_states
from spanmeter.console.alerts.delivering import deliver_due
from spanmeter.console.alerts.round import BudgetStates, Round, run_round
from spanmeter.metering.alerts.fields import AlertRulesError
from spanmeter.storage.alert_deliveries import next_delivery
from spanmeter.storage.alert_rules import alert_rules_in_force
from spanmeter.storage.alerts import become_runner
from spanmeter.storage.connection import Connection, connect
from spanmeter.storage.errors import StorageError

logger = logging.getLogger(__name__)

EVERY: Final = timedelta(minutes=5)
"""Between two rounds."""

_REST: Final = 6.0
"""A round is followed by a rest of so many times its length: it takes a seventh of a processor at most."""

_STANDBY: Final = 30.0
"""Seconds between two looks at whether the one that runs has gone, and whether a database that was away is back."""


def _now() -> datetime:
    return datetime.now(UTC)


def run_once(
    dsn: str, budgets: BudgetStates = budget_states, clock: Callable[[], datetime] = _now
) -> Round | None:
    """One round and what is due then; None where another process runs the alerts. Raises DatabaseUnavailable,
    AlertRulesError."""
    with closing(connect(dsn)) as connection:
        if not become_runner(connection):
            return None
        return _round(connection, dsn, budgets, clock)


class AlertRunner:
    """Runs the alerts of a ledger until it is told to stop."""

    def __init__(
        self, dsn: str, every: timedelta = EVERY, budgets: BudgetStates = budget_states
    ) -> None:
        self._dsn = dsn
        self._every = every.total_seconds()
        self._budgets = budgets
        self._stopping = threading.Event()

    def stop(self) -> None:
        """End after the round or the message under way."""
        self._stopping.set()

    def run(self) -> None:
        """Run until `stop`. A database that is away is waited for."""
        while not self._stopping.is_set():
            try:
                with closing(connect(self._dsn)) as connection:
                    if become_runner(connection):
                        self._run(connection)
                    else:
                        logger.debug("another process runs the alerts")
            except StorageError as error:
                logger.info("cannot look for alerts for now: %s", error)
            except AlertRulesError as error:
                logger.error("the rules of alerts cannot be used by this release: %s", error)
            self._stopping.wait(_STANDBY)

    def _run(self, connection: Connection) -> None:
        while not self._stopping.is_set():
            began = time.monotonic()
            _round(connection, self._dsn, self._budgets, _now)
            took = time.monotonic() - began
            self._deliver_until(connection, began + max(self._every, took * (1 + _REST)))

    def _deliver_until(self, connection: Connection, end: float) -> None:
        """Send what becomes due until the next round."""
        while not self._stopping.is_set() and (left := end - time.monotonic()) > 0:
            due = next_delivery(connection)
            pause = left if due is None else min(left, (due - _now()).total_seconds())
            if self._stopping.wait(max(pause, 1.0)):
                return
            if due is not None:
                deliver_due(connection, alert_rules_in_force(connection).channels)


def _round(
    connection: Connection, dsn: str, budgets: BudgetStates, clock: Callable[[], datetime]
) -> Round:
    rules = alert_rules_in_force(connection)
    done = run_round(connection, dsn, rules, clock(), budgets)
    deliver_due(connection, rules.channels)
    return done
