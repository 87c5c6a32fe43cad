"""`spanmeter adjust`: corrections of the ledger, each with a reason, each one that can be taken back."""

from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from spanmeter.console.extras import require
from spanmeter.console.flags import accepts, listing_format, moment, since_when
from spanmeter.console.listing import FORMATS
from spanmeter.console.settings import Settings

if TYPE_CHECKING:
    from spanmeter.metering.resolution import Key
    from spanmeter.storage.connection import Connection


@click.group()
def adjust() -> None:
    """Correct the ledger: by amounts to add, or by the tenants that usage belongs to.

    Rows never change. A correction is an adjustment beside them, with its reason, and can be taken back.
    """


def _amount(ctx: click.Context, param: click.Parameter, value: str | None) -> Decimal | None:
    try:
        amount = None if value is None else Decimal(value)
    except InvalidOperation:
        amount = Decimal("NaN")
    if amount is not None and not amount.is_finite():
        raise click.BadParameter(f"{value!r} is no amount", ctx, param)
    return amount


@adjust.command()
@accepts("dsn", "data")
@click.option("--reason", required=True, metavar="TEXT", help="Why, in words.")
@click.option(
    "--reference",
    required=True,
    metavar="TEXT",
    help="What it rests on: a ticket, a line of an invoice. The same correction is booked once for it.",
)
@click.option(
    "--event", metavar="EVENT", help="The call it corrects, as `spanmeter explain` takes it."
)
@click.option(
    "--tenant", metavar="ID", help="Whose usage. Default: the event's; without one, nobody's."
)
@click.option(
    "--time", "when", callback=moment, metavar="WHEN", help="Time of service. Default: the event's."
)
@click.option("--provider", metavar="NAME", help="Default: the event's.")
@click.option("--model", metavar="NAME", help="Default: the event's.")
@click.option("--feature", metavar="NAME", help="Default: the event's.")
@click.option(
    "--state", type=click.Choice(["billable", "included", "ignored"]), help="Default: the event's."
)
@click.option(
    "--cost", callback=_amount, metavar="AMOUNT", help="Cost to add; below 0 it is taken off."
)
@click.option("--currency", default="USD", metavar="CODE", help="Of --cost. Default: USD.")
@click.option("--requests", type=int, default=0, metavar="N", help="Requests to add.")
@click.option(
    "--input-tokens", type=int, metavar="N", help="Input tokens to add, cached ones included."
)
@click.option(
    "--output-tokens", type=int, metavar="N", help="Output tokens to add, reasoning included."
)
@click.option("--apply", "applied", is_flag=True, help="Book it. Default: show it.")
@listing_format
def add(settings: Settings, form: str, *, applied: bool, **told: Any) -> None:
    """Add amounts to the ledger, or take them off it."""
    require("spanmeter adjust", "collector")
    from spanmeter.console.correcting import correction, one_correction
    from spanmeter.console.ledger_access import changing
    from spanmeter.storage.adjustments import book

    with changing(settings) as connection:
        adjustment = correction(connection, **told)
        new = bool(book(connection, [adjustment])) if applied else False
    click.echo(FORMATS[form](one_correction(adjustment, applied=applied, new=new)), nl=False)


@adjust.command()
@accepts("dsn", "data")
@since_when("Usage from then on: 2026-11-20, 30d, month ... Default: 30d.", "30d")
@click.option("--until", callback=moment, metavar="WHEN", help="Before this. Default: now.")
@click.option(
    "--by",
    multiple=True,
    metavar="trace|DIMENSION",
    help="What tells: trace (all other calls of the trace are of one tenant), or a dimension whose value is one"
    " tenant's elsewhere: user, workspace, dimension:session ... Repeatable, the first has precedence. Default: trace.",
)
@click.option(
    "--map",
    "mapping",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Who says: TOML or CSV of tenants by callsite, service, any dimension.",
)
@click.option(
    "--event", "events", multiple=True, metavar="EVENT", help="A call of --tenant. Repeatable."
)
@click.option("--tenant", metavar="ID", help="Whose the calls of --event are.")
@click.option("--apply", "applied", is_flag=True, help="Book it. Default: show it.")
@listing_format
def attribute(
    settings: Settings,
    since: datetime,
    until: datetime | None,
    by: tuple[str, ...],
    mapping: Path | None,
    events: tuple[str, ...],
    tenant: str | None,
    form: str,
    *,
    applied: bool,
) -> None:
    """Give usage without a tenant the one it belongs to, where that is certain.

    What two tenants claim stays without one. Running it again changes nothing.
    """
    require("spanmeter adjust", "collector")
    from spanmeter.console.attribution import apply, propose, proposed
    from spanmeter.console.ledger_access import changing
    from spanmeter.storage.attributing import TRACE, Period
    from spanmeter.storage.errors import UnknownDimension

    if bool(events) != (tenant is not None):
        raise click.UsageError("--event and --tenant go together")
    default = [] if events or mapping is not None else [TRACE]
    with changing(settings) as connection:
        period = Period(since, until or datetime.now(UTC))
        named = [_key(connection, each) for each in events]
        try:
            names = [name for each in by for name in _told_by(each)]
            proposal = propose(
                connection,
                period,
                mapping=mapping,
                events=named,
                tenant=tenant,
                by=names or default,
            )
        except UnknownDimension as error:
            raise click.BadParameter(str(error), param_hint="--by") from error
        if applied:
            apply(connection, proposal)
    booked = applied and bool(proposal.adjustments)
    click.echo(FORMATS[form](proposed(proposal, booked=booked)), nl=False)


@adjust.command(name="list")
@accepts("dsn", "data")
@since_when("Booked from then on. Default: 30d.", "30d")
@listing_format
def all_booked(settings: Settings, since: datetime, form: str) -> None:
    """Show what was booked as corrections, latest first, by what it rests on."""
    require("spanmeter adjust", "collector")
    from spanmeter.console.correcting import references
    from spanmeter.console.ledger_access import ledger_dsn, reading

    with ledger_dsn(settings) as dsn, reading(dsn) as connection:
        click.echo(FORMATS[form](references(connection, since)), nl=False)


@adjust.command()
@click.argument("reference")
@accepts("dsn", "data")
def undo(settings: Settings, reference: str) -> None:
    """Take back all that was booked for a reference. Doing it again changes nothing."""
    require("spanmeter adjust", "collector")
    from spanmeter.console.failures import JobFailed
    from spanmeter.console.ledger_access import changing
    from spanmeter.storage.corrections import booked_for
    from spanmeter.storage.corrections import undo as take_back

    with changing(settings) as connection:
        if not booked_for(connection, reference):
            raise JobFailed(
                f"nothing is booked for the reference {reference!r}: `spanmeter adjust list` shows what is"
            )
        click.echo(f"{take_back(connection, reference):,} adjustments taken back")


def _told_by(text: str) -> list[str]:
    """What tells whose usage is: `trace`, or dimensions."""
    from spanmeter.console.usage import dimensions
    from spanmeter.storage.attributing import TRACE

    return [TRACE] if text == TRACE else dimensions(text)


def _key(connection: "Connection", name: str) -> "Key":
    from spanmeter.console.correcting import the_event

    return the_event(connection, name).key
