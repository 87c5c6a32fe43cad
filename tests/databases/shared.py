"""One server for every test run on this machine, up while anybody uses it.

A user holds a shared lock on the server's `users` file; who lets go last stops the server. The
kernel drops the lock of a killed run, so its server ends with the next run instead of never.
"""

from __future__ import annotations

import fcntl
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from databases.cluster import Cluster


@contextmanager
def lease(server: Cluster) -> Generator[Cluster]:
    """Use *server*: made and started if nobody has yet, removed if nobody else needs it after."""
    with _beside(server, "users").open("w") as users:
        with _changing(server):
            fcntl.flock(users, fcntl.LOCK_SH)
            if not server.is_running:
                server.create()
                server.start()
        try:
            yield server
        finally:
            with _changing(server):
                fcntl.flock(users, fcntl.LOCK_UN)
                if not _kept(server).exists():
                    _remove_unless_used(server)


def keep(server: Cluster) -> None:
    """Start *server* and leave it up until `release`, for many short runs in a row."""
    with lease(server):
        _kept(server).touch()


def release(server: Cluster) -> bool:
    """Remove *server* unless somebody uses it; tell whether it is down now."""
    with _changing(server):
        _kept(server).unlink(missing_ok=True)
        return _remove_unless_used(server)


def forget(server: Cluster) -> None:
    """Delete the lock files of a server that nobody else knows by name."""
    for suffix in ("lock", "users"):
        _beside(server, suffix).unlink(missing_ok=True)


@contextmanager
def _changing(server: Cluster) -> Generator[None]:
    """Only one process at a time decides whether *server* starts or stops."""
    with _beside(server, "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _remove_unless_used(server: Cluster) -> bool:
    with _beside(server, "users").open("w") as users:
        try:
            fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        server.remove()
        return True


def _beside(server: Cluster, suffix: str) -> Path:
    """A file that outlives the server's own directory."""
    return server.directory.with_suffix(f".{suffix}")


def _kept(server: Cluster) -> Path:
    """The mark of `keep`; inside the directory, so that a new server starts without it."""
    return server.directory / "keep"
