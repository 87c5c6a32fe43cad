"""The moments that plans change at, as people type them: a date is its beginning in the plan's own time zone."""

from datetime import UTC, date, datetime

import click

from spanmeter.console.periods import instant


def starting(text: str | None, zone: str) -> datetime:
    """When something begins: `2026-12-01` (midnight in the zone), a time, an age, `month` ...; without text, now."""
    from spanmeter.metering.plans.billing_periods import midnight

    if text is None:
        return datetime.now(UTC)
    try:
        return midnight(date.fromisoformat(text), zone)
    except ValueError:
        pass
    try:
        return instant(text, datetime.now(UTC))
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--from") from error


def month(ctx: click.Context, param: click.Parameter, value: str | None) -> date | None:
    """The month of a flag: `2026-11`; its first day."""
    from spanmeter.metering.plans.billing_periods import month_named

    try:
        return None if value is None else month_named(value)
    except ValueError as error:
        raise click.BadParameter(str(error), ctx, param) from error
