"""`spanmeter rules`: which usage is billable, included or ignored."""

import getpass
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from spanmeter.console.extras import require
from spanmeter.console.flags import accepts, listing_format, moment, since_when
from spanmeter.console.listing import FORMATS, Column, Listing
from spanmeter.console.settings import Settings

if TYPE_CHECKING:
    from spanmeter.metering.billable import Rules
    from spanmeter.storage.connection import Connection
    from spanmeter.storage.redeciding import Move

_HISTORY = (
    Column("version", "version"),
    Column("set_at", "set at"),
    Column("set_by", "by"),
    Column("login", "login"),
    Column("rules", "rules"),
    Column("note", "note"),
)

_FILE = click.argument("file", type=click.Path(path_type=Path, dir_okay=False, exists=True))


def _until(command: Callable[..., None]) -> Callable[..., None]:
    return click.option(
        "--until", callback=moment, metavar="WHEN", help="Calls before this. Default: now."
    )(command)


@click.group()
def rules() -> None:
    """Say which usage is billable, included or ignored."""


@rules.command()
@accepts("dsn", "data")
@click.option("--version", metavar="VERSION", help="Default: those in force.")
def show(settings: Settings, version: str | None) -> None:
    """Print the rules, as a file that `rules set` takes."""
    require("spanmeter rules", "collector")
    from spanmeter.console.failures import JobFailed
    from spanmeter.console.ledger_access import ledger_dsn, reading
    from spanmeter.storage.rules import RuleBook, rules_in_force

    with ledger_dsn(settings) as dsn, reading(dsn) as connection:
        book = RuleBook(connection)
        found = rules_in_force(connection) if version is None else book.named(version)
    if found is None:
        raise JobFailed(f"this ledger has no rules {version!r}: see `spanmeter rules history`")
    click.echo(f"version {found.version}", err=True)
    click.echo(found.text, nl=not found.text.endswith("\n"))


@rules.command()
@_FILE
def check(file: Path) -> None:
    """Say whether FILE can be set."""
    require("spanmeter rules", "collector")
    read = _read(file)
    click.echo(f"{len(read.rules)} rules; what none applies to is {read.otherwise}")


@rules.command("set")
@_FILE
@accepts("dsn", "data")
@click.option("--by", metavar="NAME", help="Who sets them. Default: the user of this machine.")
@click.option("--note", metavar="TEXT", help="Why.")
def set_(settings: Settings, file: Path, by: str | None, note: str | None) -> None:
    """Put the rules of FILE in force; collectors follow within seconds. Booked rows keep their state."""
    require("spanmeter rules", "collector")
    from spanmeter.console.ledger_access import changing
    from spanmeter.storage.rules import set_rules

    text = _read(file).text
    with changing(settings) as connection:
        version, new = set_rules(connection, text, by or getpass.getuser(), note)
    click.echo(f"{version.version} is {'in force' if new else 'in force already'}")


@rules.command()
@accepts("dsn", "data")
@listing_format
def history(settings: Settings, form: str) -> None:
    """List every version that was set, the latest first."""
    require("spanmeter rules", "collector")
    from spanmeter.console.ledger_access import ledger_dsn, reading
    from spanmeter.storage.rules import rules_history

    with ledger_dsn(settings) as dsn, reading(dsn) as connection:
        rows = [
            (each.version, each.set_at, each.set_by, each.login, len(each.read().rules), each.note)
            for each in rules_history(connection)
        ]
    notes = [] if rows else ["None was set: the rules of this release are in force."]
    click.echo(FORMATS[form](Listing(columns=_HISTORY, rows=rows, notes=notes)), nl=False)


@rules.command("try")
@_FILE
@click.argument("event", required=False)
@accepts("dsn", "data")
@since_when("Calls from then on: 2026-11-20, 24h, 7d, month ... Default: 30d.", "30d")
@_until
@listing_format
def try_(
    settings: Settings,
    file: Path,
    event: str | None,
    since: datetime,
    until: datetime | None,
    form: str,
) -> None:
    """Tell what the rules of FILE would change: of EVENT, as `spanmeter explain` takes it, or of a period."""
    require("spanmeter rules", "collector")
    from spanmeter.console.ledger_access import ledger_dsn, reading
    from spanmeter.console.rule_changes import Changes
    from spanmeter.storage.connection import database_errors

    tried, changes = _read(file), Changes()
    with ledger_dsn(settings) as dsn, reading(dsn) as connection, database_errors():
        found = _moves(connection, tried, event, since, until or datetime.now(UTC))
        for _ in changes.counted(found, _tell):
            pass
    click.echo(FORMATS[form](changes.listing(tried.version, [])), nl=False)


@rules.command()
@accepts("dsn", "data")
@since_when("Calls from then on: 2026-11-20, 24h, 7d, month ... Default: 30d.", "30d")
@_until
@click.option("--apply", is_flag=True, help="Book it. Without, it is only told.")
@listing_format
def reapply(
    settings: Settings, since: datetime, until: datetime | None, form: str, *, apply: bool
) -> None:
    """Decide booked usage again by the rules in force, and book what changes as adjustments.

    Rows stay as they are. Running it again books nothing.
    """
    require("spanmeter rules", "collector")
    from spanmeter.console.ledger_access import ledger_dsn, reading
    from spanmeter.console.rule_changes import Changes
    from spanmeter.storage.connection import connect
    from spanmeter.storage.redeciding import post, reference_of
    from spanmeter.storage.rules import rules_in_force

    changes = Changes()
    with ledger_dsn(settings) as dsn, reading(dsn) as connection, connect(dsn) as booking:
        now = rules_in_force(connection)
        found = _moves(connection, now, None, since, until or datetime.now(UTC))
        counted = changes.counted(found, _tell)
        booked = post(booking, now.version, counted) if apply else sum(0 for _ in counted)
    notes = (
        [f"Booked {booked:,} adjustments with the reference {reference_of(now.version)}."]
        if apply
        else ["Nothing was booked: --apply does."]
    )
    click.echo(FORMATS[form](changes.listing(now.version, notes)), nl=False)


def _moves(
    connection: "Connection", tried: "Rules", event: str | None, since: datetime, until: datetime
) -> "Iterator[Move]":
    from spanmeter.console.commands.explain import the_event
    from spanmeter.storage.corrections import booked_against
    from spanmeter.storage.redeciding import moves, moves_of

    if event is None:
        return moves(connection, tried, since, until)
    booked = the_event(connection, event)
    corrections = booked_against(connection, [booked.key]).get(booked.key, [])
    return moves_of(booked, corrections, tried)


def _read(file: Path) -> "Rules":
    """The rules of a file. Raises `UnusableSetting`, which names rule and key."""
    from spanmeter.console.bounded_file import content_of
    from spanmeter.console.failures import UnusableSetting
    from spanmeter.metering.billable_rules import MAX_BYTES, RulesError, read_rules

    try:
        return read_rules("new", content_of(file, MAX_BYTES).decode())
    except (RulesError, UnicodeDecodeError) as error:
        raise UnusableSetting(f"{file}: {error}") from error
    except OSError as error:
        raise UnusableSetting(f"{file} cannot be read: {error.strerror}") from error


def _tell(moves: int) -> None:
    click.echo(f"{moves:,} changes ...", err=True)
