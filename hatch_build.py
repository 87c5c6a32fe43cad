"""Compiles what has a twin in C where there is a C compiler, and goes without where there is none.

The modules keep to Python's stable ABI, so one build serves every Python from 3.11 on.
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

SOURCES = (
    Path("collector_receiver/spanmeter/collector_receiver/_otlp.c"),
    Path("metering/spanmeter/metering/_row_templates.c"),
    Path("storage/spanmeter/storage/_copying.c"),
)
SUFFIX = ".abi3.so"
FLAGS = ("-O2", "-fPIC", "-shared", "-fvisibility=hidden")
DARWIN_FLAGS = ("-undefined", "dynamic_lookup")


class CompiledModules(BuildHookInterface[BuilderConfig]):
    """Puts the modules into the wheel, or, for an editable install, beside their sources."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile. A failure is one line of the log: what is in Python does the same."""
        self._directory = tempfile.TemporaryDirectory()
        for source in SOURCES:
            self._add(source, version, build_data)

    def _add(self, source: Path, version: str, build_data: dict[str, Any]) -> None:
        root = Path(self.root)
        built = Path(self._directory.name) / (source.stem + SUFFIX)
        place = (root / source).with_suffix(SUFFIX)
        problem = compiled(root / source, built)
        if problem:
            # One that an earlier install left here would be of another version.
            place.unlink(missing_ok=True)
            self.app.display_warning(
                f"spanmeter does without {source.stem}, more slowly: {problem}"
            )
        elif version == "editable":
            beside = place.with_suffix(f".{os.getpid()}")
            beside.write_bytes(built.read_bytes())
            # At once: a process that runs has the old one mapped.
            beside.replace(place)
        else:
            # Below the source root, as everything in the wheel is.
            target = Path(*source.parts[1:]).with_suffix(SUFFIX)
            build_data["force_include"][str(built)] = str(target)
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
