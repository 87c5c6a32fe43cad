"""`spanmeter margin`: what tenants pay beside what they cost."""

import getpass
from datetime import UTC, date, datetime
from pathlib import Path

import click

from spanmeter.console.default_command import DefaultCommandGroup
from spanmeter.console.extras import require
from spanmeter.console.flags import accepts, listing_format
from spanmeter.console.listing import FORMATS
from spanmeter.console.plan_moments import month
from spanmeter.console.settings import Settings


@click.group(cls=DefaultCommandGroup)
def margin() -> None:
    """Show what tenants pay less what they cost, and import what they paid.

    `spanmeter margin` is `spanmeter margin show`.
    """


@margin.command()
@accepts("dsn", "data")
@click.option(
    "--month",
    "of",
    callback=month,
    metavar="YYYY-MM",
    help="The month that periods begin in. Default: this one.",
)
@click.option(
    "--by",
    default="tenant",
    metavar="WHAT",
    help="tenant, plan, account_type, feature, dimension:NAME ... Default: tenant.",
)
@click.option("--tenant", metavar="ID", help="Only this tenant.")
@listing_format
def show(settings: Settings, of: date | None, by: str, tenant: str | None, form: str) -> None:
    """Show margins, the lowest first. Revenue is what was imported, else the tenant's statement."""
    require("spanmeter margin", "collector")
    from spanmeter.console.ledger_access import ledger_dsn, reading
    from spanmeter.console.margins import BY_PLAN, margin_listing, margins
    from spanmeter.console.usage import dimensions
    from spanmeter.storage.errors import UnknownDimension

    asked = of or datetime.now(UTC).date().replace(day=1)
    try:
        names = [BY_PLAN] if by == BY_PLAN else dimensions(by)
    except UnknownDimension as error:
        raise click.BadParameter(str(error), param_hint="--by") from error
    if len(names) != 1:
        raise click.BadParameter("one at a time", param_hint="--by")
    with ledger_dsn(settings) as dsn, reading(dsn) as connection:
        found = list(margins(connection, asked, names[0], tenant, _tell, _warn))
    click.echo(FORMATS[form](margin_listing(found, asked, names[0])), nl=False)


@margin.command("import")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@accepts("dsn", "data")
@click.option("--by", metavar="NAME", help="Who imports it. Default: the user of this machine.")
def import_(settings: Settings, file: Path, by: str | None) -> None:
    """Import what tenants paid from a CSV FILE: tenant, period (2026-11), amount, currency, and perhaps source."""
    require("spanmeter margin", "collector")
    from spanmeter.console.ledger_access import changing
    from spanmeter.console.revenue_file import read_revenue
    from spanmeter.storage.revenue import import_revenue

    rows = read_revenue(file)
    with changing(settings) as connection:
        new = import_revenue(connection, rows, by or getpass.getuser())
    click.echo(f"{new:,} of {len(rows):,} rows are new")


def _warn(trouble: str) -> None:
    click.echo(f"left out: {trouble}", err=True)


def _tell(tenants: int) -> None:
    click.echo(f"{tenants:,} tenants ...", err=True)
