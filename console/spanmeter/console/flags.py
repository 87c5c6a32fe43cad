"""The flags that several commands share, and how a command receives them: as one `Settings`."""

import functools
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import click

from spanmeter.console.failures import UnusableSetting, explained
from spanmeter.console.listing import FORMATS
from spanmeter.console.periods import duration, instant
from spanmeter.console.settings import DURABILITY, LOG_FORMATS, LOG_LEVELS, InvalidSetting, Settings

_FLAGS: dict[str, Callable[[Callable[..., None]], Callable[..., None]]] = {
    "dsn": click.option(
        "--dsn", metavar="DSN", help="The ledger's PostgreSQL or TimescaleDB. [SPANMETER_DSN]"
    ),
    "data": click.option(
        "--data",
        metavar="DIR",
        help="Where the embedded database lives. [SPANMETER_DATA]"
        " Default: ~/.local/share/spanmeter; for root /var/lib/spanmeter.",
    ),
    "grpc": click.option(
        "--grpc",
        metavar="HOST:PORT",
        help="Where spans are received; port 0 picks a free one. [SPANMETER_GRPC]"
        " Default: 127.0.0.1:4317, this machine only.",
    ),
    "http": click.option(
        "--http",
        metavar="HOST:PORT",
        help="Where spans are received over HTTP; port 0 picks a free one. [SPANMETER_HTTP]"
        " Default: 127.0.0.1:4318, this machine only.",
    ),
    "workers": click.option(
        "--workers",
        metavar="N",
        help="Processes that receive, on the same ports. [SPANMETER_WORKERS] Default: 1.",
    ),
    "tls_certificate": click.option(
        "--tls-certificate",
        metavar="FILE",
        help="PEM; with --tls-key, spans are received over TLS only. [SPANMETER_TLS_CERTIFICATE]",
    ),
    "tls_key": click.option(
        "--tls-key",
        metavar="FILE",
        help="PEM, the key of --tls-certificate. [SPANMETER_TLS_KEY]",
    ),
    "tls_client_authority": click.option(
        "--tls-client-authority",
        metavar="FILE",
        help="PEM; only senders with a certificate that it signed are let in."
        " [SPANMETER_TLS_CLIENT_AUTHORITY]",
    ),
    "auth": click.option(
        "--auth/--no-auth",
        default=None,
        help="Whether senders need an API key. [SPANMETER_AUTH]"
        " Default: unless only this machine can connect.",
    ),
    "seal_after": click.option(
        "--seal-after",
        metavar="HOURS",
        help="How long after the end of a day, UTC, it is sealed, or never. [SPANMETER_SEAL_AFTER]"
        " Default: 2.",
    ),
    "alerts": click.option(
        "--alerts/--no-alerts",
        default=None,
        help="Whether alerts are looked for. [SPANMETER_ALERTS] Default: if they are installed.",
    ),
    "attribution": click.option(
        "--attribution",
        metavar="PLACES",
        help="Where spans name their tenant and other dimensions, beside our own attributes:"
        " tenant=customer.id,resource:team;user=login. [SPANMETER_ATTRIBUTION]",
    ),
    "journal": click.option(
        "--journal",
        metavar="DIR",
        help="Where spans are kept while the database is away. [SPANMETER_JOURNAL]"
        " Default: journal in the directory of --data.",
    ),
    "durability": click.option(
        "--durability",
        type=click.Choice(DURABILITY, case_sensitive=False),
        help="What spans are acknowledged from; db alone refuses them while the database is away."
        " [SPANMETER_DURABILITY] Default: journal+db.",
    ),
    "console": click.option(
        "--console",
        metavar="HOST:PORT",
        help="Where pages and API are, or off. [SPANMETER_CONSOLE]"
        " Default: 127.0.0.1:4319, this machine only.",
    ),
    "console_url": click.option(
        "--console-url",
        metavar="URL",
        help="Where people reach the console, behind a proxy, say. [SPANMETER_CONSOLE_URL]",
    ),
    "console_name": click.option(
        "--console-name",
        metavar="TEXT",
        help="Heading of tenants' pages. [SPANMETER_CONSOLE_NAME] Default: Usage.",
    ),
    "console_accent": click.option(
        "--console-accent",
        metavar="COLOUR",
        help="Colour of tenants' pages: #4f46e5. [SPANMETER_CONSOLE_ACCENT]",
    ),
    "console_logo": click.option(
        "--console-logo", metavar="FILE", help="Logo of tenants' pages. [SPANMETER_CONSOLE_LOGO]"
    ),
    "console_frame_ancestors": click.option(
        "--console-frame-ancestors",
        metavar="ORIGINS",
        help="Comma-separated: whose pages may embed a tenant's page."
        " [SPANMETER_CONSOLE_FRAME_ANCESTORS] Default: nobody's.",
    ),
    "exports": click.option(
        "--exports",
        metavar="FILE",
        help="What is exported to where, as TOML. [SPANMETER_EXPORTS] Default: exports.toml.",
    ),
    "log_level": click.option(
        "--log-level",
        type=click.Choice(LOG_LEVELS, case_sensitive=False),
        help="How much is logged, to standard error. [SPANMETER_LOG_LEVEL] Default: info.",
    ),
    "log_format": click.option(
        "--log-format",
        type=click.Choice(LOG_FORMATS, case_sensitive=False),
        help="text for people, or one JSON object per line. [SPANMETER_LOG_FORMAT] Default: text.",
    ),
}


RECEIVING = (
    "grpc",
    "http",
    "workers",
    "tls_certificate",
    "tls_key",
    "tls_client_authority",
    "auth",
    "attribution",
    "journal",
    "durability",
    "seal_after",
    "log_level",
    "log_format",
)
"""The flags of every command that receives spans."""


SHOWING = (
    "console",
    "console_url",
    "console_name",
    "console_accent",
    "console_logo",
    "console_frame_ancestors",
)
"""The flags of every command that serves a console."""


def accepts(*names: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command these shared flags; it receives the run's `Settings` first."""

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(command)
        def with_settings(**arguments: Any) -> None:
            given = {name: arguments.pop(name) for name in names}
            settings = _settings(given)
            with explained():
                command(settings, **arguments)

        decorated: Callable[..., None] = with_settings
        for name in reversed(names):
            decorated = _FLAGS[name](decorated)
        return decorated

    return decorate


def listing_format(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command `--format`; it receives one of `listing.FORMATS` as `form`."""
    return click.option(
        "--format",
        "form",
        type=click.Choice(list(FORMATS)),
        default="table",
        help="table rounds money for reading; json and csv are exact. Default: table.",
    )(command)


def since_when(
    text: str, default: str | None = None
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command `--since`; it receives a moment."""
    return click.option("--since", callback=moment, default=default, metavar="WHEN", help=text)


def moment(ctx: click.Context, param: click.Parameter, value: str | None) -> datetime | None:
    """What a flag's WHEN means, now."""
    try:
        return None if value is None else instant(value, datetime.now(UTC))
    except ValueError as error:
        raise click.BadParameter(str(error), ctx, param) from error


def lasting(ctx: click.Context, param: click.Parameter, value: str | None) -> timedelta | None:
    """How long a flag's LENGTH is."""
    try:
        return None if value is None else duration(value)
    except ValueError as error:
        raise click.BadParameter(str(error), ctx, param) from error


def _settings(given: dict[str, object]) -> Settings:
    config = click.get_current_context().find_root().params.get("config")
    try:
        return Settings.read(given, file=config)
    except InvalidSetting as error:
        raise UnusableSetting(str(error)) from error
