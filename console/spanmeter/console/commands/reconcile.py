"""`spanmeter reconcile`: a provider's bill beside the ledger, and why they differ."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from spanmeter.console.extras import require
from spanmeter.console.flags import accepts, listing_format, moment
from spanmeter.console.listing import FORMATS
from spanmeter.console.settings import Settings

if TYPE_CHECKING:
    from spanmeter.metering.reconciliation.bill import Bill
    from spanmeter.storage.connection import Connection
    from spanmeter.storage.reconciliations import Made

Read = Callable[[], "Bill"]


@click.group()
def reconcile() -> None:
    """Compare a provider's bill with the ledger, and explain the difference to the last digit.

    The causes add up from what tenants were charged with to what the provider billed. Nothing in the ledger changes
    unless what was found is posted, as adjustments that can be taken back.
    """


def _comparing(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the flags that all bills have in common; it receives them as `how`."""
    options = (
        click.argument("files", nargs=-1, type=click.Path(path_type=Path, dir_okay=False)),
        click.option(
            "--since", callback=moment, metavar="WHEN", help="First day, UTC. Default: the bill's."
        ),
        click.option(
            "--until",
            callback=moment,
            metavar="WHEN",
            help="Before this day, UTC. Default: the bill's end.",
        ),
        click.option(
            "--closed",
            "closed_at",
            callback=moment,
            metavar="WHEN",
            help="When the books were closed: what was booked later is late. Default: nothing is.",
        ),
        click.option(
            "--account",
            metavar="DIMENSION",
            help="The dimension that names the provider's project or workspace, such as dimension:project."
            " Default: they are not told apart.",
        ),
        click.option(
            "--model",
            "models",
            multiple=True,
            metavar="BILL=LEDGER",
            help="The ledger's name of a model that is billed under another. Repeatable.",
        ),
        click.option(
            "--as",
            "providers",
            multiple=True,
            metavar="PROVIDER",
            help="The ledger's name of the provider, if it is another. Repeatable.",
        ),
        click.option(
            "--detail",
            is_flag=True,
            help="Every difference by day, model and tier, greatest first.",
        ),
        click.option(
            "--post", is_flag=True, help="Post what was found to the ledger, as adjustments."
        ),
    )
    for option in reversed(options):
        command = option(command)
    return accepts("dsn", "data")(listing_format(command))


@reconcile.command()
@_comparing
@click.option("--api", metavar="URL", help="Where the reports are asked for. Default: OpenAI's.")
def openai(settings: Settings, files: tuple[Path, ...], api: str | None, **how: Any) -> None:
    """OpenAI's costs and usage: JSON files of the API's answers, or the API itself.

    Without FILES, the API is asked with the administrator's key in OPENAI_ADMIN_KEY.
    """
    require("spanmeter reconcile", "collector")
    from spanmeter.console.bills import openai as bills
    from spanmeter.console.bills.documents import pages as saved
    from spanmeter.console.bills.provider_api import OPENAI, fetched

    pages = saved(files) if files else fetched(OPENAI, *_asked_days(how), address=api)
    _reconcile(settings, lambda: bills.bill(pages), files or ("api",), **how)


@reconcile.command()
@_comparing
@click.option("--api", metavar="URL", help="Where the reports are asked for. Default: Anthropic's.")
def anthropic(settings: Settings, files: tuple[Path, ...], api: str | None, **how: Any) -> None:
    """Anthropic's cost and usage reports: JSON files of the API's answers, or the API itself.

    Without FILES, the API is asked with the administrator's key in ANTHROPIC_ADMIN_API_KEY.
    """
    require("spanmeter reconcile", "collector")
    from spanmeter.console.bills import anthropic as bills
    from spanmeter.console.bills.documents import pages as saved
    from spanmeter.console.bills.provider_api import ANTHROPIC, fetched

    pages = saved(files) if files else fetched(ANTHROPIC, *_asked_days(how), address=api)
    _reconcile(settings, lambda: bills.bill(pages), files or ("api",), **how)


@reconcile.command()
@_comparing
@click.option(
    "--tokens-per-unit",
    type=click.IntRange(min=1),
    metavar="N",
    help="How many tokens a unit is, for lines whose pricing unit does not say it.",
)
def aws(
    settings: Settings, files: tuple[Path, ...], tokens_per_unit: int | None, **how: Any
) -> None:
    """Bedrock's lines of an AWS Cost and Usage Report: CSV files, gzipped or not."""
    require("spanmeter reconcile", "collector")
    from spanmeter.console.bills import aws as bills

    _needed(files)
    _reconcile(settings, lambda: bills.read(files, tokens_per_unit=tokens_per_unit), files, **how)


