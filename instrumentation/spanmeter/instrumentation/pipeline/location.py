"""Where the spool lies, and that nobody else can read or plant anything there."""

import fcntl
import os
import secrets
import stat
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from spanmeter.instrumentation.pipeline.origin import Origin

SYSTEM: Final = Path("/var/lib/spanmeter/spool")
"""For services without a home."""
KEY_BYTES: Final = 32
_NO_LINK: Final = os.O_NOFOLLOW | os.O_CLOEXEC


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


def origin_directory(base: Path, origin: Origin) -> Path:
    """The part of the spool that belongs to an origin, made if need be, readable to its user alone.

    Raises `OSError`.
    """
    directory = base / origin.name
    _claim(directory)
    with suppress(OSError):
        # A disk that is full now has room for it at the next start.
        origin.write(directory)
    return directory


def hashing_key(base: Path) -> bytes:
    """What this user's origins are hashed with in this spool: random, known to its user alone, made if need be.

    Raises `OSError`.
    """
    base.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(_key_file(base, os.getuid()), os.O_RDWR | os.O_CREAT | _NO_LINK, 0o600)
    with os.fdopen(descriptor, "rb+", buffering=0) as file:
        if os.fstat(descriptor).st_uid not in {os.getuid(), os.geteuid()}:
            raise NoSpool(f"{_key_file(base, os.getuid())} belongs to another user")
        # Held for a moment: whoever comes first makes the key that all use.
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        key = file.read(KEY_BYTES)
        if len(key) < KEY_BYTES:
            key = secrets.token_bytes(KEY_BYTES)
            os.pwrite(descriptor, key, 0)
    return key


def key_of_owner(directory: Path) -> bytes:
    """What the origin of this directory was hashed with. Raises `OSError`."""
    path = _key_file(directory.parent, directory.stat().st_uid)
    with os.fdopen(os.open(path, os.O_RDONLY | _NO_LINK), "rb") as file:
        return file.read(KEY_BYTES)


def _key_file(base: Path, user: int) -> Path:
    return base / f".key-{user}"


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
