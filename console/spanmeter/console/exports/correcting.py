"""What to do about a window that a target was told something of, and the ledger now has more or less of."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Final, NamedTuple

from spanmeter.console.exports.target import Cancelling, Target
from spanmeter.storage.exports import OPEN, Intent

LESS_THAN_NOTHING: Final = "the target takes nothing below 0"


class Cancellations(NamedTuple):
    """Intents, and the target that cancels them."""

    target: Cancelling
    intents: Sequence[Intent]


class Correction(NamedTuple):
    """What is to be cancelled first; or why nothing can be done; or that it is too early. With neither, the difference
    is sent.
    """

    cancels: Cancellations | None = None
    obstacle: str | None = None
    too_early: bool = False


def correction(
    target: Target, missing: Decimal, before: Sequence[Intent], now: datetime
) -> Correction:
    """How the difference is told."""
    live = [each for each in standing(before) if each.value != 0]
    if not isinstance(target, Cancelling) or (target.rules.cancels == "less" and missing > 0):
        return Correction()
    if not live:
        return Correction() if missing > 0 else Correction(obstacle=LESS_THAN_NOTHING)
    if any(each.state in OPEN for each in live):
        return Correction(too_early=True)
    obstacles = (target.cancel_obstacle(each, now) for each in live)
    if (obstacle := next(filter(None, obstacles), None)) is not None:
        return Correction(obstacle=obstacle)
    return Correction(Cancellations(target, live))


def standing(before: Sequence[Intent]) -> list[Intent]:
    """What was told of usage and not taken back since."""
    gone = {
        each.cancels
        for each in before
        if each.cancels and each.state not in ("failed", "superseded")
    }
    return [
        each
        for each in before
        if each.kind == "usage"
        and each.state in (*OPEN, "confirmed")
        and each.dedupe_id not in gone
    ]
