"""What a statement is worked out from: usage of a period, as it is read from the ledger."""

from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from spanmeter.metering.costing import Quantity
from spanmeter.metering.usage_event import BillableState


class Wanted(NamedTuple):
    """What has to be read: these columns and units of the ledger.

    `cuts` are the moments within the period at which something changes: usage before and after one is not added up.
    `actions` have a price. With `ordered`, every row is read by itself, in the order of time.
    """

    columns: tuple[str, ...]
    units: tuple[str, ...]
    cuts: tuple[datetime, ...]
    actions: frozenset[str] = frozenset()
    ordered: bool = False


class UsageItem(NamedTuple):
    """A row of the ledger, or the sum of several that have all of this in common and no cut between them.

    `values` are those of the wanted columns, `amounts` those of the wanted units. `cost` is the sum of what is known.
    """

    time: datetime
    values: tuple[object, ...]
    state: BillableState
    currency: str
    calls: int
    unpriced: int
    cost: Decimal
    amounts: tuple[Quantity, ...]


class ActionCall(NamedTuple):
    """Successful calls of an action: the values of the wanted columns, and the billable state."""

    values: tuple[object, ...]
    state: BillableState


class Action(NamedTuple):
    """An action that succeeded, at the time of its first successful call.

    `calls` are the kinds of its successful calls, `made` how many there are. `refunded`: it was taken back, and the
    same key since then is another action.
    """

    time: datetime
    name: str
    key: str
    calls: tuple[ActionCall, ...]
    made: int = 1
    refunded: bool = False
