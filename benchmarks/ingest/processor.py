"""Processor time of other processes, as Linux counts it."""

import os
from pathlib import Path
from typing import NamedTuple

TICKS = os.sysconf("SC_CLK_TCK")


class Process(NamedTuple):
    """One process; `used` are the seconds of processor time of its own and of its children that have ended."""

    pid: int
    name: str
    parent: int
    used: float


def process(pid: int) -> Process | None:
    """The process at this moment; `None` where there is none of this number, any more."""
    try:
        told = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    # The name may hold anything, spaces and parentheses included.
    before, _, after = told.rpartition(")")
    fields = after.split()
    return Process(
        pid, before.partition("(")[2], int(fields[1]), sum(map(int, fields[11:15])) / TICKS
    )


def family(pid: int) -> list[Process]:
    """A process and its children."""
    pids = (int(directory.name) for directory in Path("/proc").glob("[0-9]*"))
    every = [found for each in pids if (found := process(each)) is not None]
    return [each for each in every if pid in {each.pid, each.parent}]


def used_by(pid: int) -> float:
    """Seconds of processor time of a process and its children so far, those that ended among them."""
    return sum(each.used for each in family(pid))
