"""`spanmeter keys`: who may send spans and read usage."""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import click

from spanmeter.console.extras import require
from spanmeter.console.flags import accepts, lasting, listing_format, since_when
from spanmeter.console.listing import FORMATS
from spanmeter.console.settings import Settings

if TYPE_CHECKING:
    from spanmeter.storage.api_keys import NewKey, Scope

_TENANTS = click.option(
    "--tenant",
    "tenants",
    multiple=True,
    metavar="ID",
    help="It may send and read for this tenant alone; may be repeated. Default: for any.",
)
_EXPIRES = click.option(
    "--expires",
    callback=lasting,
    metavar="LENGTH",
    help="It works no longer than this: 12h, 90d. Default: until it is revoked.",
)


@click.group()
def keys() -> None:
    """Make, list, rotate, bind and revoke the API keys that senders show.

    A key is shown once, when it is made; the ledger keeps its digest. A change takes effect in every collector within
    seconds.
    """


@keys.command()
@click.argument("name")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    type=click.Choice(["ingest", "read", "admin"]),
    default=["ingest"],
    help="What it may do; may be repeated. Default: ingest.",
)
@_TENANTS
@_EXPIRES
@accepts("dsn", "data")
def create(
    settings: Settings,
    name: str,
    scopes: "tuple[Scope, ...]",
    tenants: tuple[str, ...],
    expires: timedelta | None,
) -> None:
    """Make a key, NAMEd for what it is for, and print it: the only time that it is shown."""
    require("spanmeter keys", "collector")
    from spanmeter.console.ledger_access import changing
    from spanmeter.storage.api_keys import create_key

    with changing(settings) as connection:
        made = create_key(
            connection,
            name,
            scopes=scopes,
            tenants=tenants or None,
            expires_at=None if expires is None else datetime.now(UTC) + expires,
        )
    _show(made)


@keys.command("list")
@accepts("dsn", "data")
@listing_format
def list_keys(settings: Settings, form: str) -> None:
    """Show the keys: what each may do, for whom, until when, and when it was last used."""
    require("spanmeter keys", "collector")
    from spanmeter.console.access import keys_listing
    from spanmeter.console.ledger_access import ledger_dsn, reading

    with ledger_dsn(settings) as dsn, reading(dsn) as connection:
        listing = keys_listing(connection)
    click.echo(FORMATS[form](listing), nl=False)


@keys.command()
@click.argument("key_id", metavar="KEY")
@click.option(
    "--overlap",
    callback=lasting,
    default="24h",
    metavar="LENGTH",
    help="How long the old key works beside the new one. Default: 24h.",
)
@_EXPIRES
@accepts("dsn", "data")
def rotate(settings: Settings, key_id: str, overlap: timedelta, expires: timedelta | None) -> None:
    """Make a key that may do what KEY may, print it, and let KEY expire."""
    require("spanmeter keys", "collector")
    from spanmeter.console.ledger_access import changing
    from spanmeter.storage.api_keys import rotate_key

    expires_at = None if expires is None else datetime.now(UTC) + expires
    with changing(settings) as connection:
        made = rotate_key(connection, _id_of(key_id), overlap=overlap, expires_at=expires_at)
    _show(made)


@keys.command()
@click.argument("key_id", metavar="KEY")
@_TENANTS
@accepts("dsn", "data")
def bind(settings: Settings, key_id: str, tenants: tuple[str, ...]) -> None:
    """Bind KEY to these tenants in place of those it had; without --tenant, to none."""
    require("spanmeter keys", "collector")
    from spanmeter.console.ledger_access import changing
    from spanmeter.storage.api_keys import bind_key

    with changing(settings) as connection:
        bind_key(connection, _id_of(key_id), tenants or None)
    click.echo(f"{_id_of(key_id)} may send for {', '.join(tenants) or 'any tenant'}")


@keys.command()
@click.argument("key_id", metavar="KEY")
@accepts("dsn", "data")
def revoke(settings: Settings, key_id: str) -> None:
    """End KEY for good, within seconds."""
    require("spanmeter keys", "collector")
    from spanmeter.console.ledger_access import changing
    from spanmeter.storage.api_keys import revoke_key

    with changing(settings) as connection:
        revoke_key(connection, _id_of(key_id))
    click.echo(f"{_id_of(key_id)} is revoked")


