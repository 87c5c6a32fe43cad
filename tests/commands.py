"""The command `spanmeter`, run in this process or as one of its own: what it printed, and how it ended."""

from __future__ import annotations

import contextlib
import logging
import os
import subprocess
import sys
from collections.abc import Generator, Mapping
from pathlib import Path
from unittest.mock import patch

from click.testing import CliRunner

from spanmeter.console.cli import main

INSTALLED = Path(sys.executable).with_name("spanmeter")

Completed = subprocess.CompletedProcess[str]


def run_here(directory: Path, environ: Mapping[str, str], *arguments: str) -> Completed:
    """In this process, which has imported already what takes a process of its own a second.

    Variables are those of `environ` and no others. A defect raises here what would be a traceback there.
    """
    with contextlib.chdir(directory), _log_untouched(), patch.dict(os.environ, environ, clear=True):
        runner = CliRunner(catch_exceptions=False)
        done = runner.invoke(main, arguments, prog_name="spanmeter")
    return Completed(arguments, done.exit_code, done.stdout, done.stderr)


def run_installed(directory: Path, environ: Mapping[str, str], *arguments: str) -> Completed:
    """As people run it: what is installed, from its start to its end."""
    return subprocess.run(
        [INSTALLED, *arguments],
        cwd=directory,
        env=environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@contextlib.contextmanager
def _log_untouched() -> Generator[None]:
    """A command sets up a log of its own where there is none, as in a process of its own."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    root.handlers.clear()
    try:
        yield
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
