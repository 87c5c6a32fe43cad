"""Any installed package adds commands by entry point; what they return is printed as --format asks."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from spanmeter.console import app_commands
from spanmeter.console.cli import COMMANDS, main
from spanmeter.instrumentation.commands.answer import Answer

MODULE = """
import click
from spanmeter.instrumentation.commands.answer import Answer

@click.command()
def weather():
    "Tell the weather."
    return Answer(["level", "to_do"], [["problem", None]], {"place": "here"}, ["Rain."], exit_code=1)

@click.group()
def cupboard():
    "Look after the cupboard."

@cupboard.command()
def status():
    "Tell what is in it."
    return Answer(["cups"], [[1200]])

@cupboard.command()
def empty():
    return None

@click.command()
@click.option("--format", type=click.Choice(["text", "sarif"]), default="text")
def own(format):
    click.echo(f"in {format}")

nothing = "no command"
"""

ENTRY_POINTS = """
[spanmeter.commands]
weather = added_commands:weather
cupboard = added_commands:cupboard
own = added_commands:own
nothing = added_commands:nothing
broken = added_commands_that_are_not_there:broken
report = added_commands:weather
"""


@pytest.fixture(autouse=True)
def added(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An installed package that adds commands, one that cannot be loaded among them."""
    (tmp_path / "added_commands.py").write_text(MODULE)
    metadata = tmp_path / "added_commands-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: added-commands\nVersion: 1.0\n"
    )
    (metadata / "entry_points.txt").write_text(ENTRY_POINTS)
    monkeypatch.syspath_prepend(str(tmp_path))  # pyright: ignore[reportUnknownMemberType]
    monkeypatch.delitem(sys.modules, "added_commands", raising=False)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


def test_what_a_command_returns_is_printed_and_decides_the_exit_code() -> None:
    told = run("weather")
    assert told.exit_code == 1
    assert told.stdout == ("place  here\n\nlevel    to do\n-------  -----\nproblem  -\n\nRain.\n")


def test_it_is_printed_as_json_and_csv_too() -> None:
    assert json.loads(run("weather", "--format", "json").stdout) == {
        "place": "here",
        "rows": [{"level": "problem", "to_do": None}],
        "totals": [],
        "notes": ["Rain."],
    }
    assert run("cupboard", "status", "--format", "csv").stdout == "cups\n1200\n"
    assert run("weather", "--format", "xml").exit_code == 2


def test_a_command_of_a_group_is_printed_the_same_way() -> None:
    told = run("cupboard", "status")
    assert (told.exit_code, told.stdout) == (0, " cups\n-----\n1,200\n")
    assert run("cupboard", "empty").stdout == ""


def test_a_command_with_a_format_of_its_own_prints_itself() -> None:
    assert run("own", "--format", "sarif").stdout == "in sarif\n"


def test_a_command_that_cannot_be_loaded_takes_no_other_away() -> None:
    shown = run("--help").stdout
    assert "Tell the weather." in shown
    assert "broken" in shown
    failed = run("broken")
    assert failed.exit_code == 1
    assert failed.stderr.startswith("Error: broken cannot be loaded from added_commands_that_are")
    assert "is no click command" in run("nothing").stderr


def test_ours_come_first_and_cannot_be_replaced() -> None:
    listed = main.list_commands(click.Context(main))
    assert listed[: len(COMMANDS)] == list(COMMANDS)
    assert listed[len(COMMANDS) :] == sorted(set(app_commands.names()) - set(COMMANDS))
    assert "doctor" in listed
    report = main.get_command(click.Context(main), "report")
    assert report is not None
    assert report.help != "Tell the weather."


def test_what_the_app_side_returns_is_what_the_command_line_prints() -> None:
    """Two classes in two roots that may not import each other."""
    answer: app_commands.Answer = Answer(["level"], [["ok"]])
    assert isinstance(answer, app_commands.Answer)