@keys.command()
@since_when("2026-11-20, 24h, 7d, today ... Default: 7d.", "7d")
@click.option("--key", "key_id", metavar="KEY", help="Only what is about this key.")
@click.option("--most", type=click.IntRange(1), default=1000, help="Entries. Default: 1000.")
@accepts("dsn", "data")
@listing_format
def log(settings: Settings, since: datetime, key_id: str | None, most: int, form: str) -> None:
    """Show what was changed of keys, and what was refused, the latest first."""
    require("spanmeter keys", "collector")
    from spanmeter.console.access import log_listing
    from spanmeter.console.ledger_access import ledger_dsn, reading

    with ledger_dsn(settings) as dsn, reading(dsn) as connection:
        listing = log_listing(connection, since, key_id and _id_of(key_id), most)
    click.echo(FORMATS[form](listing), nl=False)


@keys.command()
@click.argument("tenant")
@click.option(
    "--for",
    "lifetime",
    callback=lasting,
    default="15m",
    metavar="LENGTH",
    help="It works no longer than this, a day at most. Default: 15m.",
)
@accepts("dsn", "data", "console", "console_url", "tls_certificate")
def embed(settings: Settings, tenant: str, lifetime: timedelta) -> None:
    """Print a token with which TENANT's own page, and the API, show this tenant's usage and nothing else.

    Standard output is the token alone; where the page is goes to standard error.
    """
    require("spanmeter keys", "collector")
    from spanmeter.console.console_beside import console_settings, page_address
    from spanmeter.console.ledger_access import changing
    from spanmeter.console.web.tokens import LONGEST, Tokens, secrets_of

    if not timedelta() < lifetime <= LONGEST:
        raise click.BadParameter("a tenant's token works for 24h at most", param_hint="--for")
    with changing(settings) as connection:
        chosen = console_settings(settings, "")
        tokens = Tokens(lambda: secrets_of(chosen.secrets, connection))
        token = tokens.for_tenant(tenant, lifetime)
    page = page_address(settings, settings.console)
    click.echo(f'<iframe src="{page}/embed?token={token}"></iframe>', err=True)
    click.echo(token)


@keys.command("view")
@click.argument("tenant")
@click.option("--models/--no-models", default=None, help="Whether it sees providers and models.")
@click.option("--cost/--no-cost", default=None, help="Whether it sees what its usage costs you.")
@accepts("dsn", "data")
def tenant_view(settings: Settings, tenant: str, *, models: bool | None, cost: bool | None) -> None:
    """Show or lay down what TENANT sees of itself, beside actions, requests and tokens. Default: nothing."""
    require("spanmeter keys", "collector")
    from getpass import getuser

    from spanmeter.console.ledger_access import changing
    from spanmeter.storage import console_access

    with changing(settings) as connection:
        shown = console_access.tenant_view(connection, tenant)
        if models is not None or cost is not None:
            shown = console_access.set_tenant_view(
                connection,
                tenant,
                shows_models=shown.shows_models if models is None else models,
                shows_cost=shown.shows_cost if cost is None else cost,
                set_by=getuser(),
            )
    seen = [*(["models"] if shown.shows_models else []), *(["cost"] if shown.shows_cost else [])]
    click.echo(
        f"{tenant} sees its actions, requests and tokens{''.join(f', {each}' for each in seen)}"
    )


@keys.command("rotate-secret")
@click.option(
    "--overlap",
    callback=lasting,
    default="24h",
    metavar="LENGTH",
    help="How long tokens that are signed by now may still work. Default: 24h.",
)
@accepts("dsn", "data")
def rotate_secret(settings: Settings, overlap: timedelta) -> None:
    """Sign tenants' tokens and sessions with a new secret from now on."""
    require("spanmeter keys", "collector")
    from spanmeter.console.failures import UnusableSetting
    from spanmeter.console.ledger_access import changing
    from spanmeter.storage import console_access

    if settings.console_secret:
        raise UnusableSetting(
            "the secrets are given by SPANMETER_CONSOLE_SECRET: put a new one first there"
        )
    with changing(settings) as connection:
        console_access.rotate_secret(connection, overlap)
    click.echo("tokens are signed with a new secret")


def _id_of(key: str) -> str:
    """What a key begins with; who pastes all of it is not told so in a log."""
    return "_".join(key.split("_")[:2])


def _show(made: "NewKey") -> None:
    click.echo(f"{made.key_id}: keep the key now, it is not shown again.", err=True)
    click.echo(made.token)
