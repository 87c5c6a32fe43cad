"""Virtual environments, each with one release of a client library."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
ENVIRONMENTS = ROOT / ".venv" / "matrix"


class Version(NamedTuple):
    """A release of an SDK, with what else it needs to be installed with today."""

    sdk: str
    version: str
    further: Sequence[str] = ()


def environment(version: Version, project: str = str(ROOT)) -> Path:
    """The Python of a version's environment, made if it is not there. `project` is this one, with
    its extras."""
    directory = ENVIRONMENTS / f"{version.sdk}-{version.version}"
    python = directory / "bin" / "python"
    if not (directory / "ready").exists():
        uv = [sys.executable, "-m", "uv"]
        subprocess.run(
            [*uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(directory)],
            check=True,
        )
        required = [f"{version.sdk}=={version.version}", *version.further, "--editable", project]
        subprocess.run(
            [*uv, "pip", "install", "--quiet", "--python", str(python), *required], check=True
        )
        (directory / "ready").touch()
    return python
