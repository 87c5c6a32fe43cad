"""From the ledger to what is to be sent: what a target was told is taken from the ledger's sums, and the rest kept.

Nothing is sent here. Planning again changes nothing unless the ledger has changed.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import ROUND_FLOOR, Decimal
from itertools import groupby
from typing import NamedTuple

from spanmeter.console.exports.configuration import Configured, Meter
from spanmeter.console.exports.correcting import Correction, correction
from spanmeter.console.exports.identity import dedupe_id, payload_digest
from spanmeter.console.exports.pending_windows import pending_windows, save_looked
from spanmeter.console.exports.target import Cancelling, Target, Usage
from spanmeter.storage import exports
from spanmeter.storage.connection import Connection
from spanmeter.storage.exported_usage import ACTIONS, sums
from spanmeter.storage.exports import OPEN, TOLD, Intent, Series, State


class Need(NamedTuple):
    """What the ledger has of a series in a window, of a tenant whom the target has a name for."""

    meter: Meter
    customer: str
    series: Series
    window_start: datetime
    quantity: Decimal


class Planner:
    """Plans one target's exports, for a run that is the only one."""

    def __init__(self, connection: Connection, configured: Configured, target: Target) -> None:
        self._connection = connection
        self._configured = configured
        self._target = target
        self._remainders = defaultdict(Decimal, exports.remainders(connection, configured.name))
        self._length = timedelta(hours=1 if configured.period == "hour" else 24)

    def plan(self, now: datetime) -> int:
        """Keep what is to be sent of all windows that are over; return how much that is."""
        begun = exports.transaction_time(self._connection)
        until = self._configured.until(now)
        windows = pending_windows(self._connection, self._configured, until)
        days = groupby(windows, key=datetime.date)
        planned = sum(self._plan_windows(list(each), now) for _, each in days)
        save_looked(self._connection, self._configured, until, begun)
        return planned

    def _plan_windows(self, windows: Sequence[datetime], now: datetime) -> int:
        """Plan windows of one day, in one transaction."""
        until = windows[-1] + self._length
        with self._connection.transaction():
            before = exports.in_windows(self._connection, self._configured.name, windows[0], until)
            needs = self._needs(set(windows), until)
            intents = list(self._planned(needs, before, now))
            exports.add(self._connection, intents)
        return len(intents)

    def _needs(self, windows: set[datetime], until: datetime) -> Iterator[Need]:
        period = self._configured.period
        for meter in self._configured.meters:
            for each in sums(self._connection, meter.measured, period, min(windows), until):
                dimensions = exports.series_dimensions(each.dimensions)
                series = Series(each.tenant_id, meter.name, dimensions)
                if each.window_start in windows:
                    yield from self._need(meter, series, each.window_start, each.quantity)

    def _need(
        self, meter: Meter, series: Series, window_start: datetime, quantity: Decimal
    ) -> Iterator[Need]:
        customer = self._configured.customer(series.tenant_id)
        if customer is not None:
            yield Need(meter, customer, series, window_start, quantity)

    def _planned(
        self, needs: Iterable[Need], before: Iterable[Intent], now: datetime
    ) -> Iterator[Intent]:
        made: dict[tuple[Series, datetime], list[Intent]] = defaultdict(list)
        for intent in before:
            made[intent.series, intent.window_start].append(intent)
        found = {(need.series, need.window_start): need for need in [*self._gone(made), *needs]}
        for need in sorted(found.values(), key=lambda each: (each.window_start, str(each.series))):
            yield from self._of_window(need, made[need.series, need.window_start], now)

    def _gone(self, made: Iterable[tuple[Series, datetime]]) -> Iterator[Need]:
        """Actions that were told, and turn out to have happened in another window."""
        meters = {meter.name: meter for meter in self._configured.meters}
        for series, window_start in made:
            meter = meters.get(series.meter)
            if meter is not None and meter.measured.measure == ACTIONS:
                yield from self._need(meter, series, window_start, Decimal())

    def _of_window(self, need: Need, before: Sequence[Intent], now: datetime) -> Iterator[Intent]:
        """What is to be sent of one series in one window, if anything."""
        accounted = sum(
            (each.quantity for each in before if each.state in (*TOLD, "not_exportable")),
            Decimal(),
        )
        missing = need.quantity - accounted
        if missing == 0 or _waits(before):
            return
        told = correction(self._target, missing, before, now)
        if told.too_early:
            return
        yield from self._intents(need, missing, before, told, now)

    def _intents(
        self,
        need: Need,
        missing: Decimal,
        before: Sequence[Intent],
        told: Correction,
        now: datetime,
    ) -> Iterator[Intent]:
        generation = 1 + max((each.generation for each in before), default=-1)
        if told.obstacle is not None:
            yield self._unsendable(need, missing, generation, told.obstacle)
            return
        if told.cancels is None:
            yield self._usage(need, missing, generation, now)
            return
        target, intents = told.cancels
        for number, cancelled in enumerate(intents, generation):
            yield self._cancel(target, need, cancelled, number)

    def _cancel(self, target: Cancelling, need: Need, cancelled: Intent, generation: int) -> Intent:
        name = self._name(need, generation)
        payload = target.cancellation(cancelled, name)
        intent = self._intent(
            need, generation, -cancelled.quantity, -cancelled.value, payload, "pending"
        )
        self._remainders[need.series] -= cancelled.quantity * cancelled.scale - cancelled.value
        # Its scale is that of what it cancels, or the two would not add up to nothing.
        return intent._replace(kind="cancel", cancels=cancelled.dedupe_id, scale=cancelled.scale)

    def _usage(self, need: Need, missing: Decimal, generation: int, now: datetime) -> Intent:
        exact = missing * need.meter.scale + self._remainders[need.series]
        value = _stepped(exact, self._target.rules.step)
        if value == 0:
            self._remainders[need.series] = exact
            return self._intent(need, generation, missing, value, {}, "carried")
        usage = Usage(
            self._name(need, generation),
            need.customer,
            need.meter,
            need.series,
            need.window_start,
            need.window_start + self._length,
            value,
        )
        if (obstacle := self._target.obstacle(usage, now)) is not None:
            return self._unsendable(need, missing, generation, obstacle)
        self._remainders[need.series] = exact - value
        payload = self._target.payload(usage)
        return self._intent(need, generation, missing, value, payload, "pending")

    def _unsendable(self, need: Need, missing: Decimal, generation: int, obstacle: str) -> Intent:
        """What cannot be told of this window: listed, or taken along with what is sent next."""
        carried = self._configured.late == "carry"
        if carried:
            self._remainders[need.series] += missing * need.meter.scale
        state: State = "carried" if carried else "not_exportable"
        intent = self._intent(need, generation, missing, Decimal(), {}, state)
        return intent._replace(reason=obstacle)

    def _intent(
        self,
        need: Need,
        generation: int,
        quantity: Decimal,
        value: Decimal,
        payload: Mapping[str, object],
        state: State,
    ) -> Intent:
        return Intent(
            dedupe_id=self._name(need, generation),
            target=self._configured.name,
            kind="usage",
            tenant_id=need.series.tenant_id,
            meter=need.meter.name,
            dimensions=dict(need.series.dimensions),
            window_start=need.window_start,
            window_end=need.window_start + self._length,
            generation=generation,
            cancels=None,
            quantity=quantity,
            scale=need.meter.scale,
            value=value,
            payload=payload,
            payload_sha256=payload_digest(payload),
            state=state,
        )

    def _name(self, need: Need, generation: int) -> str:
        return dedupe_id(self._configured.name, need.series, need.window_start, generation)


def _waits(before: Iterable[Intent]) -> bool:
    """Whether something of the window is refused, for somebody to look at, or being cancelled."""
    return any(
        each.state == "failed" or (each.kind == "cancel" and each.state in OPEN) for each in before
    )


def _stepped(value: Decimal, step: Decimal | None) -> Decimal:
    if step is None:
        return value
    return (value / step).to_integral_value(ROUND_FLOOR) * step
