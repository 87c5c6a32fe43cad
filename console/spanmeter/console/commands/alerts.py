"""`spanmeter alerts`: what is worth a message, who hears of it, and what was told."""

import getpass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from spanmeter.console.extras import require
from spanmeter.console.flags import accepts, lasting, listing_format, since_when
from spanmeter.console.listing import FORMATS
from spanmeter.console.settings import Settings

if TYPE_CHECKING:
    from spanmeter.metering.alerts.rule_file import AlertRules

_MOST = 1000
"""Rows of a listing."""


@click.group()
def alerts() -> None:
    """Tell somebody when budgets, costs or calls are not as they should be."""


@alerts.command("list")
@accepts("dsn", "data")
@since_when("Alerts of since then: 2026-11-20, 24h, 7d ... Default: those that are not over.")
@listing_format
def list_(settings: Settings, since: datetime | None, form: str) -> None:
    """List what was found: what is not over, or all since a moment."""
    require("spanmeter alerts", "collector", "alerts")
    from spanmeter.console.alerts.listings import alerts_listing
    from spanmeter.console.ledger_access import ledger_dsn, reading
    from spanmeter.storage.alerts import fired

    with ledger_dsn(settings) as dsn, reading(dsn) as connection:
        found = fired(connection, since or datetime.now(UTC), _MOST, open_only=since is None)
    click.echo(FORMATS[form](alerts_listing(found)), nl=False)


@alerts.command()
@click.argument("alert", required=False)
@accepts("dsn", "data")
def show(settings: Settings, alert: str | None) -> None:
    """Print the rules in force, as a file that `alerts set` takes; or ALERT, by the beginning of its id."""
    require("spanmeter alerts", "collector", "alerts")
    from spanmeter.console.alerts.listings import alert_in_full
    from spanmeter.console.failures import JobFailed
    from spanmeter.console.ledger_access import ledger_dsn, reading
    from spanmeter.storage.alert_rules import alert_rules_in_force
    from spanmeter.storage.alerts import alerts_named

    with ledger_dsn(settings) as dsn, reading(dsn) as connection:
        if alert is None:
            rules = alert_rules_in_force(connection)
            click.echo(f"version {rules.version}", err=True)
            click.echo(rules.text, nl=not rules.text.endswith("\n"))
            return
        found = alerts_named(connection, alert)
    if len(found) != 1:
        how = "no alert begins" if not found else "several alerts begin"
        raise JobFailed(f"{how} with {alert!r}: see `spanmeter alerts list --since 30d`")
    click.echo(alert_in_full(found[0]), nl=False)


@alerts.command("set")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@accepts("dsn", "data")
@click.option("--by", metavar="NAME", help="Who sets them. Default: the user of this machine.")
@click.option("--note", metavar="TEXT", help="Why.")
@click.option("--check", is_flag=True, help="Only say whether FILE can be set.")
def set_(settings: Settings, file: Path, by: str | None, note: str | None, *, check: bool) -> None:
    """Put the rules and channels of FILE in force; what runs the alerts follows with its next round."""
    require("spanmeter alerts", "collector", "alerts")
    from spanmeter.console.ledger_access import changing
    from spanmeter.storage.alert_rules import set_alert_rules

    read = _read(file)
    if check:
        click.echo(f"{len(read.rules)} rules, {len(read.channels)} channels")
        return
    with changing(settings) as connection:
        version, new = set_alert_rules(connection, read.text, by or getpass.getuser(), note)
    click.echo(f"{version} is {'in force' if new else 'in force already'}")


@alerts.command()
@accepts("dsn", "data")
@since_when("Messages of since then: 2026-11-20, 24h, 7d ... Default: 7d.", "7d")
@click.option("--rules", "of_rules", is_flag=True, help="List the versions of the rules instead.")
@listing_format
def history(settings: Settings, since: datetime, form: str, *, of_rules: bool) -> None:
    """List the messages that were sent or wait, with every attempt, the latest first."""
    require("spanmeter alerts", "collector", "alerts")
    from spanmeter.console.alerts.listings import messages_listing, rules_listing
    from spanmeter.console.ledger_access import ledger_dsn, reading
    from spanmeter.storage.alert_deliveries import delivery_history
    from spanmeter.storage.alert_rules import alert_rules_history

    with ledger_dsn(settings) as dsn, reading(dsn) as connection:
        listing = (
            rules_listing(alert_rules_history(connection))
            if of_rules
            else messages_listing(delivery_history(connection, since, _MOST))
        )
    click.echo(FORMATS[form](listing), nl=False)


@alerts.command()
@click.argument("channel")
@accepts("dsn", "data")
def test(settings: Settings, channel: str) -> None:
    """Send a message marked as a test to CHANNEL, once, and say what came of it.

    The variables that the channel names are to be set here as where the alerts run.
    """
    require("spanmeter alerts", "collector", "alerts")
    from spanmeter.console.alerts.testing import send_test
    from spanmeter.console.failures import JobFailed
    from spanmeter.console.ledger_access import changing
    from spanmeter.storage.alert_rules import alert_rules_in_force

    with changing(settings) as connection:
        channels = alert_rules_in_force(connection).channels
        if channel not in channels:
            known = ", ".join(channels) or "none"
            raise JobFailed(f"there is no channel {channel!r}; there are: {known}")
        sent = send_test(connection, channels[channel])
    if not sent.delivered:
        raise JobFailed(f"channel {channel} did not take the message: {sent.detail}")
    click.echo(f"channel {channel} has taken the message")


@alerts.command()
@accepts("dsn", "data", "log_level", "log_format")
@click.option("--once", is_flag=True, help="One round, and what is due then; for cron.")
@click.option("--every", callback=lasting, default="5m", metavar="LENGTH", help="Default: 5m.")
def run(settings: Settings, every: timedelta, *, once: bool) -> None:
    """Look for alerts and send messages, until SIGTERM or Ctrl-C. Several may run: one of them works.

    `spanmeter up` does it by itself.
    """
    require("spanmeter alerts", "collector", "alerts")
    from spanmeter.console.alerts.process import run_until_signal
    from spanmeter.console.alerts.running import AlertRunner, run_once
    from spanmeter.console.failures import JobFailed
    from spanmeter.console.ledger_access import ledger_dsn, refuse_outdated
    from spanmeter.console.receiving import logging_as

    logging_as(settings)()
    with ledger_dsn(settings) as dsn:
        refuse_outdated(dsn)
        if not once:
            run_until_signal(AlertRunner(dsn, every))
            return
        done = run_once(dsn)
    if done is None:
        click.echo("another process runs the alerts of this ledger")
        return
    click.echo(f"{done.fired} fired, {done.resolved} resolved")
    if done.failed:
        raise JobFailed(f"{done.failed} rules could not be judged: the log says why")


def _read(file: Path) -> "AlertRules":
    """The rules of a file. Raises `UnusableSetting`, which names table and key."""
    from spanmeter.console.bounded_file import content_of
    from spanmeter.console.failures import UnusableSetting
    from spanmeter.metering.alerts.fields import AlertRulesError
    from spanmeter.metering.alerts.rule_file import MAX_BYTES, read_alert_rules

    try:
        return read_alert_rules("new", content_of(file, MAX_BYTES).decode())
    except (AlertRulesError, UnicodeDecodeError) as error:
        raise UnusableSetting(f"{file}: {error}") from error
    except OSError as error:
        raise UnusableSetting(f"{file} cannot be read: {error.strerror}") from error
