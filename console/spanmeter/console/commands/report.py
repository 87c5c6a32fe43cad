"""`spanmeter report`: requests, tokens and cost from the ledger, by any dimensions."""

from datetime import UTC, datetime

import click

from spanmeter.console.extras import require
from spanmeter.console.flags import accepts, listing_format, moment, since_when
from spanmeter.console.listing import FORMATS
from spanmeter.console.settings import Settings


@click.command()
@accepts("dsn", "data")
@click.option(
    "--by",
    default="tenant",
    metavar="DIMENSIONS",
    help="Comma-separated: tenant, workspace, project, user, feature, workflow, action, model,"
    " provider, service, callsite, status, day, hour, dimension:NAME ... Default: tenant.",
)
@since_when("2026-11-20, 2026-11-20T08:30 (UTC), 24h, 7d, today, month ... Default: 30d.", "30d")
@click.option("--until", callback=moment, metavar="WHEN", help="Before this. Default: no end.")
@click.option("--tenant", metavar="ID", help="Only this tenant.")
@click.option(
    "--unattributed",
    is_flag=True,
    help="What has no tenant by now, by the place in the code that caused it, with its share of cost.",
)
@listing_format
def report(
    settings: Settings,
    by: str,
    since: datetime,
    until: datetime | None,
    tenant: str | None,
    form: str,
    *,
    unattributed: bool,
) -> None:
    """Show requests, tokens and cost by any dimensions, greatest cost first."""
    require("spanmeter report", "collector")
    from spanmeter.console.attribution import unattributed as unattributed_listing
    from spanmeter.console.ledger_access import ledger_dsn, reading
    from spanmeter.console.usage import dimensions, usage_listing
    from spanmeter.storage.attributing import Period
    from spanmeter.storage.errors import UnknownDimension

    if unattributed and tenant is not None:
        raise click.UsageError("--unattributed is about usage without a tenant: leave out --tenant")
    with ledger_dsn(settings) as dsn, reading(dsn) as connection:
        if unattributed:
            period = Period(since, until or datetime.now(UTC))
            click.echo(FORMATS[form](unattributed_listing(connection, period)), nl=False)
            return
        try:
            listing = usage_listing(
                connection, dimensions(by), since=since, until=until, tenant=tenant
            )
        except UnknownDimension as error:
            raise click.BadParameter(str(error), param_hint="--by") from error
    click.echo(FORMATS[form](listing), nl=False)
