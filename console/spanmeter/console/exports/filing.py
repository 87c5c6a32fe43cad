"""Files of usage: one for each hour or day, written whole, and written anew when the ledger has changed.

The intent is kept before the file is written, with the digest of its rows and their sums. A file takes its place only
when it is complete, so that whoever reads it finds the one before or the one after.
"""

import os
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from hashlib import sha256
from importlib import import_module
from pathlib import Path
from typing import Any, Final, Protocol, cast

from spanmeter.console.exports.configuration import Configured
from spanmeter.console.exports.identity import dedupe_id
from spanmeter.console.exports.kinds import KINDS
from spanmeter.console.exports.pending_windows import pending_windows, save_looked
from spanmeter.console.exports.table_content import Format, TableOf, as_csv, content
from spanmeter.console.exports.target import TargetUnusable
from spanmeter.storage import exports
from spanmeter.storage.connection import Connection
from spanmeter.storage.exports import OPEN, Intent, Series

METER: Final = "rows"


class ReadsTable(Protocol):
    """What is in a file of a kind."""

    def __call__(
        self, connection: Connection, configured: Configured, since: datetime, until: datetime
    ) -> TableOf: ...


class Filing:
    """Writes one target's files, for a run that is the only one."""

    def __init__(self, connection: Connection, configured: Configured) -> None:
        self._connection = connection
        self._configured = configured
        self._length = timedelta(hours=1 if configured.period == "hour" else 24)
        self._directory = Path(configured.options["directory"])
        self._form: Format = cast(Format, configured.options.get("format", configured.kind))
        module, _, name = KINDS[configured.kind].place.partition(":")
        self._read = cast(ReadsTable, getattr(import_module(module), name))

    def write(self, now: datetime) -> tuple[int, int]:
        """Write all files that are due; return how many were planned and written. Raises `TargetUnusable`."""
        begun = exports.transaction_time(self._connection)
        until = self._configured.until(now)
        windows = pending_windows(self._connection, self._configured, until)
        done = [self._write_window(start) for start in windows]
        save_looked(self._connection, self._configured, until, begun)
        return sum(planned for planned, _ in done), len([1 for _, written in done if written])

    def _write_window(self, start: datetime) -> tuple[int, bool]:
        table = self._read(self._connection, self._configured, start, start + self._length)
        digest = sha256(as_csv(table)).digest()
        before = exports.in_windows(
            self._connection, self._configured.name, start, start + timedelta(seconds=1)
        )
        latest = before[-1] if before else None
        if latest is not None and latest.payload_sha256 == digest:
            if latest.state == "confirmed":
                return 0, False
            self._put(latest, table)
            return 0, True
        for intent in before:
            if intent.state in OPEN:
                exports.settle(self._connection, intent.dedupe_id, "superseded")
        planned = self._planned(start, len(before), table, digest)
        exports.add(self._connection, [planned])
        self._put(planned, table)
        return 1, True

    def _put(self, intent: Intent, table: TableOf) -> None:
        exports.note_sending(self._connection, [intent])
        try:
            put_file(self._directory / intent.payload["file"], content(table, self._form))
        except OSError as error:
            reason = f"{self._directory} cannot be written to: {error.strerror}"
            exports.note_not_taken(self._connection, intent, reason)
            raise TargetUnusable(reason) from error
        exports.settle(self._connection, intent.dedupe_id, "confirmed")

    def _planned(self, start: datetime, generation: int, table: TableOf, digest: bytes) -> Intent:
        series = Series(None, METER, ())
        payload: dict[str, Any] = {
            "file": self._name(start),
            "rows": len(table.rows),
            "totals": _texts(table.totals),
            "left_out": _texts(table.left_out),
        }
        rows = Decimal(len(table.rows))
        return Intent(
            dedupe_id=dedupe_id(self._configured.name, series, start, generation),
            target=self._configured.name,
            kind="file",
            tenant_id=None,
            meter=METER,
            dimensions={},
            window_start=start,
            window_end=start + self._length,
            generation=generation,
            cancels=None,
            quantity=rows,
            scale=Decimal(1),
            value=rows,
            payload=payload,
            payload_sha256=digest,
        )

    def _name(self, start: datetime) -> str:
        hourly = self._configured.period == "hour"
        when = f"{start.astimezone(UTC):{'%Y-%m-%dT%H' if hourly else '%Y-%m-%d'}}"
        return f"{self._configured.name}-{when}.{self._form}"


def put_file(path: Path, content: bytes) -> None:
    """Have the file there, whole and on disk, or the one before. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.unfinished")
    with unfinished.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def latest_files(intents: Sequence[Intent]) -> dict[datetime, Intent]:
    """Of each window the file that stands: the last that was written."""
    written = [each for each in intents if each.kind == "file" and each.state == "confirmed"]
    return {each.window_start: each for each in sorted(written, key=lambda each: each.generation)}


def _texts(sums: Any) -> dict[str, str]:
    return {name: f"{amount:f}" for name, amount in sums.items()}
