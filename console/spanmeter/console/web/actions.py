"""What was done for tenants, as they would say it: actions, each counted once, however many attempts it took."""

from datetime import date
from importlib.resources import files
from typing import Final, NamedTuple

from psycopg import sql

from spanmeter.console.web.asked_period import AskedPeriod
from spanmeter.console.web.view import View
from spanmeter.storage import statements

_SQL: Final = statements.load_file(files("spanmeter.console.web").joinpath("sql", "actions.sql"))


class ActionRow(NamedTuple):
    """How often an action was done, and not done though it was tried. `day` None: all days, or never done."""

    day: date | None
    name: str
    feature: str | None
    done: int
    failed: int
    attempts: int


def actions(view: View, period: AskedPeriod, *, by_day: bool) -> list[ActionRow]:
    """Actions by name and feature, most frequent first within a day. Raises DatabaseUnavailable."""
    query = _SQL["actions"].format(
        relation=sql.Identifier("own_shown_ledger" if view.own else "ledger"),
        tenant_id=sql.SQL("own_tenant()") if view.own else sql.Identifier("tenant_id"),
        of_tenant=sql.SQL("true") if view.own else _SQL["one_tenant"],
        day=_SQL["by_day" if by_day else "in_all"],
    )
    values = {"since": period.since, "until": period.until, "tenant": view.tenant}
    return [ActionRow._make(row) for row in view.connection.execute(query, values)]
