"""`spanmeter up`: everything on one machine, with one command."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from shlex import quote
from typing import TYPE_CHECKING

import click

from spanmeter.console.extras import installed, require
from spanmeter.console.flags import RECEIVING, SHOWING, accepts
from spanmeter.console.settings import Settings

if TYPE_CHECKING:
    from spanmeter.collector_receiver.server import Addresses

_READY = """\
spanmeter is up: every LLM call becomes one row in {edition}.

Where your app runs, have it send spans here:
  export OTEL_EXPORTER_OTLP_ENDPOINT={scheme}://{endpoint}
  export OTEL_TRACES_EXPORTER=none OTEL_METRICS_EXPORTER=none OTEL_LOGS_EXPORTER=none  # or where yours go{key}

{look}Query the ledger:
  spanmeter report --by tenant,model --dsn {dsn}
  psql {dsn} -c 'SELECT tenant_id, sum(cost) FROM ledger GROUP BY 1'

Ctrl-C stops it; the ledger stays{place}.
{ready}
"""

_KEY = """
  export OTEL_EXPORTER_OTLP_HEADERS=authorization=Bearer%20KEY  # KEY from: spanmeter keys create NAME --dsn {dsn}"""

_LOOK = """\
Look at it (the link logs in once; `spanmeter console --link` prints another):
  {login}

"""


@click.command()
@accepts("dsn", "data", *RECEIVING, "alerts", "exports", *SHOWING)
def up(settings: Settings) -> None:
    """Receive spans, keep the ledger and show it, on an embedded database or on that of --dsn.

    The tables are made or brought up to date first. The last line on standard output is `READY
    grpc=HOST:PORT http=HOST:PORT console=HOST:PORT`, printed when spans are accepted. SIGTERM or Ctrl-C
    finishes what was received.

    Targets of --exports that say how often are exported to meanwhile.
    """
    require("spanmeter up", "collector", *([] if settings.dsn else ["embedded"]))
    from spanmeter.collector_receiver import run
    from spanmeter.console.console_beside import console_beside, login_address, reachable
    from spanmeter.console.database import described
    from spanmeter.console.exports.schedule import exporting, scheduled_of
    from spanmeter.console.ledger_access import ledger_dsn, refuse_leaks, without_password
    from spanmeter.console.receiving import collector_settings, logging_as, ready_line
    from spanmeter.storage.migrations import migrate

    log = logging_as(settings)
    log()
    with ledger_dsn(settings, create=True) as dsn:
        migrate(dsn)
        refuse_leaks(dsn)
        edition = described(dsn)

        chosen = collector_settings(settings, dsn)
        targets = scheduled_of(settings.exports)
        shown = quote(without_password(dsn))

        def announce(addresses: "Addresses") -> None:
            look = _LOOK.format(login=login_address(settings, dsn, console)) if console else ""
            place = "" if settings.dsn else f" in {settings.data}"
            text = _READY.format(
                edition=edition,
                scheme="https" if settings.tls_certificate else "http",
                endpoint=reachable(addresses.grpc),
                key=_KEY.format(dsn=shown) if chosen.needs_key else "",
                dsn=shown,
                place=place,
                look=look,
                ready=ready_line(addresses, console),
            )
            click.echo(text, nl=False)

        with (
            _alerts(settings, dsn, log),
            console_beside(settings, dsn) as console,
            exporting(dsn, targets),
        ):
            run(chosen, ready=announce, begin=log)


def _alerts(
    settings: Settings, dsn: str, begin: Callable[[], object]
) -> AbstractContextManager[None]:
    """The alerts beside it, where they are installed and wanted."""
    if not settings.alerts or not installed("alerts"):
        return nullcontext()
    from spanmeter.console.alerts.process import alerts_beside

    return alerts_beside(dsn, begin)
