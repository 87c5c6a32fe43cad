"""One file of the spool: a header, then frames. Whoever holds its lock owns it.

The lock is the kernel's (`flock`) and ends with the process that holds it, however that ends. The
header remembers, in place, up to where records were acknowledged and how many were given up.
"""

import errno
import fcntl
import os
import struct
import zlib
from pathlib import Path
from typing import Final, Self

from spanmeter.instrumentation.pipeline.encoding import append_frame
from spanmeter.instrumentation.pipeline.frames import Kind, frame

MAGIC: Final = b"SPANMTR\x01"
HEADER_BYTES: Final = 512
"""One sector, which disks write whole."""
_SETTLED_AT: Final = 64
_DROPPED_AT: Final = 128
_slot: Final = struct.Struct("<QI")

PAGE: Final = 4096

_RECORD: Final = int(Kind.RECORD)

_NO_FALLOCATE: Final = {errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL}


class NotASegment(ValueError):
    """The file does not begin as a segment does, or is another's."""


class Segment:
    """A segment that this process owns. Made by `create` or `adopt`."""

    def __init__(self, path: Path, descriptor: int, *, written: int, reserved: int) -> None:
        self.path = path
        self.written = written
        """Where the next frame goes; all before it is written."""
        self.reserved = reserved
        """The size of the file, which has its place on the disk."""
        self._descriptor = descriptor
        self.settled = HEADER_BYTES
        """Records up to here need not be delivered any more."""
        self.dropped = 0
        """How many records their producer had given up when it last wrote here."""

    @classmethod
    def create(cls, path: Path, resource: bytes, *, dropped: int) -> Self:
        """A new segment, of the smallest size. Raises `OSError`."""
        # Named only once it is locked, so that nobody takes it for one whose owner has died.
        unnamed = path.with_suffix(".new")
        descriptor = os.open(unnamed, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.pwrite(descriptor, MAGIC.ljust(HEADER_BYTES, b"\0"), 0)
            segment = cls(path, descriptor, written=HEADER_BYTES, reserved=HEADER_BYTES)
            segment.dropped = dropped
            first = frame(Kind.RESOURCE, 0, resource)
            segment.reserve(-(-(HEADER_BYTES + len(first)) // PAGE) * PAGE)
            segment.append(first)
            if dropped:
                segment.drop(dropped)
            unnamed.rename(path)
        except BaseException:
            os.close(descriptor)
            unnamed.unlink(missing_ok=True)
            raise
        return segment

    @classmethod
    def adopt(cls, path: Path) -> Self | None:
        """The segment, if its owner has died; `None` if it lives, or if another was faster.

        Raises `NotASegment`, and `OSError`.
        """
        try:
            descriptor = os.open(path, os.O_RDWR)
        except FileNotFoundError:
            return None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            state = os.fstat(descriptor)
            if state.st_nlink == 0:
                raise BlockingIOError
            segment = cls(path, descriptor, written=state.st_size, reserved=state.st_size)
            segment._read_header()
        except BlockingIOError:
            os.close(descriptor)
            return None
        except BaseException:
            os.close(descriptor)
            raise
        return segment

    def reserve(self, size: int) -> None:
        """Takes place on the disk, so that, where the file system can do that, writing up to there
        cannot fail for want of it. Raises `OSError`."""
        try:
            os.posix_fallocate(self._descriptor, 0, size)
        except (AttributeError, OSError) as error:
            # macOS has no such call, and musl's fails where the file system has none of its own.
            if isinstance(error, OSError) and error.errno not in _NO_FALLOCATE:
                raise
            os.ftruncate(self._descriptor, size)
        self.reserved = size

    def append(self, framed: bytes, *, sync: bool = False) -> bool:
        """Writes a frame; `False` where there is no room for it. With `sync` it waits until the disk has it.
        Raises `OSError`: then the next is written over it."""
        at = self.written
        end = at + len(framed)
        if end > self.reserved:
            return False
        if os.pwrite(self._descriptor, framed, at) != len(framed):
            raise OSError(f"{self.path}: a record was not written whole")
        if sync:
            os.fdatasync(self._descriptor)
        self.written = end
        return True

    def append_record(self, scope: int, span: bytes, *, sync: bool) -> bool:
        """`append` for a record of a scope that has this number here, in fewer steps: it is on the way of
        every call."""
        end = append_frame(self._descriptor, self.written, self.reserved, _RECORD, scope, span)
        if not end:
            return False
        if sync:
            os.fdatasync(self._descriptor)
        self.written = end
        return True

    def has_room(self, size: int) -> bool:
        """Whether so many bytes more can be written."""
        return self.written + size <= self.reserved

    def read(self, position: int, size: int) -> bytes:
        """What is written from `position` on, at most `size` bytes."""
        return os.pread(self._descriptor, min(size, self.written - position), position)

    def settle(self, position: int) -> None:
        """Remembers that what lies before `position` was delivered."""
        self.settled = position
        os.pwrite(self._descriptor, _in_slot(position), _SETTLED_AT)

    def drop(self, total: int) -> None:
        """Remembers that the producer has had to give up so many records in all."""
        self.dropped = total
        os.pwrite(self._descriptor, _in_slot(total), _DROPPED_AT)

    def close(self) -> None:
        """Gives the lock up, and the file to whoever takes it."""
        # No number that was closed here may be written to or closed later: it may be another's file by
        # then, of the application's, say.
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def remove(self) -> None:
        """Deletes the file."""
        self.path.unlink(missing_ok=True)
        self.close()

    def _read_header(self) -> None:
        self.settled, self.dropped = read_header(os.pread(self._descriptor, HEADER_BYTES, 0))


def read_header(header: bytes) -> tuple[int, int]:
    """Up to where records are settled, and how many were dropped. Raises `NotASegment`."""
    if len(header) < HEADER_BYTES or not header.startswith(MAGIC):
        raise NotASegment("it does not begin as a file of the spool does")
    return max(HEADER_BYTES, _from_slot(header, _SETTLED_AT)), _from_slot(header, _DROPPED_AT)


def is_owned(path: Path) -> bool:
    """Whether a living process owns the segment."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _in_slot(value: int) -> bytes:
    number = value.to_bytes(8, "little")
    return number + zlib.crc32(number).to_bytes(4, "little")


def _from_slot(header: bytes, position: int) -> int:
    """The number; 0 where none was ever written, or the disk has lost it."""
    value, checksum = _slot.unpack_from(header, position)
    return value if zlib.crc32(header[position : position + 8]) == checksum else 0
