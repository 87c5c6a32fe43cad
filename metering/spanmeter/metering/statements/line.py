"""The lines of a statement."""

from datetime import datetime
from decimal import Decimal
from typing import Literal, NamedTuple

Kind = Literal[
    "usage",
    "included",
    "granted",
    "refund",
    "fee",
    "minimum",
    "discount",
    "credit",
    "late",
    "unpriced",
    "no_plan",
]
"""What a line is:

usage     usage at its price
included  usage that costs nothing: within what a charge includes, or of calls that are `included`
granted   usage that a grant covers
refund    actions taken back that were charged in an earlier period
fee       the fee of a plan
minimum   what is missing to the minimum of a plan
discount  what a discount takes off
credit    what a grant of money pays
late      what was booked for a closed period after it was closed
unpriced  usage whose price is not known: no cost, or one in another currency
no_plan   usage while no plan was in force
"""


class Line(NamedTuple):
    """One line. `amount` is unrounded; None is not known, which is not 0.

    `plan` is the version that it comes from (`pro/3`), `name` the charge, grant or discount of it; `calls` those that
    the charge was for in all, whatever line they are on. `since` and `until` are when the version was in force.
    """

    kind: Kind
    name: str
    plan: str | None = None
    unit: str | None = None
    quantity: Decimal | None = None
    price: str | None = None
    amount: Decimal | None = None
    calls: int | None = None
    since: datetime | None = None
    until: datetime | None = None
