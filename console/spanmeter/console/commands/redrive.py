"""`spanmeter redrive`: rejected spans into the ledger, after what rejected them was fixed."""

from datetime import datetime
from typing import TYPE_CHECKING

import click

from spanmeter.console.extras import require
from spanmeter.console.flags import accepts, since_when
from spanmeter.console.settings import Settings

if TYPE_CHECKING:
    from spanmeter.collector_receiver.redrive import Redriven


@click.command()
@accepts("dsn", "data", "attribution")
@click.option("--reason", metavar="REASON", help="Only those rejected for this reason.")
@since_when("Only those rejected from then on: 2026-11-20, 24h, today ... Default: all.")
@click.option("--dry-run", is_flag=True, help="Tell what would become of them; change nothing.")
def redrive(
    settings: Settings, reason: str | None, since: datetime | None, *, dry_run: bool
) -> None:
    """Meter rejected spans again, and book those that can be booked now.

    A span is judged by the time it was rejected. It stays in rejected_spans, marked with what became
    of it; what is rejected again stays open. Running it again changes nothing.
    """
    require("spanmeter redrive", "collector")
    from spanmeter.collector_receiver.redrive import redrive as run
    from spanmeter.console.ledger_access import ledger_dsn, refuse_outdated
    from spanmeter.console.receiving import metering_settings

    def tell(so_far: "Redriven") -> None:
        click.echo(f"{so_far.spans} spans ...", err=True)

    with ledger_dsn(settings) as dsn:
        refuse_outdated(dsn)
        if reason is not None:
            _refuse_unknown(dsn, reason)
        redriven = run(
            metering_settings(settings, dsn),
            reason=reason,
            since=since,
            dry_run=dry_run,
            progress=tell,
        )
    click.echo(_in_words(redriven, dry_run=dry_run))


def _refuse_unknown(dsn: str, reason: str) -> None:
    from spanmeter.console.ledger_access import reading
    from spanmeter.storage.rejected import has_reason, open_reasons

    with reading(dsn) as connection:
        if has_reason(connection, reason):
            return
        known = ", ".join(open_reasons(connection)) or "none"
    raise click.BadParameter(
        f"no span was rejected for the reason {reason!r}; reasons of those that are open: {known}",
        param_hint="--reason",
    )


def _in_words(redriven: "Redriven", *, dry_run: bool) -> str:
    would = "would be " if dry_run else ""
    most_first = sorted(redriven.still.items(), key=lambda each: (-each[1], each[0]))
    still = ", ".join(f"{count} {reason}" for reason, count in most_first)
    return (
        f"{redriven.spans} rejected spans: {redriven.booked} {would}booked, "
        f"{redriven.not_llm} are no calls, {redriven.still.total()} {would}rejected again"
        + (f" ({still})" if still else "")
    )
