"""One run of a target: what is to be sent is planned and sent; what was cancelled is planned anew and sent."""

import time
from contextlib import closing
from datetime import UTC, datetime
from decimal import localcontext
from typing import NamedTuple

from spanmeter.console.exports.configuration import Configured
from spanmeter.console.exports.delivering import Clock, Courier, Sleep
from spanmeter.console.exports.filing import Filing
from spanmeter.console.exports.kinds import KINDS
from spanmeter.console.exports.planning import Planner
from spanmeter.console.exports.target import Target, open_target
from spanmeter.metering.costing import EXACT
from spanmeter.storage import exports
from spanmeter.storage.connection import Connection


class Run(NamedTuple):
    """What a run did. `busy`: nothing, since another one exports to the target."""

    planned: int = 0
    confirmed: int = 0
    failed: int = 0
    left: int = 0
    busy: bool = False

    @property
    def said(self) -> str:
        """In words."""
        if self.busy:
            return "another one is exporting"
        return f"{self.planned:,} planned, {self.confirmed:,} confirmed, {self.failed:,} refused, {self.left:,} open"


def utc_now() -> datetime:
    """The moment that it is."""
    return datetime.now(UTC)


def run_target(
    connection: Connection,
    configured: Configured,
    clock: Clock = utc_now,
    sleep: Sleep | None = None,
) -> Run:
    """Export all that is due. Raises `TargetUnusable`, DatabaseUnavailable."""
    # Python rounds sums to 28 digits unless it is told not to.
    with localcontext(EXACT), exports.exporting_alone(connection, configured.name) as alone:
        if not alone:
            return Run(busy=True)
        if KINDS[configured.kind].files:
            return Run(*Filing(connection, configured).write(clock()))
        with closing(open_target(configured)) as target:
            return _run(connection, configured, target, clock, sleep or time.sleep)


def _run(
    connection: Connection, configured: Configured, target: Target, clock: Clock, sleep: Sleep
) -> Run:
    planned = Planner(connection, configured, target).plan(clock())
    first = Courier(connection, configured.name, target, clock, sleep).deliver()
    # What a cancel made room for.
    again = Planner(connection, configured, target).plan(clock())
    if not again:
        return Run(planned, *first)
    second = Courier(connection, configured.name, target, clock, sleep).deliver()
    confirmed, failed = first.confirmed + second.confirmed, first.failed + second.failed
    return Run(planned + again, confirmed, failed, second.left)
