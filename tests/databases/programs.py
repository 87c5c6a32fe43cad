"""The server programs of one PostgreSQL, and how they are run by a user that PostgreSQL accepts."""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

# PostgreSQL refuses to run as root; this user exists on every system and owns nothing else.
NOBODY = 65534

# The mounts are made in a mount namespace of the command's own and end with its last process:
# a server that was killed leaves none behind. Arguments: image, state directory, command.
_ENTER_IMAGE = f"""
mount --rbind /dev "$0/dev"
mount --rbind /proc "$0/proc"
mkdir -p "$0$1"
mount --bind "$1" "$0$1"
root=$0; shift
exec chroot --userspec={NOBODY}:{NOBODY} "$root" "$@"
"""


class ProgramFailed(Exception):
    """A server program ended with an error; the message holds what it printed."""


@dataclass(frozen=True)
class Programs:
    """PostgreSQL in *bin*: of this machine, or inside *image* (a directory to change root to)."""

    bin: Path
    share: Path
    image: Path | None = None

    def run(self, program: str, *args: str, state: Path) -> str:
        """Run *program* to its end and return what it printed.

        *state* is the only directory of this machine that a program inside an image can reach.
        Raises ProgramFailed.
        """
        command = [str(self.bin / program), *args]
        unprivileged = NOBODY if os.geteuid() == 0 and self.image is None else None
        if self.image is not None:
            command = ["sh", "-euc", _ENTER_IMAGE, str(self.image), str(state), *command]
            command = ["unshare", "--mount", "--propagation", "private", "--", *command]
        done = subprocess.run(
            command,
            user=unprivileged,
            group=unprivileged,
            extra_groups=None if unprivileged is None else [],
            cwd="/",
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise ProgramFailed(f"{program} ended with {done.returncode}:\n{done.stdout}")
        return done.stdout

    @property
    def timescaledb_version(self) -> str | None:
        """The version of TimescaleDB that ships with these programs, or None."""
        control = self._on_this_machine(self.share / "extension" / "timescaledb.control")
        if not control.exists():
            return None
        found = re.search(r"default_version\s*=\s*'([^']+)'", control.read_text())
        return found and found[1]

    def version(self, state: Path) -> str:
        """Name both versions, as in "PostgreSQL 17.11 with TimescaleDB 2.19.3"."""
        number = self.run("postgres", "--version", state=state).split()[2]
        timescaledb = self.timescaledb_version
        return f"PostgreSQL {number}" + (f" with TimescaleDB {timescaledb}" if timescaledb else "")

    def _on_this_machine(self, path: Path) -> Path:
        return path if self.image is None else self.image / path.relative_to("/")
