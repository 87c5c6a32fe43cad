"""The directory that all processes of an origin keep their segments in, and its bound.

origin.json                          which service they are of, and which destination their records are for
1774000000000000000-4711-0.spool     segments: of living processes, and of dead ones until adopted
dead/                                segments of records that the collector refuses
.lock                                held for a moment by who takes place on the disk
"""

import fcntl
import logging
import os
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from spanmeter.instrumentation.pipeline.rarely import Rarely
from spanmeter.instrumentation.pipeline.segment import PAGE, NotASegment, Segment

SUFFIX: Final = ".spool"
DEAD: Final = "dead"
LOCK: Final = ".lock"

STEP: Final = 256 * 1024
"""Place is taken on the disk in steps of this, some 250 records."""
_SPARED: Final = 32 * 1024 * 1024
_SPARED_SHARE: Final = 20
"""Of a disk, 32 MiB or a twentieth are left to others."""
_LOCK_PATIENCE: Final = 0.1
_ABANDONED: Final = 60.0
"""Seconds after which a segment without a name is the remains of a process that died making it."""

_logger: Final = logging.getLogger(__name__)


class Directory:
    """Segments of one origin. `max_bytes` bounds the files of all its processes together."""

    def __init__(self, path: Path, *, max_bytes: int) -> None:
        self.path = path
        self.segment_bytes = min(4 * 1024 * 1024, max(2 * PAGE, max_bytes // 8 // PAGE * PAGE))
        """A segment of this size is full."""
        self._max_bytes = max_bytes
        self._made = 0
        self._complaints = Rarely()

    def create(self, resource: bytes, *, dropped: int) -> Segment:
        """A new segment, of one page or two: that much is given even where the spool is full, so
        that what is dropped can be counted. Raises `OSError`."""
        self._made += 1
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        name = f"{time.time_ns()}-{os.getpid()}-{self._made}{SUFFIX}"
        return Segment.create(self.path / name, resource, dropped=dropped)

    def extend(self, segment: Segment, room: int) -> bool:
        """Makes room for so many more bytes in the segment; `False` where the bound does not allow
        it. Raises `OSError` where the disk does not."""
        needed = -(-(segment.written + room) // PAGE) * PAGE
        wanted = max(needed, min(segment.reserved + STEP, self.segment_bytes))
        with self._locked():
            free = self._free() + segment.reserved
            if needed > free:
                return False
            segment.reserve(min(wanted, free // PAGE * PAGE))
        return True

    def sync(self) -> None:
        """Waits until the disk knows the names of the files. Raises `OSError`."""
        descriptor = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def adopt(self, mine: set[Path]) -> Iterator[Segment]:
        """Segments whose owners have died, one by one; from now on they are ours."""
        for path in self.segments():
            if path in mine:
                continue
            try:
                segment = Segment.adopt(path)
            except NotASegment as error:
                self.put_aside(path, str(error))
            except OSError as error:
                self._complaints.log(
                    _logger, "records of dead processes in %s cannot be read: %s", self.path, error
                )
            else:
                if segment is not None:
                    yield segment

    def segments(self) -> list[Path]:
        """All segments there are now, the oldest first."""
        return segments(self.path)

    def dead_segments(self) -> list[Path]:
        """Segments of records that the collector refused, the oldest first."""
        return segments(self.path / DEAD)

    def dead(self) -> "Directory":
        """The part for records that the collector refuses, under the same bound."""
        path = self.path / DEAD
        path.mkdir(mode=0o700, exist_ok=True)
        return Directory(path, max_bytes=self._max_bytes)

    def put_aside(self, path: Path, reason: str) -> None:
        """Moves a file out of the way that holds no records that can be read."""
        with suppress(OSError):
            path.rename(self.dead().path / f"{path.name}.unreadable")
            _logger.error(
                "%s holds no records that can be read (%s); it is in %s/", path, reason, DEAD
            )

    def clean(self) -> None:
        """Removes what processes left that died while they made a segment."""
        for path in self.path.glob("*.new"):
            with suppress(OSError):
                if time.time() - path.stat().st_mtime > _ABANDONED:
                    path.unlink()

    def used(self) -> int:
        """Bytes of all files there are."""
        return sum(_size(path) for path in self._all())

    def _all(self) -> Iterator[Path]:
        top = self.path.parent if self.path.name == DEAD else self.path
        return (path for path in top.glob("**/*") if not path.name.startswith("."))

    def _free(self) -> int:
        """How many bytes more the bound and the disk allow."""
        disk = os.statvfs(self.path)
        spared = min(_SPARED, disk.f_blocks * disk.f_frsize // _SPARED_SHARE)
        return min(self._max_bytes - self.used(), disk.f_bavail * disk.f_frsize - spared)

    @contextmanager
    def _locked(self) -> Generator[None]:
        """One process at a time takes place, so that the bound holds for all of them.

        A process that is stopped while it holds the lock keeps the others waiting for a moment
        only; until it goes on, the bound may be passed by a step per process.
        """
        descriptor = os.open(self.path / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        deadline = time.monotonic() + _LOCK_PATIENCE
        try:
            while not _try_lock(descriptor) and time.monotonic() < deadline:
                time.sleep(0.001)
            yield
        finally:
            os.close(descriptor)


def segments(path: Path) -> list[Path]:
    """The segments in a directory, the oldest first."""
    return sorted(path.glob(f"*{SUFFIX}"))


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _size(path: Path) -> int:
    try:
        state = path.lstat()
    except OSError:
        return 0
    # A directory's own size is not ours to count.
    return 0 if path.is_dir() else state.st_size
