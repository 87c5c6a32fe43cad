"""`spanmeter export`: what was used, told to the billing systems that teams have."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from spanmeter.console.extras import require
from spanmeter.console.failures import JobFailed, UnusableSetting
from spanmeter.console.flags import accepts, lasting, listing_format
from spanmeter.console.listing import FORMATS
from spanmeter.console.settings import Settings

if TYPE_CHECKING:
    from spanmeter.console.exports.configuration import Configured
    from spanmeter.storage.connection import Connection


@click.group()
def export() -> None:
    """Tell Stripe, Chargebee, Lago, OpenMeter or any other what was used: exactly once, and exactly that.

    A TOML file says what goes where; see docs/exports.md. What is sent is kept first, so that a run that was killed is
    gone on with by the next.
    """


def _targets(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the file of targets and which of them are meant."""
    command = click.argument("targets", nargs=-1, metavar="[TARGET]...")(command)
    return accepts("dsn", "data", "exports")(command)


@export.command(name="list")
@_targets
@listing_format
def all_targets(settings: Settings, targets: tuple[str, ...], form: str) -> None:
    """Show the targets of the file, and up to when they are exported."""
    require("spanmeter export", "collector")
    from spanmeter.console.exports.listings import targets_listing
    from spanmeter.console.ledger_access import ledger_dsn, reading

    chosen = _chosen(settings.exports, targets)
    with ledger_dsn(settings) as dsn, reading(dsn) as connection:
        click.echo(FORMATS[form](targets_listing(connection, chosen)), nl=False)


@export.command()
@_targets
@click.option(
    "--every",
    callback=lasting,
    metavar="LENGTH",
    help="Go on, again and again: 1h, 1d. Default: once.",
)
def run(settings: Settings, targets: tuple[str, ...], every: timedelta | None) -> None:
    """Export all that is due to all targets, or to these. Doing it again sends nothing twice."""
    require("spanmeter export", "collector")
    from spanmeter.console.ledger_access import changing, ledger_dsn, refuse_outdated

    chosen = _chosen(settings.exports, targets)
    if every is None:
        with changing(settings) as connection:
            _run_once(connection, chosen)
        return
    from threading import Event

    from spanmeter.console.exports.schedule import keep_exporting, scheduled
    from spanmeter.console.receiving import logging_as

    logging_as(settings)()
    with ledger_dsn(settings) as dsn:
        refuse_outdated(dsn)
        keep_exporting(dsn, scheduled(chosen, every), Event())


@export.command()
@_targets
@listing_format
def status(settings: Settings, targets: tuple[str, ...], form: str) -> None:
    """Compare what targets were told with the ledger, meter by meter, to the last digit."""
    require("spanmeter export", "collector")
    from spanmeter.console.exports.standing import status as standing
    from spanmeter.console.ledger_access import ledger_dsn, reading

    chosen = _chosen(settings.exports, targets)
    with ledger_dsn(settings) as dsn, reading(dsn) as connection:
        click.echo(FORMATS[form](standing(connection, chosen)), nl=False)


@export.command()
@click.argument("target")
@accepts("dsn", "data")
@click.option(
    "--state",
    "states",
    multiple=True,
    metavar="STATE",
    help="Only these: pending, sent, confirmed, ambiguous, failed, carried, not_exportable, superseded. Repeatable.",
)
@listing_format
def show(settings: Settings, target: str, states: tuple[str, ...], form: str) -> None:
    """Show what was sent to a target, or is to be, one by one, and why what was not sent was not."""
    require("spanmeter export", "collector")
    from spanmeter.console.exports.listings import intents_listing
    from spanmeter.console.ledger_access import ledger_dsn, reading

    with ledger_dsn(settings) as dsn, reading(dsn) as connection:
        click.echo(FORMATS[form](intents_listing(connection, target, states)), nl=False)


@export.command()
@click.argument("target")
@click.argument("intent", metavar="[ID]", required=False)
@accepts("dsn", "data")
@click.option(
    "--delivered/--not-delivered",
    "delivered",
    default=None,
    help="What you found out of an ambiguous one: the target has it, or has it not.",
)
def retry(settings: Settings, target: str, intent: str | None, *, delivered: bool | None) -> None:
    """Have what a target refused planned anew by the next run; the beginning of an ID keeps to one."""
    require("spanmeter export", "collector")
    from spanmeter.console.exports.retrying import decide, give_up
    from spanmeter.console.ledger_access import changing

    with changing(settings) as connection:
        if delivered is None:
            click.echo(f"{give_up(connection, target, intent):,} to be planned anew")
        elif intent is None:
            raise click.UsageError("name the ID of which you found out")
        else:
            decide(connection, target, intent, delivered=delivered)
            click.echo("noted")


def _run_once(connection: "Connection", targets: Sequence["Configured"]) -> None:
    from spanmeter.console.exports.running import run_target
    from spanmeter.console.exports.target import TargetUnusable

    unfinished: list[str] = []
    for configured in targets:
        try:
            done = run_target(connection, configured)
        except TargetUnusable as error:
            click.echo(f"{configured.name}: {error}", err=True)
            unfinished.append(configured.name)
            continue
        click.echo(f"{configured.name}: {done.said}")
        if done.left or done.failed or done.busy:
            unfinished.append(configured.name)
    if unfinished:
        raise JobFailed(
            f"not all is exported to {', '.join(unfinished)}: see `spanmeter export status`; the next run goes on"
        )


def _chosen(path: Path, names: Sequence[str]) -> list["Configured"]:
    """The targets of the file, or those of these names. Raises `UnusableSetting`."""
    from spanmeter.console.exports.configuration import read_configuration

    configured = read_configuration(path)
    if unknown := sorted(set(names) - {each.name for each in configured}):
        known = ", ".join(each.name for each in configured)
        raise UnusableSetting(f"{path} has no target {', '.join(unknown)}; there are {known}")
    return [each for each in configured if not names or each.name in names]
