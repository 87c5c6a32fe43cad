"""Compiles what is in C where there is a C compiler, and goes without where there is none.

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

SOURCES = {
    Path("collector_receiver/spanmeter/collector_receiver/_otlp.c"): "decodes",
    Path("instrumentation/spanmeter/instrumentation/_json.c"): "reads answers",
    Path("instrumentation/spanmeter/instrumentation/pipeline/_spans.c"): "encodes",
    Path("metering/spanmeter/metering/_row_templates.c"): "fills in rows",
    Path("storage/spanmeter/storage/_copying.c"): "packs rows",
}
"""Each with what Python does, more slowly, where it cannot be compiled."""

SUFFIX = ".abi3.so"
FLAGS = ("-O2", "-fPIC", "-shared", "-fvisibility=hidden")
DARWIN_FLAGS = ("-undefined", "dynamic_lookup")


class CompiledModules(BuildHookInterface[BuilderConfig]):
    """Puts the modules into the wheel, or, for an editable install, each beside its source."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile. A failure is one line of the log: Python does the same."""
        self._directory = tempfile.TemporaryDirectory()
        for source, does in SOURCES.items():
            built = Path(self._directory.name) / (source.stem + SUFFIX)
            problem = compiled(Path(self.root) / source, built)
            if problem:
                # One that an earlier install left here would be of another version.
                (Path(self.root) / source.with_suffix(SUFFIX)).unlink(missing_ok=True)
                self.app.display_warning(f"spanmeter {does} in Python, more slowly: {problem}")
            else:
                self._place(source, built, version, build_data)

    def _place(self, source: Path, built: Path, version: str, build_data: dict[str, Any]) -> None:
        place = source.with_suffix(SUFFIX)
        if version == "editable":
            beside = Path(self.root) / place.with_suffix(f".{os.getpid()}")
            beside.write_bytes(built.read_bytes())
            # At once: a process that runs has the old one mapped.
            beside.replace(Path(self.root) / place)
        else:
            # Without the source root, which is no part of the package.
            build_data["force_include"][str(built)] = str(Path(*place.parts[1:]))
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
