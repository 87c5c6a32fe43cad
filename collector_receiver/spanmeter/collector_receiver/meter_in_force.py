"""The meter at the rates and rules that are approved: it follows the database, and remembers what was in force when."""

import logging
from bisect import bisect_right
from collections.abc import Sequence
from contextlib import closing
from datetime import datetime
from functools import lru_cache
from typing import Final, NamedTuple

import psycopg
from psycopg.conninfo import make_conninfo

from spanmeter.collector_receiver.rounds import Rounds
from spanmeter.collector_receiver.settings import CollectorSettings
from spanmeter.metering.attribution import Attribution
from spanmeter.metering.billable import Rules
from spanmeter.metering.billable_rules import DEFAULTS, RulesError
from spanmeter.metering.meter import Meter
from spanmeter.metering.rate_book import RateBook
from spanmeter.metering.rates import Rates
from spanmeter.storage.connection import Connection, connect, database_errors
from spanmeter.storage.errors import StorageError
from spanmeter.storage.rates import State, read_book, read_state
from spanmeter.storage.recent import bound_session
from spanmeter.storage.rules import RulesVersion, rules_history

logger = logging.getLogger(__name__)

INTERVAL: Final = 2.0
"""Seconds between two looks at what is approved."""

CONNECT_TIMEOUT: Final = 2
"""Seconds."""


class _Known(NamedTuple):
    """What tells whether anything has changed: approvals of rates, and how many versions of rules there are."""

    rates: State
    rules: int


class MetersOfRecord:
    """The meters of a ledger: as it is now, and as it was at any moment of record."""

    def __init__(
        self, settings: CollectorSettings, book: RateBook, history: Sequence[RulesVersion]
    ) -> None:
        self._settings = settings
        self._book = book
        self._rules = sorted(history, key=lambda each: each.number)
        changes = {rate.approved_at for rate in book.approved if rate.approved_at is not None}
        self._changes = sorted(changes | {each.set_at for each in history})
        self._first = min(changes, default=None)
        self._meter = lru_cache(maxsize=8)(self._made)
        self.now = self._meter(len(self._changes))
        """What is in force. Made at once, so that what this release cannot read is found out here."""

    def at(self, moment: datetime) -> Meter:
        """The meter that was in force then. What is older than the first rates is metered at those."""
        if self._first is not None:
            moment = max(moment, self._first)
        return self._meter(bisect_right(self._changes, moment))

    def _made(self, changes: int) -> Meter:
        as_of = self._changes[changes - 1] if changes else None
        rates = self._book.rates(as_of) if len(self._book) else Rates.pinned()
        return _meter(self._settings, rates, self._rules_of(as_of))

    def _rules_of(self, as_of: datetime | None) -> Rules:
        held = [each for each in self._rules if as_of is not None and each.set_at <= as_of]
        return held[-1].read() if held else DEFAULTS


class MeterInForce:
    """A collector's meter, which is another one seconds after rates or rules are approved.

    While the database is away the last one stays; until it is first reached, it is that of the installed catalogue.
    """

    def __init__(self, settings: CollectorSettings) -> None:
        self._settings = settings
        self._known: _Known | None = None
        self._meters: MetersOfRecord | None = None
        self._rounds = Rounds("rates", self.look, interval=INTERVAL)

    def start(self) -> None:
        """Look at once, and follow from then on."""
        self.look()
        self._rounds.start()

    def stop(self) -> None:
        """Follow no more."""
        self._rounds.stop()

    @property
    def now(self) -> Meter:
        """For what is received now."""
        return self._of_record().now

    def at(self, received_at: datetime) -> Meter:
        """For what was received at a moment, and acknowledged from the journal."""
        return self._of_record().at(received_at)

    def _of_record(self) -> MetersOfRecord:
        meters = self._meters
        if meters is None:
            meters = self._meters = MetersOfRecord(self._settings, RateBook(()), ())
        return meters

    def look(self) -> None:
        """Take over what was approved since, if the database can be reached."""
        try:
            hurried = make_conninfo(self._settings.dsn, connect_timeout=CONNECT_TIMEOUT)
            with closing(connect(hurried)) as connection, database_errors():
                bound_session(connection)
                self._follow(connection)
        except (StorageError, psycopg.Error) as error:
            logger.debug("rates cannot be looked at: %s", error)
        except Exception:
            logger.exception("rates cannot be read; those before stay in use")

    def _follow(self, connection: Connection) -> None:
        history = rules_history(connection)
        known = _Known(read_state(connection), len(history))
        if known == self._known:
            return
        first, self._known = self._known is None, known
        try:
            self._meters = MetersOfRecord(self._settings, read_book(connection), history)
        except RulesError as error:
            logger.error("what was approved is not used, this release cannot read it: %s", error)
        else:
            if not first:
                logger.info("rates or billable rules were approved, and are in use from now on")


def meter_now(settings: CollectorSettings, connection: Connection) -> Meter:
    """The meter that is in force now, for what is done once. Raises RulesError, DatabaseUnavailable."""
    return MetersOfRecord(settings, read_book(connection), rules_history(connection)).now


def _meter(settings: CollectorSettings, rates: Rates, rules: Rules) -> Meter:
    return Meter(
        rates,
        rules,
        attribution=Attribution(settings.attribution),
        max_age=settings.max_age,
        max_ahead=settings.max_ahead,
    )
