"""`spanmeter grant`: allowances, top-ups and credits of tenants."""

import getpass
from datetime import UTC, date, datetime

import click

from spanmeter.console.extras import require
from spanmeter.console.flags import accepts, listing_format, moment
from spanmeter.console.listing import FORMATS
from spanmeter.console.plan_moments import month
from spanmeter.console.settings import Settings

_KINDS = ("allowance", "topup", "credit", "promotion", "trial", "commit", "rollover")


@click.group()
def grant() -> None:
    """Grant tenants money or units of usage. What is left is worked out from the ledger."""


@grant.command()
@click.argument("tenant")
@click.argument("amount")
@accepts("dsn", "data")
@click.option("--kind", type=click.Choice(_KINDS), default="credit", help="Default: credit.")
@click.option(
    "--from", "since", callback=moment, metavar="WHEN", help="Usable from then on. Default: now."
)
@click.option(
    "--expires", callback=moment, metavar="WHEN", help="Usable until then. Default: for ever."
)
@click.option(
    "--priority",
    type=click.IntRange(0, 1000),
    default=100,
    metavar="N",
    help="The lower, the sooner it is used. Default: 100.",
)
@click.option("--recurring", is_flag=True, help="Anew each billing period.")
@click.option("--rollover-min", default="0", metavar="N", help="At least so much goes along.")
@click.option(
    "--rollover-max", default="0", metavar="N", help="At most so much of what is left goes along."
)
@click.option(
    "--when",
    metavar="TOML",
    help="The usage that it is for: '{ feature = \"chat\" }'. Default: any.",
)
@click.option(
    "--id", "grant_id", metavar="NAME", help="The same one is granted once. Default: a new one."
)
@click.option("--note", metavar="TEXT", help="Why.")
@click.option("--by", metavar="NAME", help="Who grants it. Default: the user of this machine.")
def add(
    settings: Settings,
    tenant: str,
    amount: str,
    kind: str,
    since: datetime | None,
    expires: datetime | None,
    priority: int,
    rollover_min: str,
    rollover_max: str,
    when: str | None,
    grant_id: str | None,
    note: str | None,
    by: str | None,
    *,
    recurring: bool,
) -> None:
    """Grant TENANT an AMOUNT: "25 USD", "1M tokens", "500 requests", "10 actions"."""
    require("spanmeter grant", "collector")
    from spanmeter.console.granting import new_grant
    from spanmeter.console.ledger_access import changing
    from spanmeter.storage.grants import add_grant

    try:
        given = new_grant(
            tenant,
            amount,
            effective_at=since or datetime.now(UTC),
            grant_id=grant_id,
            kind=kind,
            expires_at=expires,
            priority=priority,
            recurring=recurring,
            rollover=(rollover_min, rollover_max),
            when=when,
            note=note,
        )
    except ValueError as error:
        raise click.BadParameter(str(error)) from error
    with changing(settings) as connection:
        new = add_grant(connection, given, by or getpass.getuser())
    click.echo(f"{given.grant_id} {'is granted' if new else 'was granted already'}")


@grant.command("list")
@accepts("dsn", "data")
@click.option("--tenant", metavar="ID", help="Only this tenant's.")
@listing_format
def list_(settings: Settings, tenant: str | None, form: str) -> None:
    """List what was granted."""
    require("spanmeter grant", "collector")
    from spanmeter.console.granting import grants_listing
    from spanmeter.console.ledger_access import ledger_dsn, reading
    from spanmeter.storage.grants import read_grants

    with ledger_dsn(settings) as dsn, reading(dsn) as connection:
        listing = grants_listing(read_grants(connection, tenant))
    click.echo(FORMATS[form](listing), nl=False)


@grant.command()
@click.argument("grant_id", metavar="GRANT")
@accepts("dsn", "data")
@click.option(
    "--at", callback=moment, metavar="WHEN", help="Nothing is left from then on. Default: now."
)
@click.option("--note", metavar="TEXT", help="Why.")
@click.option("--by", metavar="NAME", help="Who takes it back. Default: the user of this machine.")
def void(
    settings: Settings, grant_id: str, at: datetime | None, note: str | None, by: str | None
) -> None:
    """Take GRANT back. What it paid for before stays paid."""
    require("spanmeter grant", "collector")
    from spanmeter.console.ledger_access import changing
    from spanmeter.storage.grants import void_grant

    with changing(settings) as connection:
        void_grant(connection, grant_id, at or datetime.now(UTC), by or getpass.getuser(), note)
    click.echo(f"{grant_id} is void")


@grant.command()
@click.argument("tenant")
@accepts("dsn", "data")
@click.option(
    "--month",
    "of",
    callback=month,
    metavar="YYYY-MM",
    help="The month that the period begins in. Default: the one that is now.",
)
@click.option(
    "--as-of", callback=moment, metavar="WHEN", help="As it was known then. Default: now."
)
@listing_format
def balance(
    settings: Settings, tenant: str, of: date | None, as_of: datetime | None, form: str
) -> None:
    """Show what is left of what TENANT was granted, those of its plan included."""
    require("spanmeter grant", "collector")
    from spanmeter.console.granting import balance_listing
    from spanmeter.console.ledger_access import ledger_dsn, reading
    from spanmeter.storage.tenant_statements import Statements

    with ledger_dsn(settings) as dsn, reading(dsn) as connection:
        known = Statements(connection, as_of)
        period = known.period(tenant, of or known.current(tenant).month)
        pots = known.own(tenant, period, as_of).pots
    click.echo(FORMATS[form](balance_listing(tenant, period.name, pots)), nl=False)
