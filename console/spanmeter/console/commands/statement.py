"""`spanmeter statement`: what a tenant owes for a period."""

import getpass
from collections.abc import Callable
from datetime import UTC, date, datetime

import click

from spanmeter.console.default_command import DefaultCommandGroup
from spanmeter.console.extras import require
from spanmeter.console.flags import accepts, listing_format, moment
from spanmeter.console.plan_moments import month
from spanmeter.console.settings import Settings


def _which_month(
    text: str, *, required: bool
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    return click.option(
        "--month", "of", callback=month, required=required, metavar="YYYY-MM", help=text
    )


@click.group(cls=DefaultCommandGroup)
def statement() -> None:
    """Show what a tenant owes for a month, close months, and refund actions.

    `spanmeter statement TENANT` is `spanmeter statement show TENANT`.
    """


@statement.command()
@click.argument("tenant")
@accepts("dsn", "data")
@_which_month("The month that the period begins in. Default: the one that is now.", required=False)
@click.option(
    "--as-of", callback=moment, metavar="WHEN", help="As it was known then. Default: now."
)
@listing_format
def show(
    settings: Settings, tenant: str, of: date | None, as_of: datetime | None, form: str
) -> None:
    """Show the statement of TENANT: of a closed period as it was closed, of an open one to date."""
    require("spanmeter statement", "collector")
    from spanmeter.console.ledger_access import ledger_dsn, reading
    from spanmeter.console.statement_listing import STATEMENT_FORMATS
    from spanmeter.storage.errors import LedgerIncomplete
    from spanmeter.storage.tenant_statements import Statements

    with ledger_dsn(settings) as dsn, reading(dsn) as connection:
        known = Statements(connection, as_of)
        wanted = of or known.current(tenant).month
        closing = next((each for each in known.closed(tenant) if each.month == wanted), None)
        try:
            found = known.of(tenant, wanted)
        except LedgerIncomplete as error:
            if closing is None:
                raise
            click.echo(f"{error}; this is what was kept when it was closed", err=True)
            click.echo(closing.document)
            return
        changed = [] if closing is None else known.changed_since(tenant, closing)
    click.echo(STATEMENT_FORMATS[form](found, closing, changed), nl=False)


@statement.command()
@click.argument("tenants", nargs=-1)
@accepts("dsn", "data")
@_which_month("The month that the period begins in.", required=True)
@click.option(
    "--all",
    "everybody",
    is_flag=True,
    help="Every tenant that used something, has a plan of its own, or was closed before.",
)
@click.option(
    "--restate", is_flag=True, help="Close the last closed period again, with what came late."
)
@click.option("--by", metavar="NAME", help="Who closes it. Default: the user of this machine.")
def close(
    settings: Settings,
    tenants: tuple[str, ...],
    of: date,
    by: str | None,
    *,
    everybody: bool,
    restate: bool,
) -> None:
    """Close the period of TENANTS: its statement stays what it is, and what comes late is in the next one."""
    require("spanmeter statement", "collector")
    from spanmeter.console.billed_tenants import billed_tenants
    from spanmeter.console.failures import JobFailed
    from spanmeter.console.ledger_access import changing
    from spanmeter.metering.statements.course import TwoCurrencies
    from spanmeter.storage.closing_periods import CannotClose, close_period, settled_moment
    from spanmeter.storage.errors import LedgerIncomplete
    from spanmeter.storage.tenant_statements import Statements

    if bool(tenants) == everybody:
        raise click.UsageError("name the tenants, or give --all")
    refused: list[str] = []
    with changing(settings) as connection:
        as_of = settled_moment(connection)
        for tenant in (
            sorted(billed_tenants(connection, Statements(connection), of)) if everybody else tenants
        ):
            try:
                closing = close_period(
                    *(connection, tenant, of, as_of, by or getpass.getuser()),
                    restate=restate,
                    even_empty=not everybody,
                )
            except (CannotClose, LedgerIncomplete, TwoCurrencies) as error:
                refused.append(str(error))
                continue
            if closing is None:
                continue
            total = "no plan" if closing.total is None else f"{closing.total} {closing.currency}"
            click.echo(f"{tenant}  {of:%Y-%m}  {total}  sha256 {closing.digest.hex()}")
    if refused:
        raise JobFailed(f"{len(refused)} not closed: {'; '.join(refused)}")


@statement.command("list")
@click.argument("tenant")
@accepts("dsn", "data")
@listing_format
def list_(settings: Settings, tenant: str, form: str) -> None:
    """List the closed periods of TENANT."""
    require("spanmeter statement", "collector")
    from spanmeter.console.ledger_access import ledger_dsn, reading
    from spanmeter.console.listing import FORMATS, Column, Listing
    from spanmeter.storage.closings import closings

    names = ("month", "revision", "since", "until", "as_of", "total", "currency")
    columns = [
        Column(name, name.replace("_", " ")) for name in (*names, "closed_at", "by", "sha256")
    ]
    with ledger_dsn(settings) as dsn, reading(dsn) as connection:
        rows = [
            (
                f"{each.month:%Y-%m}",
                *(getattr(each, name) for name in names[1:]),
                *(each.closed_at, each.closed_by, each.digest.hex()),
            )
            for each in closings(connection, tenant)
        ]
    click.echo(FORMATS[form](Listing(columns=columns, rows=rows)), nl=False)


@statement.command()
@click.argument("tenant")
@click.argument("action")
@click.argument("key")
@accepts("dsn", "data")
@click.option("--reason", required=True, metavar="TEXT", help="Why.")
@click.option(
    "--at",
    callback=moment,
    metavar="WHEN",
    help="Calls since then are another action. Default: now.",
)
@click.option("--by", metavar="NAME", help="Who refunds it. Default: the user of this machine.")
def refund(
    settings: Settings,
    tenant: str,
    action: str,
    key: str,
    reason: str,
    at: datetime | None,
    by: str | None,
) -> None:
    """Take back the ACTION of TENANT with this idempotency KEY: it is not charged. The next one is again."""
    require("spanmeter statement", "collector")
    from spanmeter.console.ledger_access import changing
    from spanmeter.storage.grants import Refund, refund_action

    told = Refund(
        tenant_id=tenant,
        action=action,
        key=key,
        refunded_at=at or datetime.now(UTC),
        reason=reason,
    )
    with changing(settings) as connection:
        refund_action(connection, told, by or getpass.getuser())
    click.echo(f"{action} {key} of tenant {tenant!r} is refunded")
