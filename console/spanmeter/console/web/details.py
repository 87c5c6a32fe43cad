"""What of a tenant is read row by row: its actions and its users. Of a large one that takes longer than a page may."""

from typing import NamedTuple

from spanmeter.console.web.actions import ActionRow, actions
from spanmeter.console.web.asked_period import AskedPeriod
from spanmeter.console.web.breakdown import Line, lines
from spanmeter.console.web.concentration import Concentration, concentration
from spanmeter.console.web.view import View


class DetailsAsked(NamedTuple):
    """Whose, of when, in which currency; `own`: as the tenant itself is shown them."""

    tenant: str
    own: bool
    period: AskedPeriod
    currency: str


class Details(NamedTuple):
    """Actions (by day for the tenant itself), users by cost, and how that is spread. A tenant is shown no users."""

    actions: list[ActionRow]
    users: list[Line]
    spread: Concentration


def details(view: View, asked: DetailsAsked) -> Details:
    """Those of the view's tenant. Raises DatabaseUnavailable."""
    done = actions(view, asked.period, by_day=asked.own)
    if asked.own:
        return Details(done, [], Concentration(0))
    users = lines(view, "user_id", asked.period, asked.currency, compared=True)
    return Details(done, users, concentration(users))
