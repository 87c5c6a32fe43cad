"""A collector as a process that a test may kill, and a look at what it stored."""

from __future__ import annotations

import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import psycopg
from psycopg.rows import namedtuple_row


class Ledger:
    """What the database holds."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn

    def spans(self) -> list[bytes]:
        """The span id of every row, twice if it is there twice."""
        return [row[0] for row in self._query("SELECT span_id FROM usage_events")]

    def count(self) -> int:
        """The number of rows."""
        count: int = self._query("SELECT count(*) FROM usage_events")[0][0]
        return count

    def column(self, name: str) -> list[Any]:
        """One column of every row."""
        return [getattr(row, name) for row in self._named("SELECT * FROM usage_events")]

    def rejected(self) -> list[Any]:
        """The rows of `rejected_spans`."""
        return self._named("SELECT * FROM rejected_spans")

    def execute(self, statement: str) -> None:
        """Change the database under the collector."""
        with psycopg.connect(self._dsn) as connection:
            connection.execute(statement.encode())

    def _query(self, statement: str) -> list[Any]:
        with psycopg.connect(self._dsn) as connection:
            return connection.execute(statement.encode()).fetchall()

    def _named(self, statement: str) -> list[Any]:
        with psycopg.connect(self._dsn, row_factory=namedtuple_row) as connection:
            return connection.execute(statement.encode()).fetchall()


@dataclass
class CollectorProcess:
    """A collector in a process of its own."""

    process: subprocess.Popen[str]
    address: str

    def terminate(self) -> None:
        """SIGTERM: drain and stop."""
        self.process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL, and wait for its end."""
        self.process.kill()
        self.process.wait()


class StartCollector(Protocol):
    """Start a collector process on a database; it is killed with the test if it still runs."""

    def __call__(
        self, dsn: str, address: str = "127.0.0.1:0", journal: Path | None = None
    ) -> CollectorProcess: ...
