"""`spanmeter db retention`: for how long what is booked is kept."""

from datetime import timedelta

import click

from spanmeter.console.extras import require
from spanmeter.console.flags import accepts, listing_format
from spanmeter.console.listing import FORMATS
from spanmeter.console.periods import duration
from spanmeter.console.settings import Settings

_FOR_EVER = "forever"


def _keeping(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    if value is not None and value != _FOR_EVER:
        try:
            duration(value)
        except ValueError as error:
            raise click.BadParameter(f"{error}; or {_FOR_EVER}", ctx, param) from error
    return value


@click.group()
def retention() -> None:
    """Lay down for how long what is booked is kept; drop what is older.

    A collector applies it every hour. Whole chunks leave, once all of them is old, sealed, and in the rollups; these
    stay.
    """


@retention.command("set")
@click.option(
    "--ledger",
    callback=_keeping,
    metavar="LENGTH",
    help="Usage and adjustments: 400d, 104w, or forever, which is the default.",
)
@click.option(
    "--rejected-spans", callback=_keeping, metavar="LENGTH", help="Spans that were rejected."
)
@click.option(
    "--rowstore",
    callback=_keeping,
    metavar="LENGTH",
    help="Usage as rows; then it moves to the columnstore of TimescaleDB's Community edition.",
)
@accepts("dsn", "data")
def set_(
    settings: Settings, ledger: str | None, rejected_spans: str | None, rowstore: str | None
) -> None:
    """Lay down for how long each is kept; what is not named stays as it is."""
    require("spanmeter db", "collector")
    from spanmeter.console.ledger_access import changing
    from spanmeter.storage.keeping import WHAT, set_retention

    lengths = dict(zip(WHAT, (ledger, rejected_spans, rowstore), strict=True))
    if not any(lengths.values()):
        raise click.UsageError("name what is to be kept for how long, such as --ledger 400d")
    with changing(settings) as connection, connection.transaction():
        for what, length in lengths.items():
            if length is not None:
                set_retention(connection, what, _length(length))


def _length(text: str) -> timedelta | None:
    return None if text == _FOR_EVER else duration(text)


@retention.command()
@accepts("dsn", "data")
@listing_format
def show(settings: Settings, form: str) -> None:
    """Show what is kept for how long, and what has left lately."""
    require("spanmeter db", "collector")
    from spanmeter.console.keeping import retention_listing
    from spanmeter.console.ledger_access import ledger_dsn, reading

    with ledger_dsn(settings) as dsn, reading(dsn) as connection:
        listing = retention_listing(connection)
    click.echo(FORMATS[form](listing), nl=False)


@retention.command("run")
@click.option(
    "--unsealed", is_flag=True, help="Drop what is not sealed, too: no later check can find it."
)
@accepts("dsn", "data")
def run(settings: Settings, *, unsealed: bool) -> None:
    """Drop now what is older than was laid down."""
    require("spanmeter db", "collector")
    from spanmeter.console.keeping import in_words
    from spanmeter.console.ledger_access import changing
    from spanmeter.storage.keeping import keep_house

    with changing(settings) as connection:
        click.echo(in_words(keep_house(connection, unsealed=unsealed)), nl=False)
