"""`spanmeter console`: the HTTP API and the pages."""

import click

from spanmeter.console.extras import require
from spanmeter.console.failures import UnusableSetting
from spanmeter.console.flags import SHOWING, accepts
from spanmeter.console.settings import CONSOLE_OFF, Settings


@click.command()
@click.option(
    "--link",
    is_flag=True,
    help="Print a link that logs in to a running console, once within an hour, and serve nothing.",
)
@accepts("dsn", "data", *SHOWING, "tls_certificate", "tls_key", "log_level", "log_format")
def console(settings: Settings, *, link: bool) -> None:
    """Serve what people see of the ledger: pages for you, a page for each tenant, and the API behind them.

    Prints a link that logs in once; later on log in with an API key of the scope read or admin. The last line on
    standard output is `READY console=HOST:PORT`. SIGTERM or Ctrl-C ends it.
    """
    require("spanmeter console", "collector", *([] if settings.dsn else ["embedded"]))
    from spanmeter.collector_receiver.http_server import address_of
    from spanmeter.console.console_beside import console_settings, listening, login_address
    from spanmeter.console.ledger_access import ledger_dsn, refuse_leaks, refuse_outdated
    from spanmeter.console.receiving import logging_as, tls_of
    from spanmeter.console.web.serving import serve

    logging_as(settings)()
    if settings.console == CONSOLE_OFF:
        raise UnusableSetting("there is no console to serve with --console off")
    tls = tls_of(settings)
    with ledger_dsn(settings) as dsn:
        refuse_outdated(dsn)
        refuse_leaks(dsn)
        if link:
            click.echo(login_address(settings, dsn, settings.console))
            return
        with listening(settings) as sock:
            address = address_of(sock)
            sock.listen()
            click.echo(f"Log in, once within an hour: {login_address(settings, dsn, address)}")
            click.echo(f"READY console={address}")
            serve(console_settings(settings, dsn), sock, tls=None if tls is None else tls.context())
