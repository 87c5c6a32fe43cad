"""Every command as a process of its own: it ends as it does in the tests' process, where its own tests run it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from commands import Completed
from spanmeter.console.cli import COMMANDS

Run = Callable[..., Completed]

SERVING = {"up", "collector", "console", "demo"}
"""They run until they are ended, in processes of their own wherever they are tested."""

# A line of each, and how it ends.
LINES = {
    "db status --format json": 0,
    "report --by tenant,feature --format csv": 0,
    "verify --format json": 1,
    "seal --through yesterday": 0,
    "rules show": 0,
    "budget list --format csv": 0,
    "keys list --format csv": 0,
    "adjust list --format csv": 0,
    "reconcile list --format csv": 0,
    "plan list --format csv": 0,
    "grant list --format csv": 0,
    "margin show --format csv": 0,
    "quality --format csv": 1,
    "statement show acme --format csv": 0,
    "rates list --format csv": 0,
    "alerts show": 0,
    "redrive": 0,
    "explain 00000000": 1,
    "export list": 2,
}

CHANGING = {"seal", "redrive"}
"""They find nothing left to do the second time."""


def command(line: str) -> str:
    return line.split(maxsplit=1)[0]


def test_every_command_is_here() -> None:
    assert {command(line) for line in LINES} == set(COMMANDS) - SERVING


@pytest.mark.parametrize("edition", ["timescale"])
@pytest.mark.parametrize("line", LINES, ids=command)
def test_a_command_ends_as_a_process_as_it_does_here(
    ledger: str, installed: Run, spanmeter: Run, line: str
) -> None:
    done = installed(*line.split(), SPANMETER_DSN=ledger)
    assert done.returncode == LINES[line], done.stderr
    assert done.stdout or done.stderr.startswith("Error: ")
    if command(line) not in CHANGING:
        here = spanmeter(*line.split(), SPANMETER_DSN=ledger)
        assert (here.returncode, here.stderr) == (done.returncode, done.stderr)
        assert here.stdout.splitlines() == done.stdout.splitlines()
