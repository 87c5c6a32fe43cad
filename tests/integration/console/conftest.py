"""The command as people run it: a process of its own, in an empty directory."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

COMMAND = Path(sys.executable).parent / "spanmeter"

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def environ() -> dict[str, str]:
    """This process's variables without any setting of ours."""
    return {name: value for name, value in os.environ.items() if not name.startswith("SPANMETER_")}


@pytest.fixture
def spanmeter(tmp_path: Path, environ: dict[str, str]) -> Run:
    """Run `spanmeter ARGUMENTS` to its end, with these variables set."""

    def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [COMMAND, *arguments],
            cwd=tmp_path,
            env=environ | variables,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run
