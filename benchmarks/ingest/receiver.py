"""Collectors as processes, and what they cost."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

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
TICKS = os.sysconf("SC_CLK_TCK")


class Receiver(NamedTuple):
    """A running collector."""

    grpc: str
    http: str
    pid: int

    def cpu_seconds(self) -> float:
        """Processor time used so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def peak_mib(self) -> float:
        """The most memory that was ever resident."""
        found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{self.pid}/status").read_text())
        return int(found[1]) / 1024 if found else 0.0


@contextmanager
def receiver(dsn: str) -> Generator[Receiver]:
    """`spanmeter collector` on a free port, until the block ends."""
    command = [str(Path(sys.executable).with_name("spanmeter")), "collector", "--dsn", dsn]
    with subprocess.Popen(
        [*command, *FLAGS],
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
