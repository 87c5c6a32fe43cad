"""`spanmeter lint`: the LLM calls in source code that no usage context covers."""

from pathlib import Path

import click

from spanmeter.instrumentation.lint import lint as find
from spanmeter.instrumentation.lint.sarif import as_sarif
from spanmeter.instrumentation.lint.text import as_json, as_text

_FORMATS = {"text": as_text, "json": as_json, "sarif": as_sarif}


@click.command()
@click.argument(
    "paths",
    nargs=-1,
    required=True,
    metavar="PATH...",
    type=click.Path(exists=True, path_type=Path),
)
@click.option(
    "--exclude",
    multiple=True,
    metavar="GLOB",
    help="Leave out files and directories whose path, or a part of it, matches. Repeatable.",
)
@click.option("--format", "form", type=click.Choice(list(_FORMATS)), default="text")
@click.pass_context
def lint(
    context: click.Context, paths: tuple[Path, ...], exclude: tuple[str, ...], form: str
) -> None:
    """Find the LLM calls in Python source that no usage context covers.

    Nothing is imported or run. Exits with 1 where there are any, with 0 where there is none.
    """
    findings = find(paths, exclude)
    click.echo(_FORMATS[form](findings), nl=False)
    context.exit(int(bool(findings.found)))
