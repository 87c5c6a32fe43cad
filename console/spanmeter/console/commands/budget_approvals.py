"""`spanmeter budget approvals`, `approve` and `deny`."""

import getpass

import click

from spanmeter.console.flags import accepts, listing_format
from spanmeter.console.listing import FORMATS, Column, Listing
from spanmeter.console.settings import Settings

_COLUMNS = (
    Column("approval_id", "request"),
    Column("budget", "budget"),
    Column("counter", "counter"),
    Column("amount", "amount"),
    Column("asked_at", "asked at"),
    Column("asked_by", "by"),
    Column("decision", "decision", missing="open"),
    Column("decided_at", "decided at"),
    Column("decided_by", "by whom"),
)

_BY = click.option("--by", metavar="NAME", help="Who decides. Default: the user of this machine.")


@click.command()
@click.option("--all", "decided", is_flag=True, help="Those that are decided, too.")
@accepts("dsn", "data")
@listing_format
def approvals(settings: Settings, form: str, *, decided: bool) -> None:
    """List the calls that wait for somebody to let them."""
    from spanmeter.console.ledger_access import ledger_dsn, reading
    from spanmeter.storage import budget_approvals

    with ledger_dsn(settings) as dsn, reading(dsn) as connection:
        rows = budget_approvals.approvals(connection, decided=decided)
    click.echo(FORMATS[form](Listing(columns=_COLUMNS, rows=rows)), nl=False)


@click.command()
@click.argument("request", type=int)
@click.option("--amount", metavar="AMOUNT", help="Default: what the largest call needs.")
@click.option(
    "--for", "lasting", default="24h", metavar="PERIOD", help="30m, 24h, 7d. Default: 24h."
)
@_BY
@accepts("dsn", "data")
def approve(
    settings: Settings, request: int, amount: str | None, lasting: str, by: str | None
) -> None:
    """Raise the limit that REQUEST ran into, for a time."""
    from spanmeter.console.budget_flags import amount_of, until
    from spanmeter.console.failures import JobFailed
    from spanmeter.console.ledger_access import changing
    from spanmeter.metering.budgets.budget import BudgetError
    from spanmeter.storage import budget_approvals

    given, ends = None if amount is None else amount_of(amount), until(lasting)
    with changing(settings) as connection:
        try:
            added = budget_approvals.approve(
                connection, request, given, ends, by or getpass.getuser()
            )
        except BudgetError as error:
            raise JobFailed(str(error)) from error
    click.echo(f"request {request} has {added:f} more until {ends:%Y-%m-%d %H:%M} UTC")


@click.command()
@click.argument("request", type=int)
@_BY
@accepts("dsn", "data")
def deny(settings: Settings, request: int, by: str | None) -> None:
    """Turn REQUEST down."""
    from spanmeter.console.failures import JobFailed
    from spanmeter.console.ledger_access import changing
    from spanmeter.metering.budgets.budget import BudgetError
    from spanmeter.storage import budget_approvals

    with changing(settings) as connection:
        try:
            budget_approvals.deny(connection, request, by or getpass.getuser())
        except BudgetError as error:
            raise JobFailed(str(error)) from error
    click.echo(f"request {request} is denied")
