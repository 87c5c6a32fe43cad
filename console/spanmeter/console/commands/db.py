"""`spanmeter db`: make the ledger's tables, bring them up to date, look at them."""

import click

from spanmeter.console.commands.retention import retention
from spanmeter.console.extras import require
from spanmeter.console.flags import accepts, listing_format
from spanmeter.console.listing import FORMATS
from spanmeter.console.settings import Settings


@click.group()
def db() -> None:
    """Make the ledger's tables, bring them up to date, look at them."""


@db.command()
@accepts("dsn", "data")
def init(settings: Settings) -> None:
    """Make the ledger in a database that has none, with hypertables where it offers TimescaleDB.

    Running it again changes nothing.
    """
    require("spanmeter db", "collector")
    from spanmeter.console.database import described
    from spanmeter.console.ledger_access import ledger_dsn
    from spanmeter.storage.migrations import migrate

    with ledger_dsn(settings, create=True) as dsn:
        applied = migrate(dsn)
        click.echo(f"the ledger is {'ready' if applied else 'already there'}, in {described(dsn)}")


@db.command()
@accepts("dsn", "data")
def migrate(settings: Settings) -> None:
    """Bring an existing ledger up to this release; what is booked stays as it is."""
    require("spanmeter db", "collector")
    from spanmeter.console.ledger_access import ledger_dsn, refuse_empty
    from spanmeter.storage.migrations import migrate as apply

    with ledger_dsn(settings) as dsn:
        refuse_empty(dsn)
        applied = apply(dsn)
        for name in applied:
            click.echo(f"applied {name}")
        click.echo("the ledger is up to date")


@db.command()
@accepts("dsn", "data", "journal")
@listing_format
def status(settings: Settings, form: str) -> None:
    """Show versions, pending migrations, the journal, the last day, what is rejected or missing, and the tables."""
    require("spanmeter db", "collector")
    from spanmeter.console.database import status_of
    from spanmeter.console.ledger_access import ledger_dsn, refuse_empty

    with ledger_dsn(settings) as dsn:
        refuse_empty(dsn)
        click.echo(FORMATS[form](status_of(settings, dsn)), nl=False)


@db.command()
@accepts("dsn", "data")
@listing_format
def producers(settings: Settings, form: str) -> None:
    """Show what arrived of each process's numbered records, and what is missing."""
    require("spanmeter db", "collector")
    from spanmeter.console.ledger_access import ledger_dsn, reading
    from spanmeter.console.producers import producers_listing

    with ledger_dsn(settings) as dsn, reading(dsn) as connection:
        listing = producers_listing(connection)
    click.echo(FORMATS[form](listing), nl=False)


db.add_command(retention)
