"""Booked usage decided again by other billable rules: rows stay as they are, amounts move from one state to another."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import islice
from typing import Final, NamedTuple, TypeVar

from spanmeter.metering.billable import Rules
from spanmeter.metering.billable_facts import facts_of
from spanmeter.metering.usage_event import BillableState
from spanmeter.storage.adjustments import Adjustment, book
from spanmeter.storage.booked_events import BookedEvent, period
from spanmeter.storage.connection import Connection
from spanmeter.storage.corrections import booked_against
from spanmeter.storage.positions import as_event, moved, positions

_Item = TypeVar("_Item")

_PAGE: Final = 2000
"""Rows whose adjustments are read at once, and moves that are booked at once."""


class Move(NamedTuple):
    """What a usage event amounts to now somewhere, and the state and the reason that it should have."""

    position: Adjustment
    state: BillableState
    reason: str
    turn: int


def moves(connection: Connection, rules: Rules, since: datetime, until: datetime) -> Iterator[Move]:
    """What of a period these rules would decide otherwise than it stands now, adjustments included.

    To be used up within the transaction under way. Raises DatabaseUnavailable.
    """
    for page in _pages(period(connection, since, until)):
        corrected = booked_against(connection, [booked.key for booked in page])
        for booked in page:
            yield from moves_of(booked, corrected.get(booked.key, []), rules)


def moves_of(booked: BookedEvent, adjustments: list[Adjustment], rules: Rules) -> Iterator[Move]:
    """The same of one usage event."""
    if not adjustments and rules.decide(facts_of(booked.event))[0] == booked.event.billable_state:
        return
    for position in positions(booked, adjustments):
        state, reason = rules.decide(facts_of(as_event(booked.event, position)))
        if state != position.billable_state:
            yield Move(position, state, reason, len(adjustments))


def post(connection: Connection, version: str, found: Iterable[Move]) -> int:
    """Book the moves as pairs of adjustments, by what these rules say; return how many adjustments are new.

    Each page is durable before the next. Posting the same again books nothing. Raises what `book` raises.
    """
    booked = 0
    for page in _pages(found):
        adjustments = [
            adjustment
            for move in page
            for adjustment in moved(
                move.position, move.state, move.reason, reference_of(version), move.turn
            )
        ]
        booked += book(connection, adjustments)
    return booked


def reference_of(version: str) -> str:
    """What the adjustments by a version of the rules refer to."""
    return f"rules:{version}"


def _pages(items: Iterable[_Item]) -> Iterator[list[_Item]]:
    rest = iter(items)
    while page := list(islice(rest, _PAGE)):
        yield page
