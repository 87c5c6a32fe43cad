"""`spanmeter verify`: the ledger computed again, and compared with its seals."""

from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from spanmeter.console.extras import require
from spanmeter.console.flags import accepts, listing_format, moment
from spanmeter.console.listing import FORMATS
from spanmeter.console.settings import Settings

if TYPE_CHECKING:
    from spanmeter.console.verifying import Verified


@click.command()
@accepts("dsn", "data")
@click.option(
    "--from", "since", callback=moment, metavar="DAY", help="The first day, UTC. Default: all."
)
@click.option(
    "--to", "until", callback=moment, metavar="DAY", help="The day after the last. Default: all."
)
@click.option(
    "--anchor",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="Seals that `spanmeter seal export` wrote before: they must be the same still.",
)
@click.option(
    "--jobs",
    type=click.IntRange(1, 64),
    default=1,
    metavar="N",
    show_default=True,
    help="Processes that verify, each a day at a time.",
)
@listing_format
def verify(
    settings: Settings,
    since: datetime | None,
    until: datetime | None,
    anchor: Path | None,
    jobs: int,
    form: str,
) -> None:
    """Compute every row again, check sums and seals, and tell what does not agree.

    SPANMETER_SEAL_KEY, where set, is the key that seals are signed with. Exits with 1 if anything
    differs.
    """
    require("spanmeter verify", "collector")
    from spanmeter.console.anchors import read_anchors
    from spanmeter.console.ledger_access import ledger_dsn, reading
    from spanmeter.console.verifying import as_listing
    from spanmeter.console.verifying import verify as run
    from spanmeter.console.verifying_jobs import verifying_days
    from spanmeter.storage.connection import database_errors

    for flag, given in (("--from", since), ("--to", until)):
        if given is not None and (given.hour, given.minute, given.second) != (0, 0, 0):
            raise click.BadParameter("whole days are verified, in UTC", param_hint=flag)
    anchors = {} if anchor is None else read_anchors(anchor)
    with (
        ledger_dsn(settings) as dsn,
        reading(dsn) as connection,
        database_errors(),
        verifying_days(connection, dsn, jobs) as days,
    ):
        verified = run(
            connection,
            since,
            until,
            days,
            key=settings.sealing_key,
            anchors=anchors,
            progress=_tell,
        )
    click.echo(FORMATS[form](as_listing(verified)), nl=False)
    if verified.found:
        click.get_current_context().exit(1)


def _tell(day: date, so_far: "Verified") -> None:
    click.echo(f"{day}: {so_far.rows:,} rows, {so_far.found:,} differences ...", err=True)
