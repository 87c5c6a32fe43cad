"""What the demo prints from its ledger: usage and cost, what has no tenant, and the two bills."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

import click

from spanmeter.console.demo.bill import Bill, comparison
from spanmeter.console.ledger_access import reading
from spanmeter.console.listing import Listing, as_table
from spanmeter.console.usage import usage_listing
from spanmeter.storage.reports import usage_report


def show_usage(dsn: str, since: datetime) -> None:
    """Print usage and cost since then: per tenant, by feature, by model, and what has no tenant."""
    with reading(dsn) as connection:

        def listing(*by: str) -> Listing:
            return replace(usage_listing(connection, by, since=since), about={})

        _print("Usage and cost per tenant", listing("tenant_id"))
        _print("By feature", _bare(listing("tenant_id", "feature")))
        _print("By model", _bare(listing("provider", "model")))
        _print("Without a tenant", _unattributed(listing("tenant_id", "service_name", "callsite")))


def show_bills(dsn: str, since: datetime, served: Mapping[str, object]) -> bool:
    """Print the provider's bill beside the ledger's. True if they are equal to the last digit."""
    provider, ledger = Bill.of(served), booked(dsn, since)
    _print("The provider's own count beside the ledger", comparison(provider, ledger))
    return provider == ledger


def booked(dsn: str, since: datetime) -> Bill:
    """The ledger's bill since then, in its one currency."""
    with reading(dsn) as connection:
        totals = usage_report(connection, (), since)
    return Bill.of(totals[0]._asdict()) if totals else Bill.nothing()


def _unattributed(listing: Listing) -> Listing:
    rows = [row[1:] for row in listing.rows if row[0] is None]
    return replace(_bare(listing), columns=listing.columns[1:], rows=rows)


def _bare(listing: Listing) -> Listing:
    return replace(listing, totals=(), notes=())


def _print(title: str, listing: Listing) -> None:
    click.secho(f"\n{title}", bold=True)
    click.echo(as_table(listing), nl=False)
