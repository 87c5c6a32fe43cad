"""Where the spool of a service lies, and that nobody else can read or plant anything there."""

import os
import re
import stat
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

SYSTEM: Final = Path("/var/lib/spanmeter/spool")
"""For services without a home."""


class NoSpool(OSError):
    """There is no directory that records can be kept in; the text says why."""


def usual_directory(environ: Mapping[str, str]) -> Path:
    """The first usual place that can be written to. Raises `NoSpool`."""
    refusals: list[str] = []
    for candidate in _usual(environ):
        try:
            if candidate.parent.parent == Path(tempfile.gettempdir()):
                # Anybody may have made it before us.
                _claim(candidate.parent)
            _claim(candidate)
        except OSError as error:
            refusals.append(str(error))
        else:
            return candidate
    raise NoSpool("; ".join(refusals))


def service_directory(base: Path, service: str) -> Path:
    """The part of the spool that belongs to a service, made if need be, readable to its user alone.

    Raises `OSError`. Services are kept apart, since each sends with a key of its own.
    """
    # Two services whose names differ only in what a file name cannot hold may share one.
    name = re.sub(r"[^\w.:@+-]", "_", service, flags=re.ASCII).strip(".")[:128]
    base.mkdir(mode=0o700, parents=True, exist_ok=True)
    directory = base / (name or "unknown_service")
    _claim(directory)
    return directory


def _usual(environ: Mapping[str, str]) -> Iterator[Path]:
    if state := environ.get("XDG_STATE_HOME"):
        yield Path(state) / "spanmeter" / "spool"
    home = environ.get("HOME")
    if home and home != "/" and Path(home).is_dir():
        yield Path(home) / ".local" / "state" / "spanmeter" / "spool"
    yield SYSTEM
    yield Path(tempfile.gettempdir()) / f"spanmeter-{os.getuid()}" / "spool"


def _claim(directory: Path) -> None:
    """Makes the directory ours. Raises `OSError` where it is another's, or cannot be written to."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    state = directory.lstat()
    if not stat.S_ISDIR(state.st_mode):
        raise NoSpool(f"{directory} is no directory")
    if state.st_uid not in {os.getuid(), os.geteuid()}:
        raise NoSpool(f"{directory} belongs to another user")
    if state.st_mode & 0o077:
        directory.chmod(0o700)
    if not os.access(directory, os.W_OK | os.X_OK):
        raise NoSpool(f"{directory} cannot be written to")
