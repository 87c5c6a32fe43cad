"""The reference of the commands knows every command, every flag, and every dimension."""

from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from spanmeter.console.cli import COMMANDS, main
from spanmeter.console.settings import Settings
from spanmeter.storage.reports import DIMENSIONS, PERIODS

SECRET = {"seal_key", "console_secret"}
DOCS = Path(__file__).parents[3] / "docs"
REFERENCE = (DOCS / "commands.md").read_text()


def commands() -> Iterator[tuple[str, click.Command]]:
    """Every command with the words that call it."""
    context = click.Context(main)
    for name in main.list_commands(context):
        command = main.get_command(context, name)
        assert command is not None
        yield from _within(name, command)


def _within(name: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
    if isinstance(command, click.Group):
        for inner, each in command.commands.items():
            yield from _within(f"{name} {inner}", each)
    else:
        yield name, command


@pytest.mark.parametrize(("name", "command"), list(commands()), ids=str)
def test_a_command_is_documented_with_its_flags(name: str, command: click.Command) -> None:
    group = name.partition(" ")[0]
    section = REFERENCE.partition(f"\n## {group}\n")[2].partition("\n## ")[0]
    assert section
    (usage,) = [part for part in section.split("`") if part.startswith(f"spanmeter {name} ")]
    named = {flag for each in command.params for flag in (*each.opts, *each.secondary_opts)}
    flags = {flag for flag in named if flag.startswith("--")}
    assert flags == {word.strip("[]()|") for word in usage.split() if "--" in word}
    assert command.help


def test_commands_are_listed_in_the_order_of_the_table() -> None:
    assert list(COMMANDS) == main.list_commands(click.Context(main))[: len(COMMANDS)]
    assert main.get_command(click.Context(main), "bogus") is None


def test_every_dimension_is_documented() -> None:
    section = REFERENCE.partition("| `--by` |")[2].partition("\n")[0]
    documented = set(section.split("`")[1::2])
    short = {"tenant", "workspace", "project", "user", "service"}
    assert {*DIMENSIONS, *PERIODS} - documented == {
        "tenant_id",
        "workspace_id",
        "project_id",
        "user_id",
        "service_name",
    }
    assert short <= documented


def test_every_setting_is_documented() -> None:
    page = (DOCS / "settings.md").read_text()
    for name in Settings.__slots__:
        flag = "--" + name.replace("_", "-")
        # Everybody on the machine can read a command line.
        assert f"`{flag} " in page or (name in SECRET and flag not in page)
        assert f"`SPANMETER_{name.upper()}` | `{name}` |" in page


def test_pages_link_only_to_what_is_there() -> None:
    for page in DOCS.glob("*.md"):
        for target in page.read_text().split("](")[1:]:
            link = target.partition(")")[0]
            assert link.startswith("http") or (DOCS / link).exists(), f"{page.name}: {link}"
