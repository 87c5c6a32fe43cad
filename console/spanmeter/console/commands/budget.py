"""`spanmeter budget`: limits on what a scope may use, and what became of them."""

import getpass
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from spanmeter.console.commands.budget_approvals import approvals, approve, deny
from spanmeter.console.extras import require
from spanmeter.console.flags import accepts, listing_format
from spanmeter.console.listing import FORMATS
from spanmeter.console.settings import Settings

_BY = click.option("--by", metavar="NAME", help="Who does it. Default: the user of this machine.")


@click.group()
def budget() -> None:
    """Limit what tenants, features, users or models may use, before a call is made."""
    require("spanmeter budget", "collector")


for _command in (approvals, approve, deny):
    budget.add_command(_command)


def _definition(command: Callable[..., None]) -> Callable[..., None]:
    options = (
        click.option(
            "--scope",
            multiple=True,
            metavar="NAME=VALUE",
            help="tenant=acme, feature=chat ...; =* for one counter of each. Repeatable.",
        ),
        click.option("--limit", metavar="AMOUNT", help="The limit, exact."),
        click.option(
            "--metric",
            help="cost, price, tokens, input_tokens, output_tokens, requests, or unit:NAME.",
        ),
        click.option("--currency", help="Of cost and price. Default: USD."),
        click.option("--window", help="hour ... year, `rolling 24h`, `rolling 7d`, lifetime."),
        click.option("--timezone", help="An IANA name, or `tenant`. Default: UTC."),
        click.option("--thresholds", metavar="PERCENT,...", help="Default: 50,80,100."),
        click.option(
            "--action", help="notify, throttle, clamp, downgrade, approve or block (default)."
        ),
        click.option("--fail", help="open (default) or closed, while no collector answers."),
        click.option("--per-request", metavar="AMOUNT", help="The most that one call may cost."),
        click.option(
            "--unpriced",
            metavar="refuse|IN,OUT[,REQUEST]",
            help="Models without a rate: refused, or at a rate per million tokens, and per request.",
        ),
        click.option("--output-tokens", type=int, help="Reserved where a call names no limit."),
        click.option("--max-wait", type=float, metavar="SECONDS", help="Of throttle. Default: 30."),
        click.option("--least-output", type=int, help="Of clamp, in tokens. Default: 256."),
        click.option(
            "--model", multiple=True, metavar="MODEL=CHEAPER", help="Of downgrade. Repeatable."
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


@budget.command("set")
@click.argument("name")
@_definition
@_BY
@accepts("dsn", "data")
def set_(settings: Settings, name: str, by: str | None, **given: Any) -> None:
    """Put the budget NAME in force, or change what is given of it; applications follow within seconds."""
    from spanmeter.console.budget_flags import members_of
    from spanmeter.console.failures import UnusableSetting
    from spanmeter.console.ledger_access import changing
    from spanmeter.metering.budgets.budget import BudgetError
    from spanmeter.metering.budgets.documents import as_document, read_budget
    from spanmeter.storage.budgets import read_book, set_budget

    with changing(settings) as connection:
        known = read_book(connection).budgets.get(name)
        before = {} if known is None else as_document(known)
        try:
            defined = read_budget(name, {**before, **members_of(given)})
            new = set_budget(connection, defined, by or getpass.getuser())
        except BudgetError as error:
            raise UnusableSetting(str(error)) from error
    click.echo(f"{name} is {'in force' if new else 'in force already'}")


@budget.command("list")
@accepts("dsn", "data")
@listing_format
def list_(settings: Settings, form: str) -> None:
    """List all budgets, and how far each of their counters has come."""
    from spanmeter.console.budget_listing import standing_listing
    from spanmeter.console.ledger_access import changing
    from spanmeter.storage.budget_standing import standings

    # Not `reading`: what is booked by now is counted first.
    with changing(settings) as connection:
        found = standings(connection)
    click.echo(FORMATS[form](standing_listing(found)), nl=False)


@budget.command()
@click.argument("name")
@accepts("dsn", "data")
@listing_format
def show(settings: Settings, name: str, form: str) -> None:
    """Show the budget NAME: its definition, its versions, and its counters."""
    from spanmeter.console.budget_listing import definition_of, standing_listing
    from spanmeter.console.failures import JobFailed
    from spanmeter.console.ledger_access import changing
    from spanmeter.storage.budget_standing import standings
    from spanmeter.storage.budgets import budget_history

    with changing(settings) as connection:
        history = budget_history(connection, name)
        if not history or history[0].definition is None:
            raise JobFailed(f"there is no budget {name!r}: see `spanmeter budget list`")
        found = standings(connection, budget=name)
    listing = standing_listing(found, about=definition_of(name, history))
    click.echo(FORMATS[form](listing), nl=False)


@budget.command()
@click.argument("name")
@click.argument("amount")
@click.option("--of", multiple=True, metavar="NAME=VALUE", help="Which counter. Default: each.")
@click.option(
    "--for", "lasting", default="24h", metavar="PERIOD", help="30m, 24h, 7d. Default: 24h."
)
@click.option("--reason", metavar="TEXT", help="Why.")
@_BY
@accepts("dsn", "data")
def increase(
    settings: Settings,
    name: str,
    amount: str,
    of: tuple[str, ...],
    lasting: str,
    reason: str | None,
    by: str | None,
) -> None:
    """Add AMOUNT to the limit of the budget NAME for a time."""
    from spanmeter.console.budget_flags import amount_of, counter_given, until
    from spanmeter.console.failures import JobFailed
    from spanmeter.console.ledger_access import changing
    from spanmeter.metering.budgets.budget import BudgetError
    from spanmeter.storage import budgets

    added, ends = amount_of(amount), until(lasting)
    counter = counter_given(of)
    with changing(settings) as connection:
        try:
            budgets.increase(
                connection, name, counter, added, ends, by or getpass.getuser(), reason
            )
        except BudgetError as error:
            raise JobFailed(str(error)) from error
    click.echo(f"{name} has {added:f} more until {ends:%Y-%m-%d %H:%M} UTC")


@budget.command("rm")
@click.argument("name")
@_BY
@accepts("dsn", "data")
def rm(settings: Settings, name: str, by: str | None) -> None:
    """Let the budget NAME hold no more. Its versions are kept."""
    from spanmeter.console.failures import JobFailed
    from spanmeter.console.ledger_access import changing
    from spanmeter.storage.budgets import remove_budget

    with changing(settings) as connection:
        if not remove_budget(connection, name, by or getpass.getuser()):
            raise JobFailed(f"there is no budget {name!r}: see `spanmeter budget list`")
    click.echo(f"{name} holds no more")


@budget.command()
@click.argument("tenant")
@click.argument("name", metavar="TIMEZONE")
@_BY
@accepts("dsn", "data")
def zone(settings: Settings, tenant: str, name: str, by: str | None) -> None:
    """Say in which TIMEZONE the days of TENANT begin, for budgets in the tenant's time zone."""
    from spanmeter.console.failures import UnusableSetting
    from spanmeter.console.ledger_access import changing
    from spanmeter.metering.budgets.budget import BudgetError
    from spanmeter.storage.budgets import set_time_zone

    with changing(settings) as connection:
        try:
            set_time_zone(connection, tenant, name, by or getpass.getuser())
        except BudgetError as error:
            raise UnusableSetting(str(error)) from error
    click.echo(f"days of {tenant} begin in {name}")


@budget.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@click.option("--dry-run", is_flag=True, help="Only show what would change.")
@click.option("--prune", is_flag=True, help="Remove budgets that FILE does not have.")
@_BY
@accepts("dsn", "data")
@listing_format
def apply(
    settings: Settings, file: Path, by: str | None, form: str, *, dry_run: bool, prune: bool
) -> None:
    """Put the budgets of FILE, in TOML, in force; shows what changes."""
    from spanmeter.console.budget_files import applied, changes_of, read
    from spanmeter.console.budget_listing import change_listing
    from spanmeter.console.ledger_access import changing
    from spanmeter.storage.budgets import read_book

    wanted = read(file)
    with changing(settings) as connection:
        changes = changes_of(read_book(connection), wanted, prune=prune)
        if not dry_run:
            applied(connection, wanted, changes, by or getpass.getuser())
    click.echo(FORMATS[form](change_listing(changes, dry_run=dry_run)), nl=False)
