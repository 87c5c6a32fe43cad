"""`spanmeter quality`: what calls scored beside what they cost."""

from datetime import UTC, datetime
from typing import cast

import click

from spanmeter.console.extras import require
from spanmeter.console.flags import accepts, listing_format, moment, since_when
from spanmeter.console.listing import FORMATS
from spanmeter.console.settings import Settings


@click.command()
@accepts("dsn", "data")
@click.option(
    "--evaluation", metavar="NAME", help="What was evaluated. Default: what was most often."
)
@click.option(
    "--by",
    default="feature,model",
    metavar="DIMENSIONS",
    help="Comma-separated: feature, model, provider, tenant, workflow, environment, service."
    " Default: feature,model.",
)
@since_when("Evaluated from then on. Default: 30d.", "30d")
@click.option("--until", callback=moment, metavar="WHEN", help="Before this. Default: now.")
@click.option("--tenant", metavar="ID", help="Only this tenant's calls.")
@click.option(
    "--better",
    type=click.Choice(["higher", "lower"]),
    default="higher",
    help="Which scores are the better ones. Default: higher.",
)
@listing_format
def quality(
    settings: Settings,
    evaluation: str | None,
    by: str,
    since: datetime,
    until: datetime | None,
    tenant: str | None,
    better: str,
    form: str,
) -> None:
    """Show what calls scored, what they cost, and which model or feature another one beats in both."""
    require("spanmeter quality", "collector")
    from spanmeter.console.ledger_access import ledger_dsn, reading
    from spanmeter.console.quality import dimensions, quality_listing, ranked_quality
    from spanmeter.metering.frontier import Better
    from spanmeter.storage.attributing import Period
    from spanmeter.storage.errors import UnknownDimension
    from spanmeter.storage.evaluations import evaluated_names

    names = dimensions(by)
    period = Period(since, until or datetime.now(UTC))
    with ledger_dsn(settings) as dsn, reading(dsn) as connection:
        evaluated = dict(evaluated_names(connection, since, period.until))
        if not (evaluation or evaluated):
            raise click.ClickException(
                "nothing was evaluated in this period: send gen_ai.evaluation.result events to the"
                " collector, or scores to POST /v1/evaluations"
            )
        name = evaluation or next(iter(evaluated))
        try:
            found = ranked_quality(
                connection, name, names, period, tenant=tenant, better=cast("Better", better)
            )
        except UnknownDimension as error:
            raise click.BadParameter(str(error), param_hint="--by") from error
    click.echo(FORMATS[form](quality_listing(found, names, name)), nl=False)