@reconcile.command(name="csv")
@_comparing
@click.option(
    "--provider",
    required=True,
    metavar="NAME",
    help="Whose bill: the ledger's name of the provider.",
)
@click.option(
    "--column",
    "columns",
    multiple=True,
    metavar="FIELD=HEADING",
    help="Under which heading a field is: day, model, kind, quantity, amount, currency, account, tier."
    " Repeatable. Default: its own name.",
)
def any_csv(
    settings: Settings,
    files: tuple[Path, ...],
    provider: str,
    columns: tuple[str, ...],
    **how: Any,
) -> None:
    """Any provider's bill as a table: CSV files, gzipped or not."""
    require("spanmeter reconcile", "collector")
    from spanmeter.console.bills import table

    _needed(files)
    headings = _pairs(columns, "--column")
    _reconcile(settings, lambda: table.read(files, provider, headings), files, **how)


@reconcile.command(name="list")
@accepts("dsn", "data")
@listing_format
def all_made(settings: Settings, form: str) -> None:
    """Show what was compared, latest first, and what was posted of it."""
    require("spanmeter reconcile", "collector")
    from spanmeter.console.ledger_access import ledger_dsn, reading
    from spanmeter.console.waterfall_listing import all_made as listing
    from spanmeter.storage.reconciliations import made

    with ledger_dsn(settings) as dsn, reading(dsn) as connection:
        click.echo(FORMATS[form](listing(made(connection))), nl=False)


@reconcile.command()
@click.argument("reconciliation", metavar="ID")
@accepts("dsn", "data")
@click.option(
    "--detail", is_flag=True, help="Every difference by day, model and tier, greatest first."
)
@listing_format
def show(settings: Settings, reconciliation: str, form: str, *, detail: bool) -> None:
    """Show what a comparison found. The beginning of its id is enough."""
    require("spanmeter reconcile", "collector")
    from spanmeter.console.ledger_access import ledger_dsn, reading
    from spanmeter.console.reconciling import kept_as

    with ledger_dsn(settings) as dsn, reading(dsn) as connection:
        _show(connection, kept_as(connection, reconciliation), form, detail=detail)


@reconcile.command()
@click.argument("reconciliation", metavar="ID")
@accepts("dsn", "data")
def post(settings: Settings, reconciliation: str) -> None:
    """Post what a comparison found to the ledger, as adjustments. Doing it again changes nothing."""
    require("spanmeter reconcile", "collector")
    from spanmeter.console import reconciling
    from spanmeter.console.ledger_access import changing

    with changing(settings) as connection:
        posted = reconciling.post(connection, reconciling.kept_as(connection, reconciliation))
    click.echo(f"{posted:,} adjustments posted")


@reconcile.command()
@click.argument("reconciliation", metavar="ID")
@accepts("dsn", "data")
def undo(settings: Settings, reconciliation: str) -> None:
    """Take back what was posted of a comparison. Doing it again changes nothing."""
    require("spanmeter reconcile", "collector")
    from spanmeter.console import reconciling
    from spanmeter.console.ledger_access import changing

    with changing(settings) as connection:
        taken = reconciling.take_back(connection, reconciling.kept_as(connection, reconciliation))
    click.echo(f"{taken:,} adjustments taken back")


def _reconcile(
    settings: Settings,
    read: Read,
    sources: Sequence[object],
    *,
    since: datetime | None,
    until: datetime | None,
    closed_at: datetime | None,
    account: str | None,
    models: tuple[str, ...],
    providers: tuple[str, ...],
    detail: bool,
    post: bool,
    form: str,
) -> None:
    from spanmeter.console import reconciling
    from spanmeter.console.ledger_access import changing
    from spanmeter.console.rates_known import rates_known

    how = reconciling.Comparing(
        _day(since), _day(until), account, closed_at, _pairs(models, "--model"), providers
    )
    bill = read()
    with changing(settings) as connection:
        names = [str(source) for source in sources]
        kept = reconciling.compare(connection, bill, names, how, rates_known(connection).rates)
        _show(connection, kept, form, detail=detail)
        if post:
            posted = reconciling.post(connection, kept)
            click.echo(f"{posted:,} adjustments posted", err=True)


def _show(connection: "Connection", kept: "Made", form: str, *, detail: bool) -> None:
    from spanmeter.console.waterfall_listing import details, waterfall
    from spanmeter.storage.reconciliations import variances

    found = variances(connection, kept.reconciliation_id)
    click.echo(FORMATS[form]((details if detail else waterfall)(kept, found)), nl=False)


def _asked_days(how: Mapping[str, Any]) -> tuple[date, date]:
    """The period to ask an API for: this month, up to and with yesterday, unless told otherwise."""
    today = datetime.now(UTC).date()
    yesterday = today - timedelta(days=1)
    since = _day(how["since"]) or yesterday.replace(day=1)
    return since, _day(how["until"]) or today


def _day(when: datetime | None) -> date | None:
    return None if when is None else when.date()


def _needed(files: Sequence[Path]) -> None:
    if not files:
        raise click.UsageError("name the files of the bill")


def _pairs(given: Sequence[str], flag: str) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for each in given:
        name, equals, value = each.partition("=")
        if not (name and equals and value):
            raise click.BadParameter(f"{each!r} is not NAME=VALUE", param_hint=flag)
        pairs[name] = value
    return pairs
