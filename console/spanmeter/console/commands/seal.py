"""`spanmeter seal`: what was booked, sealed; and the seals, listed or exported."""

from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING

import click

from spanmeter.console.extras import require
from spanmeter.console.flags import accepts, listing_format, moment
from spanmeter.console.listing import FORMATS, Column, Listing
from spanmeter.console.settings import Settings

if TYPE_CHECKING:
    pass

_COLUMNS = (
    Column("seal", "seal"),
    Column("booked_until", "booked until"),
    Column("sealed_at", "sealed at"),
    Column("sealed_by", "by"),
    Column("signed", "signed"),
    Column("digest", "digest"),
)


@click.group(invoke_without_command=True)
@accepts("dsn", "data")
@click.option(
    "--through",
    callback=moment,
    metavar="DAY",
    help="What was booked until the end of this day, UTC, or until now if that is today."
    " Default: yesterday.",
)
def seal(settings: Settings, through: datetime | None) -> None:
    """Seal what was booked and is not sealed yet, so that `spanmeter verify` shows any change of it.

    SPANMETER_SEAL_KEY, where set, signs the seals. Collectors do this by themselves, once a day.
    """
    if click.get_current_context().invoked_subcommand is not None:
        return
    require("spanmeter seal", "collector")
    from spanmeter.console.ledger_access import changing
    from spanmeter.storage.seals import seal as run

    until = _end_of(through or datetime.now(UTC) - timedelta(days=1))
    with changing(settings) as connection:
        made = run(connection, until, key=settings.sealing_key, progress=_tell)
    for each in made:
        click.echo(f"seal {each.number}: {each.digest.hex()}")
    if not made:
        click.echo(f"all that was booked until {until.isoformat()} is sealed already")


@seal.command("list")
@accepts("dsn", "data")
@listing_format
def list_seals(settings: Settings, form: str) -> None:
    """List the seals."""
    require("spanmeter seal", "collector")
    from spanmeter.console.ledger_access import ledger_dsn, reading
    from spanmeter.storage.seals import seals, windows

    with ledger_dsn(settings) as dsn, reading(dsn) as connection:
        until = {window.number: window.until for window in windows(connection)}
        rows = [
            (
                each.number,
                until.get(each.number),
                each.sealed_at,
                each.sealed_by,
                each.signature is not None,
                each.digest.hex(),
            )
            for each in seals(connection)
        ]
    click.echo(FORMATS[form](Listing(columns=_COLUMNS, rows=rows)), nl=False)


@seal.command()
@accepts("dsn", "data")
def export(settings: Settings) -> None:
    """Print the seals' digests, to be kept where nobody who can change the ledger can change them."""
    require("spanmeter seal", "collector")
    from spanmeter.console.anchors import exported
    from spanmeter.console.ledger_access import ledger_dsn, reading
    from spanmeter.storage.seals import seals

    with ledger_dsn(settings) as dsn, reading(dsn) as connection:
        click.echo(exported(seals(connection)), nl=False)


def _end_of(day: datetime) -> datetime:
    """The last moment of the day, or now."""
    now = datetime.now(UTC)
    midnight = datetime.combine(day.astimezone(UTC).date() + timedelta(days=1), time(), UTC)
    return min(midnight - timedelta(microseconds=1), now)


def _tell(day: date) -> None:
    click.echo(f"{day} ...", err=True)
