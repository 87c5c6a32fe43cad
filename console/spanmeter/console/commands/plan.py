"""`spanmeter plan`: what tenants are charged."""

import getpass
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from spanmeter.console.extras import require
from spanmeter.console.flags import accepts, lasting, listing_format
from spanmeter.console.listing import FORMATS
from spanmeter.console.settings import Settings

if TYPE_CHECKING:
    from datetime import timedelta

_FILE = click.argument("file", type=click.Path(path_type=Path, dir_okay=False, exists=True))


def _recorded(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command what every change has: from when on, who makes it, and why."""
    for option in (
        click.option("--note", metavar="TEXT", help="Why."),
        click.option(
            "--by", metavar="NAME", help="Who does it. Default: the user of this machine."
        ),
        click.option(
            "--from",
            "since",
            metavar="WHEN",
            help="Usage from then on; a date is its beginning in the plan's time zone. Default: now.",
        ),
    ):
        command = option(command)
    return command


@click.group()
def plan() -> None:
    """Say what tenants are charged. Plans are files; every version of them is kept."""


@plan.command("set")
@_FILE
@accepts("dsn", "data")
@_recorded
@click.option("--dry-run", is_flag=True, help="Only show what would change.")
def set_(
    settings: Settings,
    file: Path,
    since: str | None,
    by: str | None,
    note: str | None,
    *,
    dry_run: bool,
) -> None:
    """Record FILE as the next version of its plan, and show what differs from the last one."""
    require("spanmeter plan", "collector")
    from spanmeter.console.ledger_access import changing
    from spanmeter.console.plan_files import difference, plan_of
    from spanmeter.console.plan_moments import starting
    from spanmeter.storage.plans import latest_version, set_plan

    given = plan_of(file)
    effective_from = starting(since, given.time_zone)
    with changing(settings) as connection:
        latest = latest_version(connection, given.name)
        before = ("", "nothing") if latest is None else (latest.text, latest.name)
        shown = difference(*before, given.text, str(file))
        if shown:
            click.echo(shown)
        if dry_run:
            return
        version, new = set_plan(
            connection, given.text, effective_from, by or getpass.getuser(), note
        )
    told = "is recorded" if new else "is recorded already"
    click.echo(f"{version.name} {told}, in force from {version.effective_from.isoformat()}")


@plan.command("list")
@accepts("dsn", "data")
@listing_format
def list_(settings: Settings, form: str) -> None:
    """List the plans, the version of each that is in force, and how many tenants have it."""
    require("spanmeter plan", "collector")
    from spanmeter.console.ledger_access import ledger_dsn, reading
    from spanmeter.console.plan_listing import plans_listing
    from spanmeter.storage.plans import read_plan_book

    with ledger_dsn(settings) as dsn, reading(dsn) as connection:
        listing = plans_listing(read_plan_book(connection))
    click.echo(FORMATS[form](listing), nl=False)


@plan.command()
@click.argument("name")
@accepts("dsn", "data")
@click.option("--version", type=int, metavar="N", help="Default: the one recorded last.")
def show(settings: Settings, name: str, version: int | None) -> None:
    """Print a plan, as a file that `plan set` takes."""
    require("spanmeter plan", "collector")
    from spanmeter.console.failures import JobFailed
    from spanmeter.console.ledger_access import ledger_dsn, reading
    from spanmeter.storage.plans import versions

    with ledger_dsn(settings) as dsn, reading(dsn) as connection:
        found = [
            each
            for each in versions(connection)
            if each.plan == name and version in {None, each.number}
        ]
    if not found:
        raise JobFailed(f"there is no such plan {name!r}: `spanmeter plan history` shows all")
    click.echo(f"{found[-1].name}, in force from {found[-1].effective_from.isoformat()}", err=True)
    click.echo(found[-1].text, nl=not found[-1].text.endswith("\n"))


@plan.command()
@click.argument("tenant")
@click.argument("name")
@accepts("dsn", "data")
@_recorded
def assign(
    settings: Settings, tenant: str, name: str, since: str | None, by: str | None, note: str | None
) -> None:
    """Give TENANT the plan NAME from a moment on."""
    _assign(settings, tenant, name, (since, by, note))


@plan.command()
@click.argument("tenant")
@accepts("dsn", "data")
@_recorded
def unassign(
    settings: Settings, tenant: str, since: str | None, by: str | None, note: str | None
) -> None:
    """Let TENANT have the default plan again from a moment on."""
    _assign(settings, tenant, None, (since, by, note))


@plan.command()
@click.argument("name", required=False)
@accepts("dsn", "data")
@_recorded
def default(
    settings: Settings, name: str | None, since: str | None, by: str | None, note: str | None
) -> None:
    """Make NAME the plan of everybody who has none of their own; without NAME, there is none."""
    _assign(settings, None, name, (since, by, note))


@plan.command()
@accepts("dsn", "data")
@click.option("--plan", "name", metavar="NAME", help="Only of this plan.")
@click.option("--tenant", metavar="ID", help="Only what this tenant was assigned.")
@listing_format
def history(settings: Settings, name: str | None, tenant: str | None, form: str) -> None:
    """List every version and every assignment, the latest first."""
    require("spanmeter plan", "collector")
    from spanmeter.console.ledger_access import ledger_dsn, reading
    from spanmeter.console.plan_listing import history_listing
    from spanmeter.storage.plans import assignments, versions

    with ledger_dsn(settings) as dsn, reading(dsn) as connection:
        listing = history_listing(versions(connection), assignments(connection), name, tenant)
    click.echo(FORMATS[form](listing), nl=False)


@plan.command("try")
@click.argument(
    "file", required=False, type=click.Path(path_type=Path, dir_okay=False, exists=True)
)
@accepts("dsn", "data")
@click.option("--tenant", metavar="ID", help="Only this tenant. Default: everybody.")
@click.option("--last", callback=lasting, default="30d", metavar="LENGTH", help="Default: 30d.")
@click.option("--markup", metavar="PERCENT", help="Instead of FILE: cost and so much more.")
@click.option(
    "--model",
    "models",
    multiple=True,
    metavar="A=B",
    help="As if calls of model A had been of B, at today's rates. Repeatable.",
)
@listing_format
def try_(
    settings: Settings,
    file: Path | None,
    tenant: str | None,
    last: "timedelta",
    markup: str | None,
    models: tuple[str, ...],
    form: str,
) -> None:
    """Tell what usage of the last days would have come to otherwise: price, cost and margin. Nothing changes."""
    require("spanmeter plan", "collector")
    from spanmeter.console.ledger_access import ledger_dsn, reading
    from spanmeter.console.plan_files import plan_of
    from spanmeter.console.what_if import Supposed, markup_plan, replaced_models, what_if

    if file is not None and markup is not None:
        raise click.UsageError("FILE and --markup are two answers: give one")
    if file is None and markup is None and not models:
        raise click.UsageError("nothing is to be tried: give FILE, --markup or --model")
    until = datetime.now(UTC)
    with ledger_dsn(settings) as dsn, reading(dsn) as connection:
        supposed = Supposed(
            plan=None if file is None else plan_of(file),
            markup=None if markup is None else markup_plan(markup),
            models=replaced_models(models),
        )
        listing = what_if(connection, supposed, tenant, until - last, until)
    click.echo(FORMATS[form](listing), nl=False)


def _assign(
    settings: Settings,
    tenant: str | None,
    name: str | None,
    recorded: tuple[str | None, str | None, str | None],
) -> None:
    require("spanmeter plan", "collector")
    from spanmeter.console.ledger_access import changing
    from spanmeter.console.plan_moments import starting
    from spanmeter.storage.plans import assign as record
    from spanmeter.storage.plans import latest_version, read_plan_book

    since, by, note = recorded
    with changing(settings) as connection:
        if name is not None:
            latest = latest_version(connection, name)
            zone = "UTC" if latest is None else latest.read().time_zone
        else:
            held = read_plan_book(connection).in_force(tenant or "", datetime.now(UTC))
            zone = "UTC" if held is None else held.plan.time_zone
        effective_from = starting(since, zone)
        record(connection, tenant, name, effective_from, by or getpass.getuser(), note)
    whose = "everybody without a plan of their own" if tenant is None else f"tenant {tenant!r}"
    has = "no plan of their own" if name is None else f"the plan {name}"
    click.echo(f"{whose} has {has} from {effective_from.isoformat()}")
