"""Compiles the decoder where there is a C compiler, and goes without where there is none.

The module keeps to Python's stable ABI, so one build serves every Python from 3.11 on.
"""

import os
import shlex
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.config import BuilderConfig
from hatchling.builders.hooks.plugin.interface import BuildHookInterface

SOURCE = Path("collector_receiver/spanmeter/collector_receiver/_otlp.c")
MODULE = "_otlp.abi3.so"
FLAGS = ("-O2", "-fPIC", "-shared", "-fvisibility=hidden")
DARWIN_FLAGS = ("-undefined", "dynamic_lookup")


class CompiledDecoder(BuildHookInterface[BuilderConfig]):
    """Puts the module into the wheel, or, for an editable install, beside its source."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile. A failure is one line of the log: the decoder in Python does the same."""
        root = Path(self.root)
        self._directory = tempfile.TemporaryDirectory()
        built = Path(self._directory.name) / MODULE
        place = root / SOURCE.with_name(MODULE)
        problem = compiled(root / SOURCE, built)
        if problem:
            # One that an earlier install left here would be of another version.
            place.unlink(missing_ok=True)
            self.app.display_warning(f"spanmeter decodes in Python, more slowly: {problem}")
        elif version == "editable":
            beside = place.with_suffix(f".{os.getpid()}")
            beside.write_bytes(built.read_bytes())
            # At once: a process that runs has the old one mapped.
            beside.replace(place)
        else:
            build_data["force_include"][str(built)] = f"spanmeter/collector_receiver/{MODULE}"
            build_data["pure_python"] = False
            build_data["tag"] = f"cp311-abi3-{_platform()}"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Clear up."""
        self._directory.cleanup()


def compiled(source: Path, target: Path, *more: str) -> str | None:
    """Compile with `$CC`, or cc, and these flags more; why it could not be done, or `None`."""
    include = Path(sysconfig.get_path("include"))
    if not (include / "Python.h").exists():
        return f"{include} has no Python.h"
    command = [
        *shlex.split(os.environ.get("CC", "cc")),
        *FLAGS,
        *(DARWIN_FLAGS if sys.platform == "darwin" else ()),
        *more,
        f"-I{include}",
        *(str(source), "-o", str(target)),
    ]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        return f"no C compiler: {error}"
    if done.returncode == 0:
        return None
    return (done.stderr.strip() or f"{command[0]} failed").splitlines()[-1]


def _platform() -> str:
    return sysconfig.get_platform().replace("-", "_").replace(".", "_")
