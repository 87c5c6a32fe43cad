"""Commands of the app side, found by entry point: nothing in here imports `instrumentation`.

A package adds `spanmeter NAME` with an entry point of the group `spanmeter.commands`: a click
command, or a group of them. What it returns, if anything, is an `Answer`, printed here as --format
asks. A command that has a --format of its own prints itself.
"""

from collections.abc import Mapping, Sequence
from importlib.metadata import EntryPoint, entry_points
from typing import Final, Protocol, runtime_checkable

import click

from spanmeter.console.failures import JobFailed
from spanmeter.console.listing import FORMATS, Column, Listing, Value

GROUP: Final = "spanmeter.commands"

_FORM: Final = f"{__name__}.form"


@runtime_checkable
class Answer(Protocol):
    """What a command found: rows under named columns, what was asked, what to know, and how to
    exit."""

    @property
    def columns(self) -> Sequence[str]: ...
    @property
    def rows(self) -> Sequence[Sequence[Value]]: ...
    @property
    def about(self) -> Mapping[str, Value]: ...
    @property
    def notes(self) -> Sequence[str]: ...
    @property
    def exit_code(self) -> int: ...


def names() -> list[str]:
    """The commands that installed packages add, in order of the alphabet."""
    return sorted({entry_point.name for entry_point in entry_points(group=GROUP)})


def find(name: str) -> click.Command | None:
    """The command of this name, imported now; one that only says why, where that fails."""
    for entry_point in entry_points(group=GROUP, name=name):
        return _loaded(entry_point)
    return None


def show(result: object) -> None:
    """Print what a command returned, and exit as it asks; anything but an `Answer` is nothing."""
    if isinstance(result, Answer):
        context = click.get_current_context()
        click.echo(FORMATS[context.meta[_FORM]](_listing(result)), nl=False)
        context.exit(result.exit_code)


def _loaded(entry_point: EntryPoint) -> click.Command:
    try:
        command = entry_point.load()
    except Exception as error:  # noqa: BLE001 - one broken package must not take `--help` away
        return _unusable(entry_point, error)
    if not isinstance(command, click.Command):
        return _unusable(entry_point, TypeError(f"{entry_point.value} is no click command"))
    _offer_formats(command)
    return command


def _offer_formats(command: click.Command) -> None:
    if isinstance(command, click.Group):
        for inner in command.commands.values():
            _offer_formats(inner)
    elif not any("--format" in parameter.opts for parameter in command.params):
        command.params.append(_format_option())


def _format_option() -> click.Option:
    def keep(context: click.Context, parameter: click.Parameter, form: str) -> None:
        # The contexts of a command and of the groups around it share `meta`.
        context.meta[_FORM] = form

    return click.Option(
        ["--format"],
        type=click.Choice(list(FORMATS)),
        default="table",
        callback=keep,
        expose_value=False,
        help="Default: table.",
    )


def _unusable(entry_point: EntryPoint, error: Exception) -> click.Command:
    why = f"{entry_point.name} cannot be loaded from {entry_point.value}: {error}"

    def fail() -> None:
        raise JobFailed(why)

    return click.Command(entry_point.name, callback=fail, short_help=f"({why})")


def _listing(answer: Answer) -> Listing:
    columns = [Column(name, name.replace("_", " ")) for name in answer.columns]
    return Listing(columns, answer.rows, about=answer.about, notes=answer.notes)
