"""Processor time of other processes, as Linux counts it."""

import os
from collections.abc import Iterable
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")


def of_tree(pid: int) -> float:
    """Seconds that a process and its children have used so far, those that ended among them."""
    return sum(map(_used, tree(pid)))


def tree(pid: int) -> list[int]:
    """A process and its children."""
    return [pid, *_children(pid)]


def database_pid(backend: int) -> int | None:
    """The server that a backend belongs to; `None` where it runs on another machine, or in a container."""
    status = Path(f"/proc/{backend}/status")
    if not status.exists() or not status.read_text().startswith("Name:\tpostgres"):
        return None
    return _parent(backend)


def _children(pid: int) -> Iterable[int]:
    for directory in Path("/proc").glob("[0-9]*"):
        try:
            if _parent(int(directory.name)) == pid:
                yield int(directory.name)
        except OSError:
            # It has ended, and its parent's count has it.
            continue


def _used(pid: int) -> float:
    try:
        # Its own, in both modes, and what its ended children had used.
        return sum(map(int, _fields(pid)[11:15])) / TICKS
    except OSError:
        return 0.0


def _parent(pid: int) -> int:
    return int(_fields(pid)[1])


def _fields(pid: int) -> list[str]:
    """Of `/proc/PID/stat`, from the state on: before it comes a name, which may hold anything."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
