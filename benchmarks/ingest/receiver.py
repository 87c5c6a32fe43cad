"""Collectors as processes, and what they cost."""

import re
import signal
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from processor import family, used_by

# Without the journal, so that what is acknowledged is what is committed.
FLAGS = [
    "--grpc",
    "127.0.0.1:0",
    "--http",
    "127.0.0.1:0",
    "--durability",
    "db",
    "--log-level",
    "warning",
]


class Receiver(NamedTuple):
    """A running collector."""

    grpc: str
    http: str
    pid: int

    def cpu_seconds(self) -> float:
        """Processor time used so far, by its workers too."""
        return used_by(self.pid)

    def peak_mib(self) -> float:
        """The most memory that was ever resident, in each of its processes."""
        return sum(_peak_mib(each.pid) for each in family(self.pid))


def _peak_mib(pid: int) -> float:
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) / 1024 if found else 0.0


@contextmanager
def receiver(dsn: str, workers: int) -> Generator[Receiver]:
    """`spanmeter collector` on a free port, until the block ends."""
    command = [str(Path(sys.executable).with_name("spanmeter")), "collector", "--dsn", dsn]
    with subprocess.Popen(
        [*command, *FLAGS, "--workers", str(workers)],
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        ready = process.stdout.readline() if process.stdout else ""
        found = re.search(r"grpc=(\S+) http=(\S+)", ready)
        if found is None:
            raise SystemExit(f"the collector did not start: {ready}")
        try:
            yield Receiver(found[1], found[2], process.pid)
        finally:
            process.send_signal(signal.SIGTERM)
