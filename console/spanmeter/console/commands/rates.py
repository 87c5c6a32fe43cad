"""`spanmeter rates`: what providers charge, recorded, compared, approved, and applied to what is booked."""

from datetime import UTC, datetime
from getpass import getuser
from pathlib import Path
from typing import TYPE_CHECKING

import click

from spanmeter.console.commands.rates_set import set_rate
from spanmeter.console.extras import require
from spanmeter.console.flags import accepts, listing_format, moment, since_when
from spanmeter.console.listing import FORMATS
from spanmeter.console.settings import Settings

if TYPE_CHECKING:
    from spanmeter.storage.connection import Connection

_FILE = click.Path(path_type=Path, dir_okay=False, exists=True)
_BY = click.option("--by", metavar="NAME", help="Who does it. Default: the login's name.")
_TENANT = click.option("--tenant", metavar="ID", help="Of this tenant's contract.")
_SECOND = click.option(
    "--second",
    type=_FILE,
    metavar="FILE",
    help="A second opinion: your copy of LiteLLM's model_prices_and_context_window.json.",
)


@click.group()
def rates() -> None:
    """What providers charge: rate cards, dated, approved, never changed.

    A contract's card comes before the organisation's, and that before the catalogue.
    """


@rates.command("import")
@click.argument("file", type=_FILE, required=False)
@click.option("--catalogue", is_flag=True, help="The catalogue of the installed genai-prices.")
@_SECOND
@_BY
@accepts("dsn", "data")
def import_(
    settings: Settings, file: Path | None, second: Path | None, by: str | None, *, catalogue: bool
) -> None:
    """Record rates, to be approved: a catalogue (JSON), or rates of your own (TOML or CSV).

    Nothing is charged at them until `spanmeter rates approve`.
    """
    require("spanmeter rates", "collector")
    if catalogue == (file is not None):
        raise click.UsageError("give either FILE or --catalogue")
    from spanmeter.console.ledger_access import changing
    from spanmeter.console.rate_files import second_of
    from spanmeter.console.rate_recording import ask_second

    opinion = None if second is None else second_of(second)
    with changing(settings) as connection, connection.transaction():
        click.echo(_imported(connection, file, by or getuser()))
        if opinion is not None:
            known = ask_second(connection, opinion)
            click.echo(f"{opinion.source} knows a price of {known} of those that wait")


@rates.command()
@listing_format
@accepts("dsn", "data")
def diff(settings: Settings, form: str) -> None:
    """Show what waits for approval, and what it would have meant for the last 30 days."""
    require("spanmeter rates", "collector")
    from spanmeter.console.ledger_access import ledger_dsn, reading
    from spanmeter.console.rate_listing import changes_listing
    from spanmeter.console.rate_reprice import in_money, would_change
    from spanmeter.metering.rate_changes import change_of
    from spanmeter.storage.rates import pending, read_book

    with ledger_dsn(settings) as dsn, reading(dsn) as connection:
        in_force = {(rate.card, rate.name): rate for rate in read_book(connection).in_force()}
        waiting = pending(connection)
        changes = [
            (change_of(in_force.get((each.rate.card, each.rate.name)), each.rate), each)
            for each in waiting
        ]
        money = in_money(would_change(connection, [each.rate for each in waiting]))
    click.echo(FORMATS[form](changes_listing(changes, money if waiting else ())), nl=False)


@rates.command()
@click.option(
    "--auto", is_flag=True, help="Only what the second catalogue confirms, to within 1 %."
)
@click.option(
    "--accept",
    "accepted",
    multiple=True,
    metavar="NAME",
    help="This rate, whoever disputes it; may be repeated.",
)
@_SECOND
@_BY
@accepts("dsn", "data")
def approve(
    settings: Settings,
    accepted: tuple[str, ...],
    second: Path | None,
    by: str | None,
    *,
    auto: bool,
) -> None:
    """Bring into force what waits: all that no second catalogue disputes, or what the flags say."""
    require("spanmeter rates", "collector")
    from spanmeter.console.ledger_access import changing
    from spanmeter.console.rate_files import second_of
    from spanmeter.console.rate_recording import approve as approve_
    from spanmeter.console.rate_recording import ask_second

    opinion = None if second is None else second_of(second)
    with changing(settings) as connection, connection.transaction():
        if opinion is not None:
            ask_second(connection, opinion)
        done = approve_(connection, by or getuser(), accepted=accepted, auto=auto)
    disputed = sum(bool(each.opinion and not each.opinion.agrees) for each in done.waiting)
    click.echo(
        f"{done.approved} rates approved; {len(done.waiting)} wait, {disputed} of them disputed"
    )


