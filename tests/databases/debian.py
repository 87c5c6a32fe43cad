"""TimescaleDB from Debian's packages: installed where this release has them, else in a tree.

The tree is a minimal Debian 13 in the cache, which mmdebstrap fills in half a minute; it needs
root but neither a container engine nor anything outside Debian.
"""

from __future__ import annotations

import fcntl
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

from databases.programs import Programs

_PACKAGE = "postgresql-17-timescaledb"
_RELEASE = "trixie"

# Without it, installing the server package would make and start a cluster of its own.
_NO_MAIN_CLUSTER = Path("/etc/postgresql-common/createcluster.d/no-main-cluster.conf")


class CannotProvide(Exception):
    """This machine has no such server, and it cannot be brought here."""


def install() -> None:
    """Install TimescaleDB with apt-get if this release has it. Raises CannotProvide."""
    _NO_MAIN_CLUSTER.parent.mkdir(parents=True, exist_ok=True)
    _NO_MAIN_CLUSTER.write_text("create_main_cluster = false\n")
    apt_install(_PACKAGE)


def install_quietly(package: str) -> None:
    """Install a server's package without having the server started. Raises CannotProvide."""
    run("apt-get", "update", "--quiet")
    # What would start it is told that the machine is in single-user mode.
    apt_install(package, RUNLEVEL="1")


def is_installable() -> bool:
    """Whether this release of Debian has the package, going by fresh lists."""
    run("apt-get", "update", "--quiet")
    # apt-cache prints nothing for an unknown package, and a candidate of (none) for a known one
    # that no archive holds.
    policy = run("apt-cache", "policy", _PACKAGE)
    return "Candidate: " in policy and "Candidate: (none)" not in policy


def image(cache: Path) -> Programs | None:
    """The tree's programs, if it has been built."""
    directory = _image_directory(cache)
    if not directory.exists():
        return None
    return Programs(
        bin=Path("/usr/lib/postgresql/17/bin"),
        share=Path("/usr/share/postgresql/17"),
        image=directory,
    )


def build_image(cache: Path) -> None:
    """Build the tree, once however many ask at the same time. Raises CannotProvide."""
    with (cache / "image.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if _image_directory(cache).exists():
            return
        print("Bringing TimescaleDB here for the tests: half a minute, once.", file=sys.stderr)
        if shutil.which("mmdebstrap") is None:
            apt_install("mmdebstrap")
        partial = cache / "image.partial"
        shutil.rmtree(partial, ignore_errors=True)
        run(
            "mmdebstrap",
            "--variant=minbase",
            f"--include={_PACKAGE}",
            _RELEASE,
            str(partial),
            mirror(),
        )
        partial.rename(_image_directory(cache))


def _image_directory(cache: Path) -> Path:
    return cache / f"{_RELEASE}-{_PACKAGE}-{platform.machine()}"


def mirror() -> str:
    """The archive that this machine's own apt uses."""
    targets = run("apt-get", "indextargets", "--format", "$(CREATED_BY) $(CODENAME) $(REPO_URI)")
    for target in targets.splitlines():
        created_by, codename, uri = target.split()
        if created_by == "Packages" and "-" not in codename:
            return uri
    raise CannotProvide("apt names no archive to take Debian packages from")


def apt_install(package: str, **further: str) -> None:
    """Install a package on this machine, with further variables of the environment. Raises CannotProvide."""
    run("apt-get", "install", "--yes", "--quiet", "--no-install-recommends", package, **further)


def run(*command: str, **further: str) -> str:
    """What a command prints. Raises CannotProvide, with that, where it fails."""
    environment = {
        **os.environ,
        "DEBIAN_FRONTEND": "noninteractive",
        "LC_ALL": "C.UTF-8",
        **further,
    }
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise CannotProvide(
            f"{' '.join(command)} failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}"
        )
    return done.stdout
