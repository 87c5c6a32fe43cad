"""What this process holds of one counter of a budget: leases, what calls took from them, and who waits for more."""

import threading
import time
import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from spanmeter.instrumentation.budgets.amounts import rounded_down, rounded_up, written
from spanmeter.instrumentation.budgets.policy import Matched

IDLE: Final = 3.0
"""Seconds without a call after which what is held is given back."""

ROTATION: Final = 30.0
"""Seconds after which a lease is closed: what was reckoned wrong of its calls is forgotten with it."""

NEWS: Final = 0.5
"""Seconds for which calls go by what the collector has said of a counter that is used up."""

MAX_LEASES: Final = 64
"""Told of at a time; the collector takes no more."""

SAFETY: Final = 0.7
"""Part of a lease's life that is lived: the collector's begins later than we can know."""


class Lease:
    """A lease: `used` by calls that have ended, `reserved` for those under way. `window` is where it was lent from."""

    __slots__ = ("lease_id", "opened", "reserved", "told_settled", "used", "window")

    def __init__(self) -> None:
        self.lease_id: Final = uuid.uuid4().hex
        self.window: str | None = None
        self.opened: Final = time.monotonic()
        self.reserved = 0
        self.used = 0
        self.told_settled = False


class Wallet:
    """Thread-safe. Amounts are as in `amounts`."""

    def __init__(self, matched: Matched) -> None:
        self.matched = matched
        self.limit: int | None = None
        self.spent: int | None = None
        self.left = 0
        self.others = 0
        self.resets_at: datetime | None = None
        self.answered = 0
        """The number of the latest exchange that has told of it."""
        self._answered_at = 0.0
        self._lock = threading.Lock()
        self._lease: Lease | None = None
        self._closed: dict[str, Lease] = {}
        self._free = 0
        self._taken = 0
        self._waiting: dict[int, int] = {}
        self._recalled = False
        self._used_at = time.monotonic()
        self._lives_until = self._ends_at = 0.0

    def take(self, amount: int) -> Lease | None:
        """Take an amount for a call; None where so much is not there."""
        with self._lock:
            lease = self._lease
            if lease is None or self._free < amount:
                return None
            now = time.monotonic()
            if now >= self._lives_until or now >= self._ends_at:
                return None
            self._free -= amount
            self._taken += amount
            self._used_at = now
            lease.reserved += amount
            return lease

    def settle(self, lease: Lease, taken: int, used: int) -> None:
        """A call that took so much has used so much: the rest is free again, unless the lease is closed."""
        with self._lock:
            lease.reserved -= taken
            lease.used += used
            if lease is self._lease:
                self._free += taken - used

    def wait(self, who: int, amount: int) -> None:
        """Somebody waits for an amount."""
        with self._lock:
            self._waiting[who] = amount
            self._used_at = time.monotonic()

    def wait_no_more(self, who: int) -> None:
        """And does no longer."""
        with self._lock:
            self._waiting.pop(who, None)

    @property
    def wanted(self) -> bool:
        """Whether anybody waits."""
        return bool(self._waiting)

    def want_once(self, amount: int) -> None:
        """A call has been let go that there was not enough for: later ones shall find so much."""
        with self._lock:
            self._taken = max(self._taken, amount)
            self._used_at = time.monotonic()

    @property
    def available(self) -> int:
        """What was left when the collector last told, with what is free here."""
        return max(0, self._free) + max(0, self.left)

    def is_known_short_of(self, amount: int) -> bool:
        """Whether the collector has said a moment ago that there is less."""
        return time.monotonic() - self._answered_at < NEWS and amount > self.available

    @property
    def must_return(self) -> bool:
        """Whether others wait for what lies idle here."""
        return self._recalled and self._free > 0

    def may_return(self, amount: int) -> bool:
        """Whether so much may be there soon: others hold some, or calls under way have taken more than they use."""
        with self._lock:
            reserved = sum(
                lease.reserved for lease in (*self._closed.values(), self._lease) if lease
            )
        return (self.others > 0 or reserved > 0) and amount <= self.left + self.others + reserved

    @property
    def is_forgotten(self) -> bool:
        """Whether there is nothing to say of it any more."""
        with self._lock:
            idle = time.monotonic() - self._used_at > 10 * IDLE
            return idle and not (self._waiting or self._closed or self._lease)

    def report(self, *, closing: bool = False) -> dict[str, Any]:
        """What to tell the collector: what is held, and what is wanted. `closing`: nothing is, any more."""
        with self._lock:
            now = time.monotonic()
            idle = closing or now - self._used_at > IDLE
            self._close_if_over(now, idle=idle)
            if self._recalled or idle:
                self._free = min(self._free, 0)
            if self._lease is None and (self._waiting or not idle):
                self._lease = Lease()
            free, waiting = max(0, self._free), self._waiting.values()
            asked = max(0, sum(waiting) - free)
            ahead, self._taken = max(0, 2 * self._taken - free), 0
            return {
                "budget": self.matched.rule.name,
                "counter": self.matched.counter,
                "into": None if self._lease is None else self._lease.lease_id,
                "leases": self._told_leases(),
                "asked": written(asked),
                "least": written(max(0, min(waiting, default=0) - free)),
                "ahead": written(0 if self._recalled or idle else ahead),
            }

    def told(self, answer: Mapping[str, Any], lives_until: float, number: int) -> bool:
        """Takes over what the collector has answered; whether to ask again at once, of a new window."""
        with self._lock:
            self.limit, self.spent = rounded_up(answer["limit"]), rounded_up(answer["spent"])
            self.left, self.others = rounded_down(answer["left"]), rounded_down(answer["others"])
            resets_at = answer["resets_at"]
            self.resets_at = None if resets_at is None else datetime.fromisoformat(resets_at)
            self._recalled = bool(answer["recalled"])
            self._forget_settled()
            lease, window = self._lease, answer["window"] if resets_at else None
            if lease is None or lease.lease_id != answer["into"]:
                self._answered(number)
                return False
            if lease.window is not None and lease.window != window:
                self._close(lease)
                return True
            lease.window = window
            self._free += rounded_down(answer["lent"])
            self._lives_until = lives_until
            ends_in = answer["ends_in"]
            self._ends_at = float("inf") if ends_in is None else time.monotonic() + ends_in
            self._answered(number)
            return False

    def _answered(self, number: int) -> None:
        self.answered = number
        self._answered_at = time.monotonic()

    def _told_leases(self) -> list[dict[str, Any]]:
        # What is closed and not told of now is told of next time.
        closed = list(self._closed.values())[: MAX_LEASES - 1]
        for lease in closed:
            lease.told_settled = lease.reserved <= 0
        told = [_told(lease, 0) for lease in closed]
        return told if self._lease is None else [*told, _told(self._lease, self._free)]

    def _close_if_over(self, now: float, *, idle: bool) -> None:
        lease = self._lease
        if lease is None or lease.used == lease.reserved == self._free == 0:
            return
        lost = self._lives_until and now >= self._lives_until
        if lost or now >= self._ends_at or idle or now - lease.opened > ROTATION:
            self._close(lease)

    def _close(self, lease: Lease) -> None:
        self._closed[lease.lease_id] = lease
        self._lease = None
        self._free = 0

    def _forget_settled(self) -> None:
        for lease_id in [each for each, lease in self._closed.items() if lease.told_settled]:
            del self._closed[lease_id]


def _told(lease: Lease, free: int) -> dict[str, Any]:
    return {
        "id": lease.lease_id,
        "window": lease.window,
        "held": written(max(0, lease.used + lease.reserved + free)),
        "settled": lease.told_settled,
    }