@rates.command("list")
@_TENANT
@click.option("--provider", metavar="NAME", help="Only this provider.")
@click.option("--model", metavar="NAME", help="Only rates that this model could be charged at.")
@click.option("--card", metavar="NAME", help="Only this card: organisation, genai-prices ...")
@click.option("--as-of", callback=moment, metavar="WHEN", help="As approved by then. Default: now.")
@listing_format
@accepts("dsn", "data")
def list_(
    settings: Settings,
    tenant: str | None,
    provider: str | None,
    model: str | None,
    card: str | None,
    as_of: datetime | None,
    form: str,
) -> None:
    """Show the rates in force, of all dates: a line for each price, as `rates import` reads them."""
    require("spanmeter rates", "collector")
    from spanmeter.console.ledger_access import ledger_dsn, reading
    from spanmeter.console.rate_listing import rates_listing
    from spanmeter.metering.providers import canonical_provider, catalogue_id
    from spanmeter.storage.rates import read_book

    with ledger_dsn(settings) as dsn, reading(dsn) as connection:
        found = read_book(connection).in_force(as_of)
    if provider is not None:
        canonical = canonical_provider(provider)
        names = {provider, canonical, catalogue_id(canonical)}
        found = [rate for rate in found if rate.provider in names]
    chosen = [
        rate
        for rate in found
        if (tenant is None or rate.tenant_id == tenant)
        and (card is None or rate.card == card)
        and (model is None or rate.takes(model.lower(), rate.region))
    ]
    click.echo(FORMATS[form](rates_listing(chosen, {"as_of": as_of} if as_of else {})), nl=False)


@rates.command()
@click.argument("second", type=_FILE)
@listing_format
@accepts("dsn", "data")
def check(settings: Settings, second: Path, form: str) -> None:
    """Show where a second catalogue differs by more than 1 % from the one in force."""
    require("spanmeter rates", "collector")
    from spanmeter.console.ledger_access import ledger_dsn, reading
    from spanmeter.console.rate_files import second_of
    from spanmeter.console.rate_listing import disputes_listing
    from spanmeter.metering.second_catalogue import second_opinions
    from spanmeter.storage.rates import read_book

    other = second_of(second)
    with ledger_dsn(settings) as dsn, reading(dsn) as connection:
        in_force = [r for r in read_book(connection).in_force() if r.scope == "catalogue"]
    found = list(second_opinions(in_force, other.catalogue, datetime.now(UTC)))
    click.echo(FORMATS[form](disputes_listing(found, other.source, len(in_force))), nl=False)


@rates.command()
@since_when("Calls from then on: 2026-11-01, 30d, month ... Default: 30d.", "30d")
@click.option("--until", callback=moment, metavar="WHEN", help="Before this. Default: no end.")
@click.option("--model", metavar="NAME", help="Only this model.")
@click.option("--tenant", metavar="ID", help="Only this tenant.")
@click.option("--apply", is_flag=True, help="Book the differences as adjustments.")
@listing_format
@accepts("dsn", "data")
def reprice(
    settings: Settings,
    since: datetime,
    until: datetime | None,
    model: str | None,
    tenant: str | None,
    form: str,
    *,
    apply: bool,
) -> None:
    """Cost what is booked again at the rates in force now, show the difference, and book it.

    Rows never change: the difference is booked as adjustments. Running it again books nothing.
    """
    require("spanmeter rates", "collector")
    from spanmeter.console.ledger_access import ledger_dsn
    from spanmeter.console.rate_reprice import differences_listing
    from spanmeter.console.rate_reprice import reprice as run
    from spanmeter.storage.repricing import Asked

    asked = Asked(since=since, until=until, model=model, tenant=tenant)
    with ledger_dsn(settings) as dsn:
        found = run(
            dsn,
            asked,
            apply=apply,
            progress=lambda calls: click.echo(f"{calls} calls ...", err=True),
        )
    click.echo(FORMATS[form](differences_listing(found, asked, applied=apply)), nl=False)


rates.add_command(set_rate)


def _imported(connection: "Connection", file: Path | None, by: str) -> str:
    from spanmeter.console.rate_files import catalogue_of, overrides_of
    from spanmeter.console.rate_recording import import_catalogue, import_overrides
    from spanmeter.metering.installed_catalogue import installed_catalogue, installed_version

    if file is None:
        version = installed_version()
        source = f"genai-prices {version}, as installed"
        count = import_catalogue(connection, installed_catalogue(), version, source, by)
        return f"genai-prices {version}: {count} rates are new, changed or gone"
    if file.suffix == ".json":
        catalogue, version = catalogue_of(file)
        count = import_catalogue(connection, catalogue, version, file.name, by)
        return f"genai-prices {version}: {count} rates are new, changed or gone"
    recorded = import_overrides(connection, overrides_of(file), file.name, by)
    return ", ".join(f"{each.card} {each.version} is recorded" for each in recorded) or (
        "nothing is new"
    )
