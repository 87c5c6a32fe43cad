"""`spanmeter collector`: the receiver alone, on a database that is looked after elsewhere."""

import click

from spanmeter.console.extras import require
from spanmeter.console.failures import UnusableSetting
from spanmeter.console.flags import RECEIVING, accepts
from spanmeter.console.settings import Settings


@click.command()
@accepts("dsn", *RECEIVING)
def collector(settings: Settings) -> None:
    """Receive spans (OTLP, over gRPC and HTTP) and book them in the ledger of --dsn.

    The tables are never changed here: `spanmeter db migrate` does that. The last line on standard
    output is `READY grpc=HOST:PORT http=HOST:PORT`. SIGTERM finishes what was received.
    """
    require("spanmeter collector", "collector")
    from spanmeter.collector_receiver import run
    from spanmeter.console.ledger_access import checked, refuse_leaks, refuse_outdated
    from spanmeter.console.receiving import collector_settings, logging_as, ready_line

    log = logging_as(settings)
    log()
    if settings.dsn is None:
        raise UnusableSetting("spanmeter collector needs a database: give --dsn or SPANMETER_DSN")
    dsn = checked(settings.dsn)
    refuse_outdated(dsn)
    refuse_leaks(dsn)
    run(
        collector_settings(settings, dsn),
        ready=lambda addresses: click.echo(ready_line(addresses)),
        begin=log,
    )
