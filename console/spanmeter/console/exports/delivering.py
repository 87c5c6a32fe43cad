"""Sending what is planned, so that it arrives once: what is sent is noted before, and what is not known is found out.

    pending -> sent -> confirmed
                    -> failed      the target will not take it
                    -> pending     it did not take it, for sure
                    -> ambiguous   nobody knows: sent again where it would be known as a duplicate, else looked for

What was killed between sending and its answer is `sent`, and treated as ambiguous.
"""

import logging
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final, Literal, NamedTuple

from spanmeter.console.exports.identity import payload_digest
from spanmeter.console.exports.target import (
    Delivered,
    NotTaken,
    Outcome,
    Refused,
    Target,
    TargetUnusable,
    Unknown,
)
from spanmeter.storage import exports
from spanmeter.storage.connection import Connection
from spanmeter.storage.exports import Intent

logger = logging.getLogger(__name__)

MOST_FRUITLESS: Final = 4
"""How often in one run all that is left is tried again without any of it arriving; the next run goes on."""

LONGEST_WAIT: Final = 60.0
"""Seconds, whatever the target asks for."""

_NOT_FOUND_OUT: Final = (
    "it is too late for the target to know a duplicate, and it cannot tell whether it has it"
)

Clock = Callable[[], datetime]
Sleep = Callable[[float], object]


class Delivery(NamedTuple):
    """What was sent, and what is still open."""

    confirmed: int = 0
    failed: int = 0
    left: int = 0


class Courier:
    """Delivers one target's exports, for a run that is the only one."""

    def __init__(
        self, connection: Connection, name: str, target: Target, clock: Clock, sleep: Sleep
    ) -> None:
        self._connection = connection
        self._name = name
        self._target = target
        self._clock = clock
        self._sleep = sleep
        self._confirmed = 0
        self._failed = 0
        self._asked_to_wait: float | None = None

    def deliver(self) -> Delivery:
        """Send all that is open. Raises `TargetUnusable`, DatabaseUnavailable."""
        left, fruitless = self._round(), 0
        while left and fruitless < MOST_FRUITLESS:
            self._wait(fruitless)
            before = self._confirmed
            left = self._round()
            fruitless = 0 if self._confirmed > before else fruitless + 1
        return Delivery(self._confirmed, self._failed, left)

    def _wait(self, fruitless: int) -> None:
        seconds = min(self._asked_to_wait or float(2**fruitless), LONGEST_WAIT)
        logger.info("waiting %g s before exporting to %s again", seconds, self._name)
        self._sleep(seconds)

    def _round(self) -> int:
        """Try everything once; return how much is still open."""
        self._asked_to_wait = None
        left: set[str] = set()
        most = self._target.rules.batch
        while batch := exports.open_intents(self._connection, self._name, most, left):
            verdicts = [(intent, self._verdict(intent)) for intent in batch]
            left |= {intent.dedupe_id for intent, verdict in verdicts if verdict == "wait"}
            left |= self._send([intent for intent, verdict in verdicts if verdict == "send"])
            if self._asked_to_wait is not None:
                break
        return len(left)

    def _verdict(self, intent: Intent) -> Literal["send", "wait", "known"]:
        """It may be sent where it is new to the target, would be known as a duplicate, or is known not to be there."""
        if intent.first_sent_at is None:
            return "send"
        now = self._clock()
        within = self._target.rules.resend_within
        if within is None or now - intent.first_sent_at < within:
            return "send"
        found = self._target.found(intent, exports.told_for(self._connection, intent), now)
        if found is None:
            exports.settle(self._connection, intent.dedupe_id, "ambiguous", reason=_NOT_FOUND_OUT)
            return "wait"
        if found:
            self._settle(intent, Delivered())
        return "known" if found else "send"

    def _send(self, intents: Sequence[Intent]) -> set[str]:
        """Send them; return those that are still open."""
        if not intents:
            return set()
        _refuse_changed(intents)
        exports.note_sending(self._connection, intents)
        try:
            outcomes = self._target.send(intents)
        except TargetUnusable as error:
            for intent in intents:
                exports.note_not_taken(self._connection, intent, str(error))
            raise
        return {
            intent.dedupe_id
            for intent, outcome in zip(intents, outcomes, strict=True)
            if self._settle(intent, outcome)
        }

    def _settle(self, intent: Intent, outcome: Outcome) -> bool:
        """Note what became of one; return whether it is still open."""
        match outcome:
            case Delivered():
                ref = outcome.remote_ref
                exports.settle(self._connection, intent.dedupe_id, "confirmed", remote_ref=ref)
                self._confirmed += 1
                return False
            case Refused():
                logger.warning("%s refused %s: %s", self._name, intent.dedupe_id, outcome.reason)
                reason = outcome.reason
                exports.settle(self._connection, intent.dedupe_id, "failed", reason=reason)
                self._failed += 1
                return False
            case NotTaken():
                exports.note_not_taken(self._connection, intent, outcome.reason)
                if outcome.after is not None:
                    self._asked_to_wait = max(self._asked_to_wait or 0.0, outcome.after)
            case Unknown():
                reason = outcome.reason
                exports.settle(self._connection, intent.dedupe_id, "ambiguous", reason=reason)
        return True


def _refuse_changed(intents: Sequence[Intent]) -> None:
    for intent in intents:
        if payload_digest(intent.payload) != intent.payload_sha256:
            raise TargetUnusable(f"what was kept to be sent as {intent.dedupe_id} was changed")
