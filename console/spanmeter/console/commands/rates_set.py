"""`spanmeter rates set`: one rate of one's own."""

from datetime import datetime
from decimal import Decimal, InvalidOperation
from getpass import getuser
from typing import TYPE_CHECKING

import click

from spanmeter.console.extras import require
from spanmeter.console.failures import JobFailed
from spanmeter.console.flags import accepts, moment
from spanmeter.console.settings import Settings

if TYPE_CHECKING:
    from spanmeter.metering.prices import Price


def _price(
    ctx: click.Context, param: click.Parameter, value: tuple[str, ...]
) -> "dict[str, Price]":
    from spanmeter.metering.prices import BadPrice, Price

    prices: dict[str, Price] = {}
    for text in value:
        unit, _, price = text.partition("=")
        try:
            prices[unit] = Price.parsed(price, unit)
        except BadPrice as error:
            raise click.BadParameter(str(error), ctx, param) from error
    return prices


def _factor(ctx: click.Context, param: click.Parameter, value: str | None) -> Decimal | None:
    if value is None:
        return None
    try:
        factor = Decimal(value)
    except InvalidOperation:
        factor = Decimal("NaN")
    if not factor.is_finite() or not 0 <= factor <= 1000:
        raise click.BadParameter(f"{value!r} is no factor; 0.8 is 20 % off", ctx, param)
    return factor


@click.command("set")
@click.argument("prices", nargs=-1, callback=_price, metavar="UNIT=PRICE[/PER]...")
@click.option("--provider", required=True, metavar="NAME", help="openai, aws.bedrock ...")
@click.option("--model", required=True, metavar="NAME", help="A model, or a pattern: gpt-4o*.")
@click.option("--tenant", metavar="ID", help="In this tenant's contract. Default: for all tenants.")
@click.option("--region", metavar="NAME", help="Only calls in this region.")
@click.option("--tier", metavar="NAME", help="batch, flex, priority ..., or * for any.")
@click.option("--from", "since", callback=moment, metavar="WHEN", help="Calls from then on.")
@click.option("--currency", default="USD", metavar="CODE", help="Default: USD.")
@click.option("--factor", callback=_factor, metavar="NUMBER", help="So much of the rate in force.")
@click.option("--only", is_flag=True, help="These prices alone, not the others in force.")
@click.option("--withdraw", is_flag=True, help="Take the rate back, as if it had never been.")
@click.option("--by", metavar="NAME", help="Who does it. Default: the login's name.")
@accepts("dsn", "data")
def set_rate(
    settings: Settings,
    prices: "dict[str, Price]",
    provider: str,
    model: str,
    tenant: str | None,
    region: str | None,
    tier: str | None,
    since: datetime | None,
    currency: str,
    factor: Decimal | None,
    by: str | None,
    *,
    only: bool,
    withdraw: bool,
) -> None:
    """Set one rate, approved at once: input_tokens=2.00/1M images=0.04 'input_tokens=1/1M,>200k:2'.

    Prices that are left out are those of the rate in force for the model. Without any price, and with --only, the
    rate ends at --from, and the next card decides.
    """
    require("spanmeter rates", "collector")
    if not (prices or factor is not None or only or withdraw):
        raise click.UsageError("give prices, --factor, --only or --withdraw")
    from spanmeter.console.ledger_access import changing
    from spanmeter.console.rate_recording import completed, import_overrides
    from spanmeter.metering.rate_overrides import BadOverrides, Override
    from spanmeter.storage.rates import approve_version

    who = by or getuser()
    try:
        override = Override(
            provider=provider,
            model=model,
            tenant_id=tenant,
            region=region,
            service_tier=tier,
            effective_from=since,
            currency=currency,
            prices=prices,
        )
    except BadOverrides as error:
        raise click.UsageError(str(error)) from error
    with changing(settings) as connection, connection.transaction():
        if not only and not withdraw:
            override = completed(connection, override, factor)
        if not (override.prices or only or withdraw):
            raise JobFailed(f"no rate is in force for {provider} {model}: give prices")
        recorded = import_overrides(
            connection, [override], "spanmeter rates set", who, withdrawn=withdraw
        )
        for version in recorded:
            approve_version(connection, version)
    if not recorded:
        click.echo("that is so already")
    for version in recorded:
        click.echo(f"approved {override.as_rate(version.version).rate_version}")
