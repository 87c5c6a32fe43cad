"""The `spanmeter` command. Each subcommand is one file, imported when it is asked for."""

import os
from importlib import import_module
from pathlib import Path
from typing import cast

import click

from spanmeter.console import app_commands

# One line per command: where it lives. Nothing heavier than click is imported at the top of these
# modules, so that `spanmeter --help` works, and is fast, in every install.
COMMANDS = {
    "up": "spanmeter.console.commands.up:up",
    "collector": "spanmeter.console.commands.collector:collector",
    "console": "spanmeter.console.commands.console:console",
    "db": "spanmeter.console.commands.db:db",
    "report": "spanmeter.console.commands.report:report",
    "quality": "spanmeter.console.commands.quality:quality",
    "explain": "spanmeter.console.commands.explain:explain",
    "verify": "spanmeter.console.commands.verify:verify",
    "seal": "spanmeter.console.commands.seal:seal",
    "rules": "spanmeter.console.commands.rules:rules",
    "budget": "spanmeter.console.commands.budget:budget",
    "keys": "spanmeter.console.commands.keys:keys",
    "adjust": "spanmeter.console.commands.adjust:adjust",
    "reconcile": "spanmeter.console.commands.reconcile:reconcile",
    "plan": "spanmeter.console.commands.plan:plan",
    "grant": "spanmeter.console.commands.grant:grant",
    "statement": "spanmeter.console.commands.statement:statement",
    "margin": "spanmeter.console.commands.margin:margin",
    "export": "spanmeter.console.commands.export:export",
    "rates": "spanmeter.console.commands.rates:rates",
    "alerts": "spanmeter.console.commands.alerts:alerts",
    "redrive": "spanmeter.console.commands.redrive:redrive",
    "demo": "spanmeter.console.commands.demo:demo",
}


class LazyGroup(click.Group):
    """A group whose commands are imported on first use: those of `COMMANDS`, in its order, then
    those of the app side."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*COMMANDS, *(name for name in app_commands.names() if name not in COMMANDS)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return app_commands.find(cmd_name)
        module, _, name = COMMANDS[cmd_name].partition(":")
        return cast(click.Command, getattr(import_module(module), name))


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--config",
    type=click.Path(path_type=Path, dir_okay=False),
    envvar="SPANMETER_CONFIG",
    help="Settings as TOML. Default: ./spanmeter.toml, if there is one.",
)
@click.version_option(None, "-V", "--version", package_name="spanmeter", prog_name="spanmeter")
def main(config: Path | None) -> None:
    """Usage and cost per tenant of every LLM call of your app.

    Settings come from flags, then SPANMETER_* variables, then a TOML file.
    """
    # `config` is read by `flags.accepts`, once a command has been told its own flags.
    # grpc's C core writes to standard error by itself what we say in a sentence, a taken port
    # for one; it reads this when it is imported.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")


@main.result_callback()
def show(result: object, config: Path | None) -> None:
    """Print what a command of the app side found. The others have printed it themselves."""
    app_commands.show(result)
