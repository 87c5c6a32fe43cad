"""What is acknowledged while the database cannot take it: requests in files, until they are committed.

DIR/0/            one collector's part, DIR/1/ another's, as many as run at once
DIR/0/lock        locked for as long as a process uses that part; it says nothing else
DIR/0/000001.log  a segment; removed when all that is in it is committed

A part that its process has left behind is taken over by the next one that starts, or that runs.
"""

import fcntl
import logging
import os
import threading
from collections.abc import Sequence
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Final

from spanmeter.collector_receiver.journal_segment import Entry, Segment, packed, sync_directory

logger = logging.getLogger(__name__)

SEGMENT_BYTES: Final = 8 * 1024 * 1024
"""A segment is sealed at this size: after a kill at most one is replayed that was committed in part."""

SET_ASIDE: Final = ".set-aside"
"""Suffix of a segment that cannot be replayed; it is left for a person to look at."""


class CannotJournal(Exception):
    """The journal cannot take it: it is full, or its disk is, or may not be written to."""


class Part:
    """One process's directory of the journal, locked by us."""

    def __init__(self, path: Path, lock: int) -> None:
        self.path = path
        self._lock = lock

    def segments(self) -> list[Path]:
        """Its segments, oldest first."""
        return sorted(self.path.glob("*.log"))

    def unlock(self) -> None:
        """Leave it to others."""
        os.close(self._lock)


class Journal:
    """Takes requests durably, and gives them back oldest first. Thread-safe.

    At most `max_bytes` are kept. Raises CannotJournal if `directory` cannot be made or written to.
    """

    def __init__(self, directory: Path, *, max_bytes: int) -> None:
        self._directory = directory
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._active: Segment | None = None
        self._sealed: list[Segment] = []
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._own = self._first_free()
        except OSError as error:
            raise CannotJournal(_reason(directory, error)) from error
        self._adopted: list[Part] = []
        self._numbers = count(_last_number(self._own) + 1)
        self._bytes = sum(path.stat().st_size for path in self._own.segments())
        self.added = threading.Event()
        """Set when there is something to replay."""
        if self._bytes:
            self.added.set()

    @property
    def bytes(self) -> int:
        """The size of what is kept, but for parts that others have left."""
        return self._bytes

    def append(self, entries: Sequence[Entry]) -> None:
        """Keep the entries, durably once this returns. Raises CannotJournal, and then none of them is kept."""
        pieces = [packed(entry) for entry in entries]
        size = sum(map(len, pieces))
        try:
            with self._lock:
                segment = self._with_room(size)
                segment.add(pieces)
                self._bytes += size
                written = segment.size
            segment.sync(written)
        except OSError as error:
            raise CannotJournal(_reason(self._own.path, error)) from error
        self.added.set()

    def seal(self) -> list[Path]:
        """The segments to replay, oldest first; nothing is added to them any more. What others left comes first."""
        self.added.clear()
        self._adopt()
        with self._lock:
            self._seal_active()
        return [path for part in [*self._adopted, self._own] for path in part.segments()]

    def discard(self, path: Path) -> None:
        """Remove a segment, all of which is committed."""
        size = path.stat().st_size
        path.unlink()
        self._forget(path, size)

    def set_aside(self, path: Path) -> Path:
        """Keep a segment that cannot be replayed, under another name, which is returned."""
        size = path.stat().st_size
        kept = path.rename(path.with_name(path.name + SET_ASIDE))
        self._forget(path, size)
        return kept

    def close(self) -> None:
        """Leave what is kept to the next process."""
        with self._lock:
            self._seal_active()
            for segment in self._sealed:
                segment.close()
            self._sealed.clear()
        for part in (*self._adopted, self._own):
            part.unlock()

    def _with_room(self, size: int) -> Segment:
        if self._bytes + size > self._max_bytes:
            raise CannotJournal(
                f"the journal in {self._directory} is full: it has {self._bytes} bytes"
            )
        if self._active is not None and (self._active.broken or self._active.size >= SEGMENT_BYTES):
            self._seal_active()
        if any(segment.broken for segment in self._sealed):
            raise CannotJournal(f"the disk of the journal in {self._directory} has lost a write")
        if self._active is None:
            self._active = Segment(self._own.path / f"{next(self._numbers):012}.log")
            self._bytes += self._active.size
        return self._active

    def _seal_active(self) -> None:
        if self._active is not None:
            # Its file stays open: another thread may be waiting for the disk.
            self._sealed.append(self._active)
            self._active = None

    def _forget(self, path: Path, size: int) -> None:
        with self._lock:
            if path.parent == self._own.path:
                self._bytes -= size
            for segment in [each for each in self._sealed if each.path == path]:
                with suppress(OSError):
                    segment.sync(segment.size)
                segment.close()
                self._sealed.remove(segment)
        for part in [each for each in self._adopted if not each.segments()]:
            self._adopted.remove(part)
            part.unlock()

    def _first_free(self) -> Part:
        for number in count():
            if (part := _locked(self._directory / str(number))) is not None:
                return part
        raise AssertionError("there are as many numbers as processes")

    def _adopt(self) -> None:
        """Take over the parts that have segments and no process."""
        known = {part.path for part in (*self._adopted, self._own)}
        for path in sorted(self._directory.iterdir()):
            if path in known or not any(path.glob("*.log")):
                continue
            if (part := _locked(path)) is not None:
                logger.warning("replaying what another collector left in %s", path)
                self._adopted.append(part)


def _locked(path: Path) -> Part | None:
    """The part in this directory, unless a process has it."""
    path.mkdir(mode=0o700, exist_ok=True)
    lock = os.open(path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        sync_directory(path.parent)
    except OSError as error:
        os.close(lock)
        if isinstance(error, BlockingIOError):
            return None
        raise
    return Part(path, lock)


def _last_number(part: Part) -> int:
    """Of all that was ever there: a segment that was set aside keeps its number."""
    numbers = [0]
    for path in part.path.iterdir():
        with suppress(ValueError):
            numbers.append(int(path.name.partition(".")[0]))
    return max(numbers)


def _reason(path: Path, error: OSError) -> str:
    return f"the journal in {path} cannot be written to: {error.strerror or error}"
