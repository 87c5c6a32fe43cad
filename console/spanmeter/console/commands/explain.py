"""`spanmeter explain`: one row of the ledger, with all that made it, computed again."""

from typing import TYPE_CHECKING

import click

from spanmeter.console.extras import require
from spanmeter.console.flags import accepts
from spanmeter.console.settings import Settings

if TYPE_CHECKING:
    from spanmeter.storage.booked_events import BookedEvent
    from spanmeter.storage.connection import Connection


@click.command()
@click.argument("event")
@accepts("dsn", "data")
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "json"]),
    default="table",
    help="table for people; json has every value exactly. Default: table.",
)
def explain(settings: Settings, event: str, form: str) -> None:
    """Show how a row came about: rate, rule, tenant, span, corrections; and compute it again.

    EVENT is TRACE:SPAN in hex, with :TIME where that is several rows, or the provider's id of the
    response. Exits with 1 where the row does not agree with what it says it was made by.
    """
    require("spanmeter explain", "collector")
    from spanmeter.console.explaining import as_json, as_text, explained_event
    from spanmeter.console.ledger_access import ledger_dsn, reading
    from spanmeter.console.rates_known import rates_known
    from spanmeter.storage.connection import database_errors
    from spanmeter.storage.rules import RuleBook

    with ledger_dsn(settings) as dsn, reading(dsn) as connection, database_errors():
        booked = the_event(connection, event)
        known = rates_known(connection)
        explanation = explained_event(connection, booked, known, RuleBook(connection))
    click.echo({"table": as_text, "json": as_json}[form](explanation), nl=False)
    if not explanation["agrees"]:
        click.get_current_context().exit(1)


def the_event(connection: "Connection", name: str) -> "BookedEvent":
    """The row of this name. Raises `JobFailed` where there is none, or several: then it lists them."""
    from spanmeter.console.failures import JobFailed
    from spanmeter.storage.booked_events import find

    found = find(connection, name)
    if not found:
        raise JobFailed(f"no row of the ledger is known as {name!r}")
    if len(found) > 1:
        names = "".join(f"\n  {each.name}" for each in found)
        raise JobFailed(f"{name!r} is several rows; name one of them:{names}")
    return found[0]
